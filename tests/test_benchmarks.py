"""The benchmark still runs, everybody in it serves the same page, and its report says what was measured."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks.contestants import (
    ARTICLE,
    CONTESTANTS,
    GATHER,
    GATHER_ALONE,
    PERSONAL,
    STARLETTE,
    STREAM,
    STREAM_ALONE,
)
from benchmarks.figures import Figure, at_least, at_most, of, ratio
from benchmarks.install import CACHE, add_measured, get_program
from benchmarks.load import Response
from benchmarks.picture import draw
from benchmarks.report import find_targets, show_start, show_table, show_targets, show_throughput
from benchmarks.same_page import ITEMS, check, look
from tests.conftest import ROOT, Copy
from tests.environments import Environment, clean_environment

ROUND = {
    "pages_per_second": [400.0, 600.0, 500.0],
    "cpu_ms": [2.0, 2.0, 2.0],
    "busy": [1.0, 1.0, 1.0],
    "calls": [8.0, 8.0, 8.0],
    "p99_ms": [50.0, 60.0, 70.0],
    "errors": [0.0, 1.0, 1.0],
}
THROUGHPUT = {
    GATHER.name: ROUND,
    GATHER_ALONE.name: ROUND,
    ARTICLE.name: {**ROUND, "pages_per_second": [10.0, 10.0, 20.0]},
}


def test_everybody_serves_the_same_page_and_the_peers_are_typed(
    record_property: Callable[[str, object], None],
) -> None:
    """In one test, since all of it needs the same environments."""
    smoke = run(sys.executable, "benchmarks/run.py", "--smoke")
    for contestant in CONTESTANTS:
        assert f"{contestant.name} serves the page" in smoke
    printed = run(sys.executable, "benchmarks/change.py")
    assert GATHER_ALONE.name in printed
    record_property("figure", printed)
    python = get_program("peers", "python")
    mypy = (sys.executable, "-m", "mypy", "--config-file=", "--strict", "--explicit-package-bases")
    cache = str(CACHE / ".mypy_cache")
    peers = ROOT / "benchmarks/peers"
    run(*mypy, "--python-executable", python, "--cache-dir", cache, ".", folder=peers)


def test_what_is_added_to_a_project_is_typed_and_tidy(copy: Copy, newest: Environment) -> None:
    project = add_measured(copy())
    newest.run(project, "ruff", "check", "--no-cache")
    newest.run(project, "ruff", "format", "--no-cache", "--check")
    newest.run(project, "mypy", "--cache-dir", str(newest.path / ".mypy_cache_measured"))


def test_a_figure_is_the_median_and_how_far_the_rounds_lie_apart() -> None:
    assert of([3, 1, 8]) == Figure(3, 1, 8)
    assert str(of([3, 1, 80])) == "3.00 (1.00 to 80.0)"
    assert str(of([1234.5])) == "1,234"


def test_a_ratio_is_taken_round_by_round() -> None:
    assert ratio([10, 40], [5, 10]) == Figure(3, 2, 4)


def test_a_target_is_reached_at_its_goal() -> None:
    assert at_least("speed", 40, of([40])).reached
    assert not at_least("speed", 40, of([39.9])).reached
    assert at_most("time", 2, of([2])).reached
    assert not at_most("time", 2, of([2.1])).reached


def test_each_target_stands_beside_what_was_measured() -> None:
    targets = list(find_targets({"throughput": THROUGHPUT}))
    assert [(t.name, t.goal, t.figure, t.reached) for t in targets] == [
        ("pages/s of gather / Django, a client per page", "at least 40", Figure(40, 25, 60), True),
        (
            "pages/s of gather, nothing reused / Django, a client per page",
            "",
            Figure(40, 25, 60),
            None,
        ),
    ]
    assert "40.0 (25.0 to 60.0)" in show_targets(targets)


def test_equal_work_has_goals_of_its_own() -> None:
    contestants = (GATHER, GATHER_ALONE, PERSONAL, STARLETTE, STREAM, STREAM_ALONE)
    throughput = {contestant.name: ROUND for contestant in contestants}
    start = {name: {"seconds": [1.0, 3.0, 2.0]} for name in (GATHER.name, STARLETTE.name)}
    found = find_targets({"throughput": throughput, "start": start})
    assert [(t.name, t.goal, t.reached) for t in found] == [
        ("pages/s of gather / Starlette, aiohttp", "at least 1.2", False),
        ("pages/s of gather, nothing reused / Starlette, aiohttp", "at least 0.9", True),
        ("pages/s of gather, one personal service / Starlette, aiohttp", "at least 1.3", False),
        ("pages/s of stream / gather", "at least 0.7", True),
        ("pages/s of stream, nothing reused / gather, nothing reused", "", None),
        ("seconds from start to first page, gather", "at most 1", False),
        ("seconds from start to first page, Starlette, aiohttp", "", None),
    ]
    assert "2.00 (1.00 to 3.00)" in show_start(start)


def test_the_answer_of_one_service_is_a_visitors_own() -> None:
    variables = PERSONAL.get_variables([1, 2], 50)
    assert variables["SHELF_1_URL"] == "http://127.0.0.1:1/50/new/"
    assert variables["SHELF_2_URL"] == "http://127.0.0.1:2/50/"


def test_a_part_that_was_not_measured_has_no_targets() -> None:
    assert not list(find_targets({}))


def test_memory_is_flat_or_not() -> None:
    [flat] = find_targets({"memory": {10_000: 80.0, 100_000: 82.0}})
    [leak] = find_targets({"memory": {10_000: 80.0, 100_000: 160.0}})
    assert flat.reached
    assert not leak.reached
    assert leak.name == "memory from 10,000 to 100,000 pages, % more"


def test_the_fastest_comes_first_and_errors_are_counted() -> None:
    *_, last = show_throughput(THROUGHPUT).splitlines()
    assert " ".join(last.split()) == (
        "Django, a client per page 10.0 40.0 (25.0 to 60.0) 2.00 100% 8.00 60.0 2"
    )


def test_columns_stand_below_each_other() -> None:
    table = show_table(("", "pages"), [("a", "1"), ("bcd", "1000")])
    assert table == "     pages\n----------\na        1\nbcd   1000"


def test_the_picture_is_read_aloud_adapts_to_the_dark_and_runs_nothing() -> None:
    drawn = draw(THROUGHPUT, 8, {"cpu": "<Any> & all", "system": "Linux 6"})
    root = ElementTree.fromstring(drawn)  # noqa: S314 - our own
    names = [element.tag.rpartition("}")[2] for element in root.iter()]
    assert names[:4] == ["svg", "title", "desc", "style"]
    assert "script" not in names
    assert names.count("rect") == 1 + len(THROUGHPUT)
    assert "prefers-color-scheme: dark" in drawn
    assert "Django, a client per page 0.03" in str(root[1].text)
    assert drawn.index(f">{GATHER_ALONE.name}<") < drawn.index(f">{GATHER.name}<")


def make_page(title: str, items: int = ITEMS, status: int = 200) -> Response:
    html = f"<h1>Shop</h1>\n<section><ul>{f'<li><h3>{title}</h3></li>' * items}</ul></section>"
    return Response(status, {}, html.encode())


def test_pages_are_the_same_whatever_their_white_space_and_attributes() -> None:
    assert look("<p class='a'>One\n  <b>two</b></p>") == look("<p>One <b>two</b> </p>")
    assert look("<p>One</p>") != look("<p>Two</p>")


def test_a_page_that_is_not_the_same_stops_the_run() -> None:
    check("first", make_page("A &amp; B"), 1)
    check("same", make_page("A &#38;  B"), 1)
    for page, said in (
        (make_page("A &amp; C"), "first show different text"),
        (make_page("A &amp; B", items=5), "1 sections with 5 items"),
        (make_page("A &amp; B", status=503), "status 503"),
    ):
        with pytest.raises(SystemExit, match=said):
            check("other", page, 1)


def run(*command: str, folder: Path = ROOT) -> str:
    """What a command prints."""
    process = subprocess.run(
        command,
        cwd=folder,
        env=clean_environment(),
        capture_output=True,
        text=True,
        check=False,
        timeout=600,
    )
    assert process.returncode == 0, process.stdout + process.stderr
    return process.stdout
