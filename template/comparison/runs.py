"""The comparison: the same page in every style, one after another, and how long each part took."""

import json
import logging
import math
from collections.abc import Awaitable, Sequence
from copy import copy
from hashlib import sha256
from time import perf_counter
from typing import Any, NamedTuple

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.core.cache import caches
from django.http import HttpRequest

from homepage.views import HOME, VIEWS

KEPT = 20  # runs
KEPT_FOR = 24 * 60 * 60.0  # seconds, from the last run on
STEPS = (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 6, 8, 10)  # a quarter of each is a round number

logger = logging.getLogger("fanout")


class Bar(NamedTuple):
    """One call: when it began and what it took, in seconds; nothing of what the service said."""

    name: str
    state: str
    start: float
    duration: float
    error: str = ""
    kept: bool = False  # the answer is older than the call


class Waterfall(NamedTuple):
    """One page, in seconds from the request on. JSON has it as a list."""

    style: str
    answered: str  # the style of the answer: under WSGI stream gives what sync does
    first_byte: float
    total: float
    bars: Sequence[Bar]  # in the order of the services


Run = Sequence[Waterfall]  # every style, in the order of VIEWS


async def add_run(request: HttpRequest) -> list[Run]:
    """Show every style to the visitor of `request`; the last KEPT runs, this one last."""
    request = copy(request)
    request.method = "GET"
    request.META = {**request.META, "HTTP_ACCEPT": "text/html"}
    request.user = await request.auser()  # one look into the database, before the clocks run
    for style in ("sync", "gather"):  # opens the connections of both, compiles the templates
        await _measure(style, request)
    run = [await _measure(style, request) for style in VIEWS]
    runs = [*await recall_runs(), run][-KEPT:]
    await _ask_cache(caches["fanout"].aset(_get_key(), json.dumps(runs), KEPT_FOR))
    return runs


async def recall_runs() -> list[Run]:
    """The runs of these styles and services so far, oldest first; none if the cache is down."""
    return read_runs(await _ask_cache(caches["fanout"].aget(_get_key())))


def read_runs(text: Any) -> list[Run]:
    """What `add_run` wrote. None if it is anything else: other programs may use the cache too."""
    try:
        runs: list[Run] = [[_read_waterfall(page) for page in run] for run in json.loads(text)]
    except (TypeError, ValueError, RecursionError):
        return []
    complete = all([page.style for page in run if page.bars] == list(VIEWS) for run in runs)
    return runs if complete else []


def get_p95(ordered: Sequence[float]) -> float:
    """What at most 5 of 100 exceed: the nearest rank, so always one of those that were measured."""
    return ordered[(95 * len(ordered) - 1) // 100]


def round_up(seconds: float) -> float:
    """The length of an axis that has room for `seconds`, with round numbers at its quarters."""
    unit = 10.0 ** math.floor(math.log10(max(seconds, 1e-4)))
    return next(unit * step for step in STEPS if unit * step >= seconds)


def format_ms(seconds: float) -> str:
    """The milliseconds, to be read: a tenth of one is shown below ten of them."""
    milliseconds = seconds * 1000
    return f"{round(milliseconds, 0 if abs(milliseconds) >= 10 else 1):,.9g}"


async def _measure(style: str, request: HttpRequest) -> Waterfall:
    view = VIEWS[style]
    begin = perf_counter()
    response = await (view if iscoroutinefunction(view) else sync_to_async(view))(request)
    first_byte = None
    if response.streaming:
        async for _ in response:
            first_byte = first_byte or perf_counter() - begin
    total = perf_counter() - begin
    bars = [
        Bar(s.name, s.state, s.start, s.duration, s.error, s.state == "ok" and s.age > s.duration)
        for s in response.page.sections
    ]
    return Waterfall(style, response.page.style, first_byte or total, total, bars)


async def _ask_cache(question: Awaitable[Any]) -> Any:
    try:
        return await question
    except Exception as error:
        logger.warning("The runs of the comparison are not kept: %s", error)


def _get_key() -> str:
    kind = [list(VIEWS), [(service.name, service.after) for service in HOME.sections]]
    return f"fanout:comparison:{sha256(repr(kind).encode()).hexdigest()}"


def _read_waterfall(value: Any) -> Waterfall:
    style, answered, first_byte, total, bars = value
    bars = [
        Bar(str(name), str(state), *_read_seconds(start, duration), str(error), bool(kept))
        for name, state, start, duration, error, kept in bars
    ]
    return Waterfall(style, answered, *_read_seconds(first_byte, total), bars)


def _read_seconds(first: float, second: float) -> tuple[float, float]:
    if not (0 <= first <= 1e6 and 0 <= second <= 1e6):
        raise ValueError
    return first, second
