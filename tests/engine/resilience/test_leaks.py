"""Over real sockets: whatever the services do and the visitors do, nothing is left behind."""

import asyncio
import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import cycle
from pathlib import Path
from queue import Queue
from typing import Any

import httpx
import pytest
from django.urls import reverse
from pytest_django import Settings

from engine.conftest import serve
from engine.resilience.behaviours import BEHAVIOURS, Connection, run_upstream
from fanout.calls import transport as transports
from fanout.serving.entries import get_asgi_application

PAGES = 1000
VISITORS = 20
FAULTS = [
    "closed instead of an answer",
    "reset in the body",
    "closed in the headers",
    "hang before the headers",
    "hang in the body",
    "trickled body",
    "no HTTP",
    "a header of 1 MiB",
    "a gzip bomb",
    "a body for ever",
    "status 503",
    "HTML",
]
TURNS = cycle(FAULTS)


class Site:
    """The site under uvicorn, in this process, so that a test can count what it holds."""

    def __init__(self) -> None:
        """Wrap the ASGI application, to know its event loop."""
        self._application = get_asgi_application()
        self.loop: asyncio.AbstractEventLoop | None = None
        self.address = ""

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Pass everything on."""
        self.loop = asyncio.get_running_loop()
        await self._application(scope, receive, send)

    def count(self) -> dict[str, int]:
        """What is open and running, without what this count itself needs."""
        assert self.loop

        async def count_tasks() -> int:
            return len(asyncio.all_tasks()) - 1

        loops = [self.loop, transports._get_loop()]
        clients: list[Any] = [transports._pooled[loop] for loop in loops]
        asked = [asyncio.run_coroutine_threadsafe(count_tasks(), loop) for loop in loops]
        return {
            "tasks": sum(count.result(20) for count in asked),
            "threads": threading.active_count(),
            "connections": sum(len(idle) for client in clients for idle in client._idle.values()),
            "file descriptors": len(os.listdir("/proc/self/fd")),
        }


@pytest.fixture
def site() -> Iterator[Site]:
    """The site, served."""
    site = Site()
    with serve(site, log_config=None) as site.address:
        yield site


def take_turns(connection: Connection) -> None:
    """Have every fault in turn."""
    BEHAVIOURS[next(TURNS)][0](connection)


def visit(site: Site, style: str, pages: int) -> None:
    """Ask for so many pages, VISITORS at a time."""
    path = reverse(f"compare-{style}")

    def ask(number: int) -> int:
        return visitor.get(path).status_code

    with (
        httpx.Client(base_url=site.address, timeout=60, limits=httpx.Limits()) as visitor,
        ThreadPoolExecutor(VISITORS) as visitors,
    ):
        assert set(visitors.map(ask, range(pages))) == {200}


def settle(site: Site, style: str, most: dict[str, int]) -> dict[str, int]:
    """Ask for a good page now and then until there is no more of anything than `most`."""
    for moment in range(300):
        if moment % 20 == 0:  # the pool closes idle connections when it is used
            assert httpx.get(site.address + reverse(f"compare-{style}"), timeout=60).is_success
        time.sleep(0.1)
        counted = site.count()
        if all(counted[name] <= most[name] for name in most):
            break
    return counted


@pytest.mark.skipif(not Path("/proc/self/fd").is_dir(), reason="There is no /proc to count in.")
def test_a_thousand_faulted_pages_leave_nothing_behind(
    site: Site,
    style: str,
    two_services: Callable[..., None],
    settings: Settings,
    record_property: Callable[[str, object], None],
) -> None:
    with run_upstream(take_turns) as port:
        faulted = {"timeout": 0.1, "coalesce": False, "break_for": 0}
        good, good_urls = settings.OPTIONS, settings.FANOUT_URLS
        faulted_urls = {**good_urls, "beta": f"http://127.0.0.1:{port}/"}
        settings.OPTIONS, settings.FANOUT_URLS = {**good, "beta": faulted}, faulted_urls
        visit(site, style, 100)
        settings.OPTIONS, settings.FANOUT_URLS = good, good_urls
        before = settle(site, style, {"tasks": 2, "connections": 3})
        before["file descriptors"] += 4  # both ends of a connection to each service, kept or not
        settings.OPTIONS, settings.FANOUT_URLS = {**good, "beta": faulted}, faulted_urls
        visit(site, style, PAGES)
        settings.OPTIONS, settings.FANOUT_URLS = good, good_urls
        after = settle(site, style, before)
    record_property("figure", f"{style}: {before} before, {after} after {PAGES} faulted pages")
    assert all(after[name] <= before[name] for name in before), (before, after)


@pytest.mark.parametrize("style", ["naive", "gather", "stream"])
def test_a_visitor_who_goes_away_ends_the_calls(
    site: Site, style: str, two_services: Callable[..., None], settings: Settings
) -> None:
    asked: Queue[None] = Queue()
    gone: Queue[None] = Queue()

    def hang(connection: Connection) -> None:
        connection.read()
        asked.put(None)
        connection.hang()
        gone.put(None)

    with run_upstream(hang) as port:
        settle(site, style, {"tasks": 2})
        before = site.count()["tasks"]
        good, good_urls, names = settings.OPTIONS, settings.FANOUT_URLS, ("alpha", "beta")
        settings.OPTIONS = {name: {"timeout": 60.0} for name in names}
        settings.FANOUT_URLS = dict.fromkeys(names, f"http://127.0.0.1:{port}/")
        calls = 1 if style == "naive" else 2
        server = httpx.URL(site.address)
        with socket.create_connection((server.host, server.port)) as visitor:
            path = reverse(f"compare-{style}")
            visitor.sendall(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n".encode())
            for _ in range(calls):
                asked.get(timeout=20)
            assert site.count()["tasks"] > before
        for _ in range(calls):
            gone.get(timeout=20)
        settings.OPTIONS, settings.FANOUT_URLS = good, good_urls
        assert settle(site, style, {"tasks": before})["tasks"] <= before
        assert asked.empty()
