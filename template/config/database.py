"""The database of DATABASE_URL: SQLite without one, and PostgreSQL, for servers with a pool of connections."""

from importlib.util import find_spec
from pathlib import Path

from dj_database_url import DBConfig, parse
from environs import EnvError, env

# Of every process; times in seconds. A page has a connection while it asks the database, not while
# it waits for services (fanout/visit.py), so a few are enough. By default the pool waits longer and longer
# between two tries to connect, and a minute's outage is one of two.
POOL = {"min_size": 1, "max_size": 4, "timeout": 2.0, "reconnect_timeout": 2.0}
OPTIONS = {"connect_timeout": 2, "pool": POOL}
# A command of manage.py needs one connection at a time, and gets to know at once why it has none.
COMMAND_OPTIONS = {"connect_timeout": 2}


def get_database(url: str, default: Path) -> DBConfig:
    """What DATABASES wants to have; SQLite in the file `default` for an empty `url`.

    Raises EnvError, without the password, if that is no address, or if the driver is missing.
    """
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
    try:
        database = parse(url, conn_health_checks=True)
    except ValueError:
        database = {"ENGINE": "", "NAME": ""}
    if not database["NAME"]:
        raise EnvError("DATABASE_URL is not an address like postgres://user:password@host/name.")
    if database["ENGINE"] == "django.db.backends.postgresql":
        if not (find_spec("psycopg") and find_spec("psycopg_pool")):
            raise EnvError("DATABASE_URL needs PostgreSQL's driver: run uv sync --group postgres.")
        command = env.bool("DJANGO_DEVELOPMENT", default=False)  # but for `serve`
        options = COMMAND_OPTIONS if command else OPTIONS
        database["OPTIONS"] = options | database.get("OPTIONS", {})
    return database
