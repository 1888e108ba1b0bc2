"""Start and stop what is measured, and ask the system what it takes."""

import json
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil

from benchmarks.contestants import Contestant
from benchmarks.install import CACHE, HERE, get_program
from benchmarks.load import Response, get
from benchmarks.machine import pin
from benchmarks.same_page import check
from tests.environments import clean_environment

PATIENCE = 30  # seconds to start


@dataclass(frozen=True, slots=True)
class Fakes:
    """The fake services, as they are running."""

    ports: list[int]

    def count_calls(self) -> int:
        """How many calls they have answered."""
        return int(get(self.ports[0], "/calls").body)


@dataclass(frozen=True, slots=True)
class Server:
    """A contestant that is running and serves the right page."""

    contestant: Contestant
    port: int
    page_bytes: int
    process: psutil.Process
    start_seconds: float  # from the start of the process to the first page

    @property
    def path(self) -> str:
        return self.contestant.path

    def cpu_seconds(self) -> float:
        """Processor time so far, of all its processes."""
        return sum(p.cpu_times().user + p.cpu_times().system for p in self._processes())

    def memory_mib(self) -> float:
        """Resident memory now, of all its processes."""
        return sum(p.memory_info().rss for p in self._processes()) / 2**20

    def count_in_log(self, word: str) -> int:
        """How often the server has written `word` since it started."""
        return _get_log(self.contestant).read_text("utf-8", "replace").count(word)

    def _processes(self) -> list[psutil.Process]:
        return [self.process, *self.process.children(recursive=True)]


@contextmanager
def run_fakes(count: int) -> Iterator[Fakes]:
    """So many fake services."""
    command = [get_program("peers", "python"), str(HERE / "peers/fakes.py"), str(count)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        pin(process.pid, site=False)
        assert process.stdout
        try:
            yield Fakes(json.loads(process.stdout.readline()))
        finally:
            process.terminate()


@contextmanager
def serve(contestant: Contestant, ports: list[int], latency_ms: int = 0) -> Iterator[Server]:
    """Start a contestant on its core, afresh, and make sure that it serves the same page."""
    port = _find_port()
    log = _get_log(contestant)
    log.parent.mkdir(exist_ok=True)
    start = time.perf_counter()
    with log.open("w", encoding="utf-8") as file:
        process = subprocess.Popen(
            contestant.get_command(port),
            cwd=contestant.get_folder(len(ports)),
            env={
                **clean_environment(),
                "PYTHONUNBUFFERED": "1",
                **contestant.get_variables(ports, latency_ms),
            },
            stdout=file,
            stderr=subprocess.STDOUT,
        )
    pin(process.pid, site=True)
    try:
        page, took = _wait(contestant, port, process), time.perf_counter() - start
        check(contestant.name, page, len(ports))
        yield Server(contestant, port, len(page.body), psutil.Process(process.pid), took)
    finally:
        process.terminate()
        try:
            process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _wait(contestant: Contestant, port: int, process: subprocess.Popen[bytes]) -> Response:
    end = time.monotonic() + PATIENCE
    while process.poll() is None and time.monotonic() < end:
        try:
            return get(port, contestant.path)
        except OSError:
            time.sleep(0.01)
    log = _get_log(contestant).read_text(encoding="utf-8", errors="replace")
    raise SystemExit(f"{contestant.name} does not start:\n{log[-4000:]}")


def _find_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _get_log(contestant: Contestant) -> Path:
    return CACHE / "logs" / f"{contestant.name}.log"
