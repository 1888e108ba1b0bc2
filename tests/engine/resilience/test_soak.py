"""Under load, with services killed and started again: no page fails, and sections come back."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from queue import Queue
from threading import Event, Thread

import httpx
import pytest

from engine.commands import find_free_ports
from engine.resilience.programs import Process, Start, wait_for

STATM = Path("/proc/self/statm")
CYCLES = 3
PAGES = 300  # of each kind, at least
VISITORS = 4


class Load:
    """Visitors who ask for one page after another, until the end of the block."""

    def __init__(self, url: str) -> None:
        """They ask for `url`."""
        self._url = url
        self._over = Event()
        self._pages: Queue[httpx.Response | Exception] = Queue(VISITORS)
        self._visitors = [Thread(target=self._ask) for _ in range(VISITORS)]

    def _ask(self) -> None:
        with httpx.Client(timeout=60) as visitor:
            while not self._over.is_set():
                try:
                    self._pages.put(visitor.get(self._url))
                except Exception as error:
                    self._pages.put(error)

    def __enter__(self) -> "Load":
        """Begin."""
        for visitor in self._visitors:
            visitor.start()
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        self._over.set()
        while any(visitor.is_alive() for visitor in self._visitors):
            while not self._pages.empty():
                self._pages.get()
            time.sleep(0.01)

    def take(self, wanted: Callable[[httpx.Response], bool]) -> int:
        """How many pages it took until PAGES in a row were as wanted; all of them are good."""
        row = number = 0
        end = time.monotonic() + 60
        while row < PAGES:
            page = self._pages.get(timeout=60)
            assert isinstance(page, httpx.Response), page
            assert page.status_code == 200, page.text
            number += 1
            row = row + 1 if wanted(page) else 0
            assert time.monotonic() < end, page.headers
        return number


def is_complete(page: httpx.Response) -> bool:
    """Whether all sections are as they should be."""
    return page.headers["X-Fanout-Complete"] == "true"


def is_stale(page: httpx.Response) -> bool:
    """Whether all sections are shown, from earlier."""
    return page.headers["Server-Timing"].count("desc=stale") == 2


def count_bytes(process: Process) -> int:
    """The memory that a process has now."""
    statm = Path(f"/proc/{process.pid}/statm").read_text(encoding="ascii")
    return int(statm.split()[1]) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not STATM.exists(), reason="There is no /proc to read a process's memory in.")
@pytest.mark.parametrize("style", ["gather", "sync"])
def test_pages_go_on_while_services_come_and_go(
    start: Start,
    style: str,
    record_property: Callable[[str, object], None],
) -> None:
    port, fakes_port = find_free_ports(), find_free_ports()
    fakes_url = f"http://127.0.0.1:{fakes_port}"
    url = f"http://127.0.0.1:{port}/compare/{style}/"
    fakes_command = ("python", "manage.py", "fakes", "--port", str(fakes_port))
    latency = "promo:1,recco:2"
    fakes = start(*fakes_command, FAKES_LATENCY_MS=latency)
    wait_for(fakes_url)
    uvicorn = ("python", "-m", "uvicorn", "config.asgi:application", "--port", str(port))
    site = start(*uvicorn, FAKES_URL=fakes_url)
    wait_for(url)
    pages = 0
    memory = []
    with Load(url) as load:
        pages += load.take(is_complete)
        for _ in range(CYCLES):
            fakes.kill()
            fakes.wait()
            pages += load.take(is_stale)
            fakes = start(*fakes_command, FAKES_LATENCY_MS=latency)
            pages += load.take(is_complete)
            memory.append(count_bytes(site) / 1024 / 1024)
    figures = ", ".join(f"{megabytes:.1f}" for megabytes in memory)
    record_property(
        "figure", f"{style}: {pages} pages, none failed; MiB after each cycle: {figures}"
    )
    assert memory[-1] < memory[0] * 1.1
