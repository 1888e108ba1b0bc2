"""The database of DATABASE_URL: SQLite without one, and PostgreSQL with a pool of connections."""

from importlib.util import find_spec
from pathlib import Path

from dj_database_url import DBConfig, parse
from environs import EnvError

# Of every process; times in seconds. A page takes a connection for each look at the database, never
# for as long as it waits for services, so a few are enough.
POOL = {"min_size": 1, "max_size": 4, "timeout": 5.0}


def get_database(url: str, default: Path) -> DBConfig:
    """What DATABASES wants to have; SQLite in the file `default` for an empty `url`.

    Raises EnvError, without the password, if that is no address, or if the driver is missing.
    """
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
    try:
        database = parse(url)
    except ValueError:
        database = {"ENGINE": "", "NAME": ""}
    if not database["NAME"]:
        raise EnvError("DATABASE_URL is not an address like postgres://user:password@host/name.")
    if database["ENGINE"] == "django.db.backends.postgresql":
        if not (find_spec("psycopg") and find_spec("psycopg_pool")):
            raise EnvError(
                "DATABASE_URL needs PostgreSQL's driver: run uv sync --no-dev --group postgres."
            )
        database.setdefault("OPTIONS", {}).setdefault("pool", POOL)
    return database
