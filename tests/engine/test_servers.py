"""The site under real servers: ASGI with its lifespan, and WSGI."""

import asyncio
import os
import socket
import ssl
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier, Thread, current_thread
from typing import Any
from wsgiref.simple_server import make_server

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse
from pytest_django import Settings

from engine.commands import PROJECT
from engine.conftest import serve
from fanout.calls import transport
from fanout.calls.transport import TRANSPORTS
from fanout.serving.entries import get_asgi_application, get_wsgi_application


def test_asgi(style: str) -> None:
    with serve(get_asgi_application()) as address:
        response = httpx.get(address + reverse(f"compare-{style}"))
    assert response.status_code == 200
    assert response.headers.get("X-Fanout-Complete", "true") == "true"
    assert ";desc=failed" not in response.text  # where a streamed page says it


@pytest.mark.parametrize("host", ["127.0.0.1", "nobody.test"])
def test_http_1_0_is_answered_without_chunks(style: str, host: str) -> None:
    with serve(get_asgi_application()) as address:
        url = httpx.URL(address)
        with socket.create_connection((url.host, url.port or 0), 50) as sock:
            path = reverse(f"compare-{style}")
            sock.sendall(f"GET {path} HTTP/1.0\r\nHost: {host}\r\n\r\n".encode())
            head, _, body = sock.makefile("rb").read().partition(b"\r\n\r\n")
    assert b"transfer-encoding" not in head
    assert f"content-length: {len(body)}" in head.decode()
    assert body.rstrip().endswith(b"</html>")


def test_wsgi(style: str) -> None:
    with make_server("127.0.0.1", 0, get_wsgi_application()) as server:
        thread = Thread(target=server.handle_request)
        thread.start()
        response = httpx.get(f"http://127.0.0.1:{server.server_port}" + reverse(f"compare-{style}"))
        thread.join()
    assert response.status_code == 200
    assert response.headers["X-Fanout-Complete"] == "true"


def test_the_first_calls_of_threads_are_made_on_one_loop(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transport, "_loops", {})
    together = Barrier(20)

    async def find() -> tuple[Thread, asyncio.AbstractEventLoop]:
        return current_thread(), asyncio.get_running_loop()

    def call(_: int) -> tuple[Thread, asyncio.AbstractEventLoop]:
        together.wait(20)
        return transport.run(find)

    with ThreadPoolExecutor(20) as threads:
        found = {*threads.map(call, range(20))}
    for thread, loop in found:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()
    assert len(found) == 1


def test_a_loop_that_could_not_start_is_tried_again(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "_loops", {})

    async def call() -> str:
        return "called"

    def fail() -> None:
        raise FileNotFoundError

    with monkeypatch.context() as broken:
        broken.setitem(TRANSPORTS, settings.FANOUT_TRANSPORT, fail)
        for _ in range(2):
            with pytest.raises(FileNotFoundError):
                transport.run(call)
    assert transport.run(call) == "called"
    [loop] = transport._loops.values()
    loop.call_soon_threadsafe(loop.stop)


def test_asgi_serves_static_files_in_development(settings: Settings) -> None:
    settings.DEBUG = True
    with serve(get_asgi_application()) as address:
        assert httpx.get(address + static("site.css")).status_code == 200


def get_refusal() -> str:
    """Why the ASGI application does not start."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "lifespan.startup"}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(get_asgi_application()({"type": "lifespan"}, receive, send))
    [refusal] = sent
    assert refusal["type"] == "lifespan.startup.failed"
    return str(refusal["message"])


def test_servers_refuse_to_start_without_what_production_needs(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = ""
    settings.ALLOWED_HOSTS = []
    settings.FANOUT_SERVICES, settings.FANOUT_URLS = ["alpha"], {"alpha": ""}
    missing = "DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS, ALPHA_URL"
    assert missing in get_refusal()
    with pytest.raises(ImproperlyConfigured, match=missing):
        get_wsgi_application()


@pytest.mark.parametrize(
    ("error", "sentence"),
    [
        (ssl.SSLError("no certificate found"), "Look at SSL_CERT_FILE"),
        (FileNotFoundError("/nowhere"), "No connection can be made: /nowhere. Look at"),
        (RuntimeError("anything else"), "RuntimeError: anything else"),
    ],
)
def test_a_server_that_cannot_make_connections_refuses_to_start(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, error: Exception, sentence: str
) -> None:
    def fail() -> None:
        raise error

    monkeypatch.setitem(TRANSPORTS, settings.FANOUT_TRANSPORT, fail)
    assert sentence in get_refusal()


START = """
import asyncio
import sys

from fanout.serving import entries


def show(said):
    print(said, *({"redis"} & sys.modules.keys()))


async def start():
    async def receive():
        return {"type": "lifespan.startup"}

    async def send(message):
        show(message["type"])

    await entries.get_asgi_application()({"type": "lifespan"}, receive, send)


if sys.argv[1] == "asgi":
    asyncio.run(start())
else:
    entries.get_wsgi_application()
    show("started")
"""


@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_a_server_loads_what_takes_a_page_too_long_and_needs_no_cache(interface: str) -> None:
    process = subprocess.run(  # noqa: S603 - our own
        [sys.executable, "-c", START, interface],
        cwd=PROJECT,
        env={
            **os.environ,
            "DJANGO_SETTINGS_MODULE": "config.settings",
            "DJANGO_DEBUG": "true",
            "CACHE_URL": "redis://127.0.0.1:1",
        },
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    started = {"asgi": "lifespan.startup.complete", "wsgi": "started"}[interface]
    assert process.stdout.splitlines()[:1] == [f"{started} redis"], process.stderr
