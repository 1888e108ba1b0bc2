"""Say what was measured: tables to read, and JSON to keep."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from benchmarks import generation
from benchmarks.contestants import (
    ARTICLE,
    CHAIN,
    FASTAPI,
    GATHER,
    GATHER_ALONE,
    GO,
    NAIVE,
    PERSONAL,
    STARLETTE,
    STREAM,
    STREAM_ALONE,
    SYNC,
    Contestant,
)
from benchmarks.experiments import Rounds
from benchmarks.figures import Figure, Target, at_least, at_most, of, ratio, shorten, without_goal

FLAT = 5.0  # percent


def show_table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Columns: text to the left, the rest to the right."""
    table = [list(head), *(list(row) for row in rows)]
    widths = [max(len(row[column]) for row in table) for column in range(len(head))]
    lines = [
        "  ".join(
            cell.ljust(width) if number == 0 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in table
    ]
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])


def show_throughput(rounds: Rounds) -> str:
    """Everybody, the fastest first."""
    ours = rounds[GATHER.name]["pages_per_second"]
    order = sorted(rounds, key=lambda name: -of(rounds[name]["pages_per_second"]).median)
    return show_table(
        (
            "",
            "pages/s",
            "gather is x times as fast",
            "CPU ms/page",
            "core busy",
            "calls/page",
            "p99 ms",
            "errors",
        ),
        (
            (
                name,
                shorten(of(found["pages_per_second"]).median),
                str(ratio(ours, found["pages_per_second"])),
                shorten(of(found["cpu_ms"]).median),
                f"{of(found['busy']).median:.0%}",
                shorten(of(found["calls"]).median),
                shorten(of(found["p99_ms"]).median),
                f"{sum(found['errors']):.0f}",
            )
            for name in order
            for found in [rounds[name]]
        ),
    )


def show_latency(latency: Mapping[int, Rounds]) -> str:
    """By the number of services; over what their way of waiting has to take, at least."""
    return show_table(
        ("", "services", "page ms", "ms over the slowest, the chain or the sum"),
        (
            (name, str(count), str(of(found["page_ms"])), str(of(found["over_ms"])))
            for count, rounds in latency.items()
            for name, found in rounds.items()
        ),
    )


def show_start(rounds: Rounds) -> str:
    """Seconds until a new process has served a page."""
    return show_table(
        ("", "seconds to the first page"),
        ((name, str(of(found["seconds"]))) for name, found in rounds.items()),
    )


def show_crowd(rounds: Rounds) -> str:
    """Failures with many pages in flight."""
    return show_table(
        ("", "pages", "failed", "PoolTimeout in the log"),
        (
            (name, *(f"{sum(found[key]):.0f}" for key in ("pages", "failed", "pool_timeouts")))
            for name, found in rounds.items()
        ),
    )


def show_cpu(rounds: Rounds) -> str:
    """Processor time per page by the number of services, and what one more costs."""
    counts = list(next(iter(rounds.values())))
    return show_table(
        ("", *(f"{count} services" for count in counts), "one more, up to 8", "from 8 on"),
        (
            (
                name,
                *(f"{of(found[count]).median:.2f} ms" for count in counts),
                *(f"{of(slope).median:.3f} ms" for slope in get_slopes(found)),
            )
            for name, found in rounds.items()
        ),
    )


def get_slopes(found: Mapping[str, list[float]]) -> tuple[list[float], list[float]]:
    """Milliseconds that one more service costs, below 8 and above, in each round."""
    low = [(b - a) / 6 for a, b in zip(found["2"], found["8"], strict=True)]
    high = [(b - a) / 24 for a, b in zip(found["8"], found["32"], strict=True)]
    return low, high


def show_memory(found: Mapping[int, float]) -> str:
    """Resident memory after so many pages."""
    return show_table(
        ("pages", "MiB"), ((f"{pages:,}", shorten(mib)) for pages, mib in found.items())
    )


def show_hops(found: Mapping[str, Any]) -> str:
    """What one anonymous page hands to threads, and who hands it."""
    return show_table(
        ("", "hops", "threads started", "of Django's sync_to_async"),
        (
            (name, str(row["hops"]), str(row["threads"]), str(len(row["adapted"])))
            for name, row in found.items()
        ),
    )


def show_generation(found: Mapping[str, list[float]]) -> str:
    """Seconds of whole processes."""
    ours = found[generation.COPIER]
    return show_table(
        ("", "seconds", "times as long as copier copy"),
        ((name, str(of(values)), str(ratio(values, ours))) for name, values in found.items()),
    )


def find_targets(results: Mapping[str, Any]) -> Iterator[Target]:
    """Each figure that has a goal, as far as it was measured, and what helps to judge it."""
    if throughput := results.get("throughput"):
        for mine, other, goal in (
            (GATHER, ARTICLE, 40),
            (GATHER_ALONE, ARTICLE, None),
            (GATHER, FASTAPI, 10),
            (GATHER_ALONE, FASTAPI, None),
            (GATHER, STARLETTE, 1.2),
            (GATHER_ALONE, STARLETTE, 0.9),
            (GATHER, GO, 0.5),
            (GATHER_ALONE, GO, 0.5),
            (PERSONAL, STARLETTE, 1.3),
            (STREAM, GATHER, 0.7),
            (STREAM_ALONE, GATHER_ALONE, None),
        ):
            if {mine.name, other.name} <= throughput.keys():
                name, figure = _compare(throughput, mine, other)
                yield at_least(name, goal, figure) if goal else without_goal(name, figure)
    if hops := results.get("hops"):
        for key, what in (("hops", "thread hops"), ("threads", "threads started")):
            yield at_most(f"{what} per anonymous page", 0, of([hops[GATHER.name][key]]))
    for count, rounds in results.get("latency", {}).items():
        goal = {2: 1.8, 8: 2.4, 32: 5}[count]
        yield at_most(
            f"{count} services: ms over the slowest, p50", goal, of(rounds[GATHER.name]["over_ms"])
        )
        if CHAIN.name in rounds:
            over = of(rounds[CHAIN.name]["over_ms"])
            yield at_most(f"{count} services, 3 in a chain: ms over the longest path, p50", 5, over)
        for contestant in (SYNC, NAIVE):
            shares = [100 * share for share in rounds[contestant.name]["over_share"]]
            yield at_most(f"{count} services: {contestant.name}, % over their sum", 5, of(shares))
    for name, found in results.get("start", {}).items():
        what, figure = f"seconds from start to first page, {name}", of(found["seconds"])
        yield at_most(what, 1, figure) if name == GATHER.name else without_goal(what, figure)
    for mine in (GATHER, GATHER_ALONE):
        if crowd := results.get("crowd"):
            for key, what in (("failed", "failed pages"), ("pool_timeouts", "PoolTimeouts")):
                name = f"256 in flight: {what} of {mine.name}"
                yield at_most(name, 0, of(crowd[mine.name][key]))
    for name, found in results.get("cpu", {}).items():
        what = f"CPU per page with 32 services / with 2, {name}"
        yield at_most(what, 16, ratio(found["32"], found["2"]))
        for few, many in (("2", "8"), ("8", "32")):
            what = f"CPU per page with {many} services / with {few}, {name} (4 is linear)"
            yield without_goal(what, ratio(found[many], found[few]))
    if memory := results.get("memory"):
        marks = list(memory)
        growth = 100 * (memory[marks[-1]] / memory[marks[0]] - 1)
        name = f"memory from {marks[0]:,} to {marks[-1]:,} pages, % more"
        yield at_most(name, FLAT, of([growth]))
    if made := results.get("generation"):
        ours = made[generation.COPIER]
        name = "copier copy / a template of {}, time"
        yield at_most(name.format("one file"), 1.8, ratio(ours, made[generation.TRIVIAL]))
        yield without_goal(name.format("as many empty files"), ratio(ours, made[generation.EMPTY]))


def _compare(throughput: Rounds, mine: Contestant, other: Contestant) -> tuple[str, Figure]:
    both = [throughput[contestant.name]["pages_per_second"] for contestant in (mine, other)]
    return f"pages/s of {mine.name} / {other.name}", ratio(*both)


def show_targets(targets: Iterable[Target]) -> str:
    """What was aimed for beside what was measured."""
    return show_table(
        ("", "goal", "measured", ""),
        ((t.name, t.goal, str(t.figure), t.verdict) for t in targets),
    )


def to_json(value: Any) -> Any:
    """Plain lists and dictionaries, rounded."""
    if is_dataclass(value) and not isinstance(value, type):
        return to_json(asdict(value))
    if isinstance(value, Mapping):
        return {str(key): to_json(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item) for item in value]
    return round(value, 4) if isinstance(value, float) else value
