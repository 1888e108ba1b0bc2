"""What is measured of pages. Every round starts each server afresh, one after another: A B A B."""

import json
import shutil
import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import median
from typing import Any

from benchmarks.contestants import (
    CHAIN,
    CONTESTANTS,
    DJANGO,
    GATHER,
    GATHER_ALONE,
    GO,
    NAIVE,
    STARLETTE,
    STREAM,
    SYNC,
    THREADS,
    Contestant,
)
from benchmarks.figures import Figure, of
from benchmarks.install import get_program, make_project, run
from benchmarks.load import press, time_pages
from benchmarks.same_page import ITEMS
from benchmarks.server import Fakes, Server, run_fakes, serve

IN_FLIGHT = 32
MANY_IN_FLIGHT = 256
LATENCY_MS = 50
COUNTS = (2, 8, 32)
SAME_SIZE = 0.02  # pages differ by their timings and ids, not by more than this
STARTS = 5
MOST_SECONDS = 12  # of load, for those that are slow
MOST_MEMORY_SECONDS = 900

Rows = dict[str, dict[str, Figure]]
Rounds = dict[str, dict[str, list[float]]]


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured."""

    rounds: int
    seconds: int  # of load, at least
    pages: int  # for each latency
    counts: tuple[int, ...]  # of services, for the processor time; 2, 8 and 32 among them
    marks: tuple[int, ...]  # pages after which memory is looked at
    everybody: bool  # or only those with a target

    @property
    def contestants(self) -> list[Contestant]:
        return [c for c in CONTESTANTS if c.daily or self.everybody]


FULL = Scale(
    rounds=3,
    seconds=2,
    pages=40,
    counts=(2, 4, 8, 16, 32),
    marks=(10_000, 50_000, 100_000),
    everybody=True,
)
SHORT = Scale(
    rounds=1, seconds=1, pages=2, counts=(2, 8, 32), marks=(100, 300, 500), everybody=False
)


@contextmanager
def prepare(count: int) -> Iterator[Fakes]:
    """A project with so many services, ready for production, and fakes for them."""
    project = make_project(count)
    with run_fakes(count) as fakes:
        variables = GATHER.get_variables(fakes.ports, 0)
        python = get_program("site", "python")
        run([python, "manage.py", "collectstatic", "--noinput"], project, **variables)
        yield fakes


def tell(line: str) -> None:
    """Say how far it has got."""
    print(line, flush=True)


def check_pages(services: int) -> None:
    """Start everybody, and see that they serve the same page over and over."""
    with prepare(services) as fakes:
        for contestant in CONTESTANTS:
            with serve(contestant, fakes.ports) as server:
                time_pages(server.port, server.path, 20)
                if contestant is GATHER and shutil.which("wrk"):
                    load = press(server.port, server.path, IN_FLIGHT, 1, services * ITEMS)
                    assert load.pages
                    assert not load.incomplete
            tell(f"  {contestant.name} serves the page")


def measure_fakes(services: int, scale: Scale) -> float:
    """Answers per second of the fake services alone."""
    with run_fakes(services) as fakes:
        load = press(fakes.ports[0], "/0/", IN_FLIGHT, scale.seconds)
    return load.pages / load.seconds


def measure_throughput(services: int, scale: Scale) -> Rounds:
    """Pages per second with 32 in flight, services answering at once."""
    rounds: Rounds = defaultdict(lambda: defaultdict(list))
    with prepare(services) as fakes:
        for number in range(scale.rounds):
            for contestant in scale.contestants:
                with serve(contestant, fakes.ports) as server:
                    found = _press(server, fakes, scale.seconds)
                for name, value in found.items():
                    rounds[contestant.name][name].append(value)
                tell(
                    f"  round {number + 1}: {contestant.name}: {found['pages_per_second']:.0f} pages/s"
                )
    return rounds


def _press(server: Server, fakes: Fakes, seconds: int) -> dict[str, float]:
    """Warm up, then measure; the slow ones longer, for the pages in flight at the end are lost."""
    warm = press(server.port, server.path, IN_FLIGHT, max(1, seconds - 1))
    speed = max(1, int(warm.pages / warm.seconds))
    seconds = min(max(seconds, 3 * IN_FLIGHT // speed), max(seconds, MOST_SECONDS))
    calls, cpu = fakes.count_calls(), server.cpu_seconds()
    load = press(server.port, server.path, IN_FLIGHT, seconds)
    calls, cpu = fakes.count_calls() - calls, server.cpu_seconds() - cpu
    pages = max(load.pages, 1)
    smaller = max(0.0, 1 - load.bytes / pages / server.page_bytes)
    idle = server.contestant.answers and calls < load.pages * len(fakes.ports)  # shows what was
    return {
        "pages_per_second": load.pages / load.seconds,
        "cpu_ms": cpu / pages * 1000,
        "busy": cpu / load.seconds,
        "calls": calls / pages,
        "errors": load.errors + (load.pages if smaller > SAME_SIZE or idle else 0),
        "p50_ms": load.p50_ms,
        "p99_ms": load.p99_ms,
    }


def measure_latency(scale: Scale) -> dict[int, Rounds]:
    """Milliseconds of one page at a time, of services that take 50: p50 of each round."""
    found: dict[int, Rounds] = {}
    contestants = [GATHER, STREAM, NAIVE, SYNC]
    if scale.everybody:
        contestants += [c for c in CONTESTANTS if c in (THREADS, STARLETTE, GO)]
    for count in COUNTS if scale.everybody else COUNTS[:2]:  # 32 take their time
        rounds: Rounds = defaultdict(lambda: defaultdict(list))
        chain = [CHAIN] if count == COUNTS[1] else []
        with prepare(count) as fakes:
            for _ in range(scale.rounds):
                for contestant in contestants + chain:
                    slow = contestant in (NAIVE, SYNC)
                    pages = max(2, scale.pages // count) if slow else scale.pages
                    with serve(contestant, fakes.ports, LATENCY_MS) as server:
                        page = median(time_pages(server.port, server.path, pages))
                    slowest, together = _time_services(fakes, scale.pages)
                    over = page - (together if slow else contestant.depth * slowest)
                    rounds[contestant.name]["page_ms"].append(page)
                    rounds[contestant.name]["over_ms"].append(over)
                    rounds[contestant.name]["over_share"].append(page / together - 1)
        tell(f"  {count} services")
        found[count] = rounds
    return found


def _time_services(fakes: Fakes, pages: int) -> tuple[float, float]:
    """p50 of the slowest service, asked directly, and of all of them together."""
    few = fakes.ports[:: max(1, len(fakes.ports) // 4)]  # they are all alike
    times = [median(time_pages(port, f"/{LATENCY_MS}/", max(3, pages // 2))) for port in few]
    return max(times), sum(times) / len(times) * len(fakes.ports)


def measure_start(services: int, scale: Scale) -> Rounds:
    """Seconds from the start of a process to its first page, without a cache to share."""
    rounds: Rounds = defaultdict(lambda: defaultdict(list))
    with prepare(services) as fakes:
        for _ in range(STARTS):
            for contestant in (GATHER, STARLETTE, GO) if scale.everybody else (GATHER,):
                with serve(contestant, fakes.ports) as server:
                    rounds[contestant.name]["seconds"].append(server.start_seconds)
    return rounds


def measure_crowd(services: int, scale: Scale) -> Rounds:
    """Failed pages with 256 in flight: each is looked into."""
    rounds: Rounds = defaultdict(lambda: defaultdict(list))
    contestants = [GATHER, GATHER_ALONE]
    if scale.everybody:
        contestants = CONTESTANTS
    with prepare(services) as fakes:
        for contestant in contestants:
            with serve(contestant, fakes.ports) as server:
                load = press(
                    server.port,
                    server.path,
                    MANY_IN_FLIGHT,
                    2 * scale.seconds,
                    items=services * ITEMS,
                )
                timeouts = server.count_in_log("PoolTimeout")
            found = {
                "pages": load.pages,
                "failed": max(load.incomplete, load.errors) if load.pages else MANY_IN_FLIGHT,
                "pool_timeouts": timeouts,
            }
            for name, value in found.items():
                rounds[contestant.name][name].append(value)
            tell(f"  {contestant.name}: {found['failed']} of {load.pages} failed")
    return rounds


def measure_cpu(scale: Scale) -> Rounds:
    """Processor time per page, in milliseconds, by the number of services."""
    rounds: Rounds = defaultdict(lambda: defaultdict(list))
    for _ in range(scale.rounds):
        for count in scale.counts:
            with prepare(count) as fakes:
                for contestant in (GATHER, GATHER_ALONE) if scale.everybody else (GATHER_ALONE,):
                    with serve(contestant, fakes.ports) as server:
                        found = _press(server, fakes, scale.seconds)
                    rounds[contestant.name][str(count)].append(found["cpu_ms"])
    for name, counts in rounds.items():
        tell(f"  {name}: " + ", ".join(f"{n}: {median(v):.2f} ms" for n, v in counts.items()))
    return rounds


def measure_memory(services: int, scale: Scale) -> dict[int, float]:
    """Resident MiB after so many pages, each of which calls every service."""
    found: dict[int, float] = {}
    with prepare(services) as fakes, serve(GATHER_ALONE, fakes.ports) as server:
        pages, speed = 0, 200.0
        end = time.monotonic() + MOST_MEMORY_SECONDS
        for mark in scale.marks:
            while pages < mark and time.monotonic() < end:
                seconds = max(1, min(20, int((mark - pages) / speed)))
                load = press(server.port, server.path, IN_FLIGHT, seconds)
                pages += load.pages
                speed = max(1.0, load.pages / load.seconds)
            found[pages] = server.memory_mib()
            tell(f"  {found[pages]:.1f} MiB after {pages:,} pages")
    return found


def count_hops(services: int) -> dict[str, Any]:
    """What one anonymous page hands to threads, of the homepage and with Django's own middleware."""
    found: dict[str, Any] = {}
    with prepare(services) as fakes:
        for contestant in (GATHER, DJANGO):
            module = contestant.command[-1].partition(":")[0]
            printed = run(
                [get_program("site", "python"), "-m", "measured.hops", module],
                contestant.get_folder(services),
                **contestant.get_variables(fakes.ports, 0),
            )
            found[contestant.name] = json.loads(printed.splitlines()[-1])
            tell(f"  {contestant.name}: {found[contestant.name]['hops']} hops")
    return found


def to_figures(rounds: Rounds) -> Rows:
    """The figure of each value of each contestant."""
    return {
        name: {key: of(values) for key, values in found.items()} for name, found in rounds.items()
    }
