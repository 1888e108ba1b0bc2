"""A PostgreSQL that is frozen keeps nobody longer than they have time."""

import struct
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Event, Thread, Timer
from typing import Any

import pytest
from django.db import OperationalError
from django.db.utils import ConnectionHandler
from django.test import Client
from django.urls import reverse
from pytest_django import DjangoDbBlocker

from config import base
from config.base import DATABASE_POOL, get_database
from fanout.policies.deadline import time_limit
from fanout.serving import health

awake = Event()  # unless the server is frozen


def say(kind: bytes, data: bytes = b"") -> bytes:
    """A message of https://www.postgresql.org/docs/current/protocol-message-formats.html."""
    return kind + struct.pack("!I", len(data) + 4) + data


READY = say(b"Z", b"I")
WELCOME = say(b"R", bytes(4)) + say(b"S", b"server_version\x0018.0\0") + READY
ONE = say(b"T", bytes(2)) + say(b"D", bytes(2)) + say(b"C", b"SELECT 1\0") + READY


class Session(StreamRequestHandler):
    """Answers every query with one row of no columns."""

    def handle(self) -> None:
        answer = WELCOME
        while head := self.rfile.read(4 if answer is WELCOME else 5):
            self.rfile.read(struct.unpack("!I", head[-4:])[0] - 4)
            awake.wait()
            self.wfile.write(answer)
            answer = ONE


class Server(ThreadingTCPServer):
    """Says nothing of visitors who go away."""

    daemon_threads = True

    def handle_error(self, *_: object) -> None: ...


@pytest.fixture
def connection(
    monkeypatch: pytest.MonkeyPatch, django_db_blocker: DjangoDbBlocker
) -> Iterator[Any]:
    """A connection to a server, of a pool that is patient."""
    pytest.importorskip("psycopg_pool", reason="There is no driver of PostgreSQL.")
    monkeypatch.setattr(base, "DATABASE_POOL", {**DATABASE_POOL, "timeout": 60.0})
    monkeypatch.delenv("DJANGO_DEVELOPMENT", raising=False)
    awake.set()
    with Server(("127.0.0.1", 0), Session) as server, django_db_blocker.unblock():
        Thread(target=server.serve_forever, args=(0.01,)).start()
        url = f"postgres://u@127.0.0.1:{server.server_address[1]}/shop?sslmode=disable"
        connection: Any = ConnectionHandler({"default": get_database(url, Path())})["default"]
        try:
            yield connection
        finally:
            awake.set()
            connection.close()
            connection.close_pool()
            server.shutdown()


@contextmanager
def frozen() -> Iterator[None]:
    """Let the server do nothing, for half a minute if somebody waits for it."""
    thaw = Timer(30.0, awake.set)
    awake.clear()
    thaw.start()
    try:
        yield
    finally:
        thaw.cancel()
        awake.set()


def test_a_query_ends_with_its_time_and_the_next_is_answered(connection: Any) -> None:
    with time_limit(60.0), connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [()]
        with frozen(), time_limit(0.0), pytest.raises(OperationalError, match="too long"):
            cursor.execute("SELECT 1")
    assert connection.connection.closed  # what is still to come on it answers no other query
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT 1")
        assert cursor.fetchall() == [()]


def test_a_site_whose_database_is_frozen_is_not_ready_and_ready_at_once_after_it(
    connection: Any, client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(health, "connection", connection)
    assert client.get(reverse("readyz")).status_code == 200
    with frozen(), monkeypatch.context() as patch:
        patch.setattr(health, "READY_SECONDS", 0.0)
        assert client.get(reverse("readyz")).status_code == 503
    connection.close()  # as at the end of every request
    assert client.get(reverse("readyz")).status_code == 200


def test_nobody_waits_for_a_connection_longer_than_readiness_may_take() -> None:
    assert DATABASE_POOL["timeout"] <= health.READY_SECONDS < 1
