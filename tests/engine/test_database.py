"""Which database a DATABASE_URL means, and what is said of one that means none."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from django.conf import settings
from environs import EnvError

from config import base
from config.base import DATABASE_POOL, get_database
from engine.commands import find_free_ports

SECRET = "s3cret"  # noqa: S105 - part of addresses that lead nowhere


def test_without_an_address_it_is_a_file(tmp_path: Path) -> None:
    assert get_database("", tmp_path / "a b%20") == {
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path / "a b%20"),
    }


def test_postgresql_gets_a_pool(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("psycopg_pool", reason="There is no driver of PostgreSQL.")
    from fanout.serving.postgres import Connection

    monkeypatch.delenv("DJANGO_DEVELOPMENT", raising=False)
    found = get_database(f"postgres://u:{SECRET}%40@db:5433/shop?sslmode=require", Path())
    assert found["ENGINE"] == "django.db.backends.postgresql"
    assert (found["HOST"], found["PORT"], found["NAME"]) == ("db", 5433, "shop")
    assert (found["USER"], found["PASSWORD"]) == ("u", f"{SECRET}@")
    assert found["CONN_HEALTH_CHECKS"]  # a connection that the server has closed is none
    assert found["OPTIONS"] == {
        "sslmode": "require",
        "connect_timeout": 2,
        "pool": {**DATABASE_POOL, "connection_class": Connection},
    }
    pooled_elsewhere = get_database("postgresql://db/shop?pool=false", Path())
    assert pooled_elsewhere["OPTIONS"]["pool"] is False
    monkeypatch.setenv("DJANGO_DEVELOPMENT", "true")  # by manage.py, but for `serve`
    assert "pool" not in get_database("postgresql://db/shop", Path())["OPTIONS"]


def test_sqlite_may_be_elsewhere() -> None:
    assert get_database("sqlite:////data/site.sqlite3", Path())["NAME"] == "/data/site.sqlite3"


@pytest.mark.parametrize(
    "url",
    [
        "shop",
        "postgres://",
        f"http://u:{SECRET}@db/shop",
        f"postgres://u:{SECRET}@db/",
        f"postgres://u:{SECRET}@db:x/shop",
        f"postgres://u:1/{SECRET}@db/shop",
        f"postgres://u:{SECRET}@[db/shop",
    ],
)
def test_what_is_no_address_is_said_without_the_password(url: str) -> None:
    with pytest.raises(EnvError) as raised:
        get_database(url, Path())
    assert str(raised.value) == (
        "DATABASE_URL is not an address like postgres://user:password@host/name."
    )


@pytest.mark.parametrize("missing", ["psycopg", "psycopg_pool"])
def test_a_missing_driver_is_said_with_the_way_out(
    missing: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(base, "find_spec", lambda name: None if name == missing else name)
    with pytest.raises(EnvError, match=r"run uv sync --group postgres\.$"):
        get_database("postgres://db/shop", Path())


def fail(url: str, *command: str) -> str:
    """What a command says that fails because of its DATABASE_URL."""
    process = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "manage.py", *command],
        cwd=settings.BASE_DIR,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "config.settings", "DATABASE_URL": url},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == 1
    return process.stderr


@pytest.mark.parametrize("command", ["check", "migrate", "serve"])
def test_a_command_ends_in_one_line(command: str) -> None:
    assert fail(f"http://u:{SECRET}@db/shop", command) == (
        "DATABASE_URL is not an address like postgres://user:password@host/name.\n"
    )


@pytest.mark.parametrize("command", ["dev", "migrate"])
def test_so_it_does_where_no_database_answers(command: str) -> None:
    pytest.importorskip("psycopg_pool", reason="There is no driver of PostgreSQL.")
    port = ["--port", str(find_free_ports())] if command == "dev" else []
    said = fail(f"postgres://u:{SECRET}@127.0.0.1:1/shop", command, *port)
    assert re.fullmatch(r"The database of DATABASE_URL cannot be used: .* refused.*\n", said)
    assert SECRET not in said


def test_so_it_does_where_sqlite_cannot_write(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    path = tmp_path / "file/db.sqlite3"
    assert fail(f"sqlite:///{path}", "migrate").startswith(f"SQLite cannot use {path}: unable to")


def test_what_is_wrong_with_a_query_keeps_its_traceback(tmp_path: Path) -> None:
    said = fail(f"sqlite:///{tmp_path / 'db.sqlite3'}", "changepassword", "joe")
    assert said.endswith("OperationalError: no such table: auth_user\n")
