"""What the pages of a style cost, and the verdict on what is claimed of it."""

import asyncio
from dataclasses import replace
from typing import Any

import httpx
import pytest
from django.core.management import CommandError
from starlette.responses import RedirectResponse, Response

from comparison.measurement import AS_IT_IS, Measurement, Part, judge, measure, read_timings
from engine.conftest import serve

TIMINGS = "alpha;dur=150.0, beta;dur=50.0;desc=failed, total;dur=152.0"


async def answer(scope: Any, receive: Any, send: Any) -> None:
    """Pages by hand: the style in the path says which."""
    style = scope["path"].strip("/").removeprefix("compare/")
    response = Response("<!-- Server-Timing: a;dur=9, total;dur=9 --> not at the end")
    if style in ("header", "503"):
        status = 503 if style == "503" else 200
        response = Response("page", status, headers={"Server-Timing": TIMINGS})
    elif style == "comment":
        response = Response(f"page\n<!-- Server-Timing: {TIMINGS} -->\n")
    elif style == "elsewhere":
        response = RedirectResponse("/login/")
    elif style == "dropped":
        response = Response("page", headers={"Content-Length": "5"})
    await response(scope, receive, send)


PARTS = {"alpha": Part(), "beta": Part(required=True), "gamma": Part()}


def get_pages(style: str, pages: int = 3, at_once: int = 2) -> tuple[Measurement, int]:
    """The measurement of pages by hand, and how often it reported."""
    advanced: list[None] = []

    async def get(address: str) -> Measurement:
        async with httpx.AsyncClient(base_url=address, trust_env=False) as client:
            arguments = (client, f"/compare/{style}/", PARTS, lambda: advanced.append(None))
            return await measure(*arguments, "gather", pages, at_once)

    with serve(answer, lifespan="off") as address:
        return asyncio.run(get(address)), len(advanced)


@pytest.mark.parametrize("style", ["header", "comment", "503"])
def test_a_page_says_its_times_in_a_header_or_at_its_end(style: str) -> None:
    measured, advanced = get_pages(style)
    assert advanced == 3
    assert (measured.total, measured.sum, measured.slowest) == (0.152, 0.2, 0.15)
    assert measured.slowest_required == 0.05
    assert (measured.over_sum, measured.over_slowest) == (-0.048, 0.002)
    assert (measured.failed_sections, measured.stale_sections) == (3, 0)
    assert measured.problems == ({"status 503": 3} if style == "503" else {})


def test_who_comes_after_another_takes_its_time_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PARTS, "beta", Part(required=True, after=("alpha", "elsewhere")))
    measured, _ = get_pages("header")
    assert (measured.sections, measured.sum, measured.slowest) == (2, 0.2, 0.2)
    assert measured.slowest_required == 0.2


def test_a_view_of_ones_own_is_held_to_nothing() -> None:
    own = change(0, style=AS_IT_IS)[0]
    assert own.complaint == ""
    assert judge([own])[0] is None


@pytest.mark.parametrize(
    ("style", "problem"),
    [
        ("nothing", "3 x no Server-Timing"),
        ("elsewhere", "3 x status 307 to /login/"),
        ("dropped", "3 x RemoteProtocolError"),
    ],
)
def test_what_cannot_be_measured_is_one_line(style: str, problem: str) -> None:
    with pytest.raises(CommandError, match=f"^gather cannot be measured: {problem}.$"):
        get_pages(style)


@pytest.mark.parametrize(
    ("text", "timings"),
    [
        ("", {}),
        ("promo;dur=80.5", {"promo": (0.0805, "ok")}),
        ("promo;dur=80;desc=stale, total;dur=90", {"promo": (0.08, "stale"), "total": (0.09, "ok")}),
        ('cdn;desc="a, \\" b";dur=5,promo ; DUR = 1', {"cdn": (0.005, 'a, \\" b'), "promo": (0.001, "ok")}),
        ("a;dur=1, a;dur=2", {"a": (0.001, "ok")}),
        ("a, b;dur, c;dur=, d;dur=-1, e;dur=nan, f;dur=1e9, ;, \"", {}),
    ],
)  # fmt: skip
def test_odd_headers_are_read_as_far_as_they_go(text: str, timings: dict[str, object]) -> None:
    assert read_timings(text) == timings


MEASURED = Measurement(
    style="sync",
    p50=0.22,
    p95=0.25,
    first_byte=0.22,
    pages_per_second=40.0,
    total=0.215,
    sum=0.21,
    slowest=0.15,
    slowest_required=0.0,
    over_sum=0.005,
    over_slowest=0.065,
    sections=2,
    failed_sections=0,
    stale_sections=0,
    problems={},
)
GATHER = replace(MEASURED, style="gather", total=0.155, over_sum=-0.055, over_slowest=0.005)
HELD = [
    MEASURED,
    replace(MEASURED, style="naive"),
    GATHER,
    replace(GATHER, style="stream", first_byte=0.003),
]


def change(number: int, **figures: Any) -> list[Measurement]:
    """All hold, but one is changed."""
    return [replace(m, **figures) if n == number else m for n, m in enumerate(HELD)]


SYNC = "sync and naive = the sum of the services (210 ms)"


@pytest.mark.parametrize(
    ("measurements", "holds", "said"),
    [
        (
            HELD,
            True,
            f"Holds here: {SYNC}, gather and stream = the slowest service (150 ms), "
            "stream begins after 3 ms.",
        ),
        (
            change(2, total=0.19, over_slowest=0.04),
            False,
            "Does not hold here: gather took 190 ms, 27% more than the slowest service. "
            f"Holds: {SYNC}, stream = the slowest service (150 ms), stream begins after 3 ms.",
        ),
        (
            change(2, over_slowest=0.04, sections=12),
            True,
            f"Holds here: {SYNC}, gather and stream = the slowest service (150 ms), "
            "stream begins after 3 ms.",
        ),
        (
            change(1, total=0.155, over_sum=-0.055),
            False,
            "Does not hold here: naive took 155 ms, 26% less than the sum of the services. "
            "Holds: sync = the sum of the services (210 ms), "
            "gather and stream = the slowest service (150 ms), stream begins after 3 ms.",
        ),
        (
            change(3, first_byte=0.15),
            False,
            "Does not hold here: stream began after 150 ms, which is not at once. "
            f"Holds: {SYNC}, gather = the slowest service (150 ms).",
        ),
        (
            change(3, first_byte=0.15, slowest_required=0.15),
            True,
            f"Holds here: {SYNC}, gather and stream = the slowest service (150 ms), "
            "stream begins after what is required (150 ms).",
        ),
        (
            [replace(m, over_sum=0.2, over_slowest=0.2) for m in HELD[:1]],
            False,
            "Does not hold here: sync took 215 ms, 95% more than the sum of the services.",
        ),
        (
            [replace(m, sum=0.15) for m in HELD],
            None,
            "The slowest service takes 150 ms, all together take 150 ms: "
            "nothing to tell the styles apart.",
        ),
        (
            [replace(m, sum=0.004, slowest=0.002) for m in HELD],
            None,
            "The services answer at once, so there is nothing to wait for.",
        ),
        (
            change(0, failed_sections=2),
            True,
            f"Holds here: {SYNC}, gather and stream = the slowest service (150 ms), "
            "stream begins after 3 ms. Sections failed, and count with the time until they did.",
        ),
    ],
)
def test_the_verdict(measurements: list[Measurement], holds: bool | None, said: str) -> None:
    assert judge(measurements) == (holds, said)
