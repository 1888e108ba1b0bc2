"""To hash a password takes long: meanwhile others have the connections to the database."""

from typing import Any

import pytest
from django.conf import global_settings
from django.contrib.auth import hashers
from django.db import connections, transaction
from django.utils.crypto import pbkdf2
from pytest_django import Settings

from config import base
from fanout.serving.throttle import PBKDF2PasswordHasher


@pytest.fixture(autouse=True)
def _hashers(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.PASSWORD_HASHERS = base.PASSWORD_HASHERS
    monkeypatch.setattr(hashers.PBKDF2PasswordHasher, "iterations", 2)


@pytest.fixture(params=["a pool"])
def events(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, transactional_db: None
) -> list[str]:
    """What happens to an open connection, of a pool or of none, and when a hash is made."""
    events: list[str] = []

    def hash_slowly(*args: Any, **kwargs: Any) -> bytes:
        events.append("hash")
        return pbkdf2(*args, **kwargs)

    connection = connections["default"]
    connection.ensure_connection()
    monkeypatch.setattr(connection, "pool", request.param, raising=False)
    monkeypatch.setattr(connection, "close", lambda: events.append("given back"))
    monkeypatch.setattr("django.contrib.auth.hashers.pbkdf2", hash_slowly)
    return events


def test_to_make_and_to_check_a_hash_holds_no_connection(events: list[str]) -> None:
    encoded = hashers.make_password("right")
    assert hashers.check_password("right", encoded)
    assert not hashers.check_password("wrong", encoded)
    assert events == ["given back", "hash"] * 3


def test_a_transaction_keeps_its_connection(events: list[str]) -> None:
    with transaction.atomic():
        hashers.make_password("right")
    assert events == ["hash"]


@pytest.mark.parametrize("events", [None], indirect=True)
def test_a_connection_of_no_pool_stays_open(events: list[str]) -> None:
    """A command may read from it in a loop that makes hashes."""
    hashers.make_password("right")
    assert events == ["hash"]


def test_the_hashes_are_those_of_django() -> None:
    theirs = hashers.PBKDF2PasswordHasher().encode("right", "salt", 3)
    assert PBKDF2PasswordHasher().encode("right", "salt", 3) == theirs
    assert hashers.verify_password("right", hashers.make_password("right")) == (True, False)


def test_what_django_reads_can_still_be_read(settings: Settings) -> None:
    known = list(hashers.get_hashers_by_algorithm())
    assert isinstance(hashers.get_hasher(), PBKDF2PasswordHasher)
    settings.PASSWORD_HASHERS = global_settings.PASSWORD_HASHERS
    assert list(hashers.get_hashers_by_algorithm()) == known
