"""These tests use settings of their own, whatever the shell and a .env say."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from engine.commands import PROJECT

HOSTILE = {
    "DJANGO_DEBUG": "false",
    "DJANGO_ADMIN_PATH": "office/",
    "DATABASE_URL": "postgres://shop:secret@db.test/shop",
    "CACHE_URL": "redis://cache.test",
    "FORWARDED_ALLOW_IPS": "*",
    "FANOUT_DEADLINE": "0.001",
    "FANOUT_TRANSPORT": "none",
}
SHOW = """
import sys

from environs import env

read_env = env.read_env
env.read_env = lambda *_, **__: read_env(sys.argv[1], recurse=False)

from engine import settings

print(settings.DEBUG, settings.ADMIN_PATH, settings.SECURE_SSL_REDIRECT)
print(settings.FANOUT_DEADLINE, settings.FANOUT_TRANSPORT)
print(settings.DATABASES["default"]["ENGINE"], *{c["BACKEND"] for c in settings.CACHES.values()})
"""


@pytest.mark.parametrize("place", ["shell", ".env"])
def test_nothing_of_a_developers_own_gets_into_the_tests(tmp_path: Path, place: str) -> None:
    file = tmp_path / ".env"
    shell = HOSTILE if place == "shell" else {}
    file.write_text("".join(f"{k}={v}\n" for k, v in HOSTILE.items() if not shell))
    environment = {k: v for k, v in os.environ.items() if k not in HOSTILE}
    process = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", SHOW, str(file)],
        cwd=PROJECT,
        env=environment | shell,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.stdout.splitlines() == [
        "True admin/ False",
        "5.0 httptools",
        "django.db.backends.sqlite3 django.core.cache.backends.locmem.LocMemCache",
    ], process.stderr


ASK = """
import sys

from environs import env

env.read_env(sys.argv[1], recurse=False)

from django.conf import settings

settings.configure(FANOUT_SERVICES=[], FANOUT_URLS={}, FANOUT_CLASSES="own", FAKES_URL="")
sys.modules["own"] = module = type(sys)("own")

from fanout import Secret, Service

Book = type("Book", (Service,), {"__module__": "own", "key": Secret("BOOK_KEY")})
module.Book = Book

from fanout.calls.service import services

[book] = services(everywhere=True)
print(book.url, book.key)
"""


def test_addresses_and_secrets_of_services_stand_in_a_file_too(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("BOOK_URL=http://book.test/\nBOOK_KEY='s3:cr%t+ä'\n", "utf-8")
    process = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-X", "utf8", "-c", ASK, str(tmp_path / ".env")],
        cwd=PROJECT,
        capture_output=True,
        encoding="utf-8",
        check=False,
        timeout=60,
    )
    assert process.stdout == "http://book.test/ s3:cr%t+ä\n", process.stderr


def test_other_settings_are_refused() -> None:
    command = [sys.executable, "-m", "pytest", "engine", "--ds=config.settings", "--collect-only"]
    process = subprocess.run(  # noqa: S603 - our own
        [*command, "-p", "no:cacheprovider"],
        cwd=PROJECT,
        env={**os.environ, "DJANGO_DEBUG": "true"},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert process.returncode == pytest.ExitCode.USAGE_ERROR
    assert "These tests need --ds=engine.settings." in process.stderr
