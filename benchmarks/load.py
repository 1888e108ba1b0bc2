"""Ask for pages: one at a time, or many in flight at once."""

import http.client
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass

from benchmarks.install import HERE
from benchmarks.machine import pin

PATIENCE = 60  # seconds for one page


@dataclass(frozen=True, slots=True)
class Response:
    """A whole answer."""

    status: int
    headers: dict[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Load:
    """What came of many pages in flight."""

    pages: int  # that came back whole
    seconds: float
    bytes: int
    errors: int  # no answer, half an answer, or a status from 400 on
    incomplete: int  # of those that were looked into
    p50_ms: float
    p99_ms: float


def get(port: int, path: str) -> Response:
    """One page, over a connection of its own. Raises OSError."""
    return next(_get_all(port, path))


def time_pages(port: int, path: str, count: int) -> list[float]:
    """Milliseconds of each of so many pages, one after another over one connection."""
    pages = _get_all(port, path)
    next(pages)
    times = []
    for _ in range(count):
        start = time.perf_counter()
        next(pages)
        times.append((time.perf_counter() - start) * 1000)
    return times


def _get_all(port: int, path: str) -> Iterator[Response]:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    try:
        while True:
            connection.request("GET", path)
            response = connection.getresponse()
            yield Response(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def press(port: int, path: str, in_flight: int, seconds: int, items: int = 0) -> Load:
    """Keep so many pages in flight. With `items`, look into each for that many."""
    wrk = shutil.which("wrk")
    assert wrk
    process = subprocess.Popen(
        [
            *(wrk, "--threads", "1", "--connections", str(in_flight), "--duration", f"{seconds}s"),
            *("--timeout", f"{PATIENCE}s", "--script", str(HERE / "load.lua")),
            *(f"http://127.0.0.1:{port}{path}", "--", *([str(items)] if items else [])),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    pin(process.pid, site=False)
    printed, _ = process.communicate(timeout=seconds + 2 * PATIENCE)
    for line in printed.splitlines():
        if line.startswith("load: "):
            return Load(**json.loads(line.removeprefix("load: ")))
    raise SystemExit(f"wrk says:\n{printed}")
