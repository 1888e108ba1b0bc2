"""What the pages of a style cost a visitor, and whether they wait as the style says."""

import asyncio
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from statistics import median
from time import perf_counter
from typing import NamedTuple

import httpx
from django.core.management.base import CommandError
from django.utils.text import get_text_list

from comparison.runs import format_ms, get_p95

CLAIMS = {"sync": "sum", "naive": "sum", "gather": "slowest", "stream": "slowest"}
WORDS = {"sum": "the sum of the services", "slowest": "the slowest service"}
AS_IT_IS = "page"  # in place of a style, for a view of one's own, which may wait in any way
TOLERANCE = 0.1  # of that time: how much more or less a page may take, and
SLACK = 0.010  # seconds beside that for each section: rendering takes some in development

Timings = dict[str, tuple[float, str]]  # seconds and state, of each service and of the `total`


class Part(NamedTuple):
    """A service of the page; parts stand after those that they come after."""

    required: bool = False
    after: Sequence[str] = ()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One page: seconds until its first byte and its last, what it says itself, what is wrong."""

    first_byte: float
    whole: float
    timings: Timings
    problem: str


@dataclass(frozen=True, kw_only=True)
class Measurement:
    """The pages of a style. Times are in seconds, and medians but for `p95`."""

    style: str
    p50: float
    p95: float
    first_byte: float
    pages_per_second: float
    total: float  # of a page, without the way to the visitor
    sum: float  # of a page's services
    slowest: float  # of them, with those that it comes after
    slowest_required: float
    over_sum: float  # what a page took more than its services
    over_slowest: float
    sections: int  # of a page
    failed_sections: int
    stale_sections: int
    problems: dict[str, int]  # how many pages had them

    @property
    def claimed(self) -> float:
        """What a page of this style waits for."""
        return self.sum if CLAIMS.get(self.style) == "sum" else self.slowest

    @property
    def complaint(self) -> str:
        """What is not as claimed, if anything."""
        if not (claim := CLAIMS.get(self.style)):
            return ""
        over = self.over_sum if claim == "sum" else self.over_slowest
        if abs(over) > TOLERANCE * self.claimed + SLACK * self.sections:
            than = f"{abs(over) / self.claimed:.0%} {'more' if over > 0 else 'less'} than"
            return f"{self.style} took {show_ms(self.total)}, {than} {WORDS[claim]}"
        if self.style == "stream" and self.first_byte > self.slowest_required + self.slowest / 2:
            return f"stream began after {show_ms(self.first_byte)}, which is not at once"
        return ""


def show_ms(seconds: float) -> str:
    """Seconds as milliseconds, for people."""
    return f"{format_ms(seconds)} ms"


def read_timings(text: str) -> Timings:
    """What a Server-Timing header says; no `desc` is `ok`, and what has no time is left out.

    https://www.w3.org/TR/server-timing/
    """
    timings: Timings = {}
    for entry in re.findall(r'(?:"(?:\\.|[^"\\])*"|[^,])+', text):
        name, *parameters = (part.strip() for part in entry.split(";"))
        pairs = [parameter.partition("=") for parameter in parameters]
        values = {key.strip().lower(): value.strip(' "') for key, _, value in pairs}
        if re.fullmatch(r"[0-9]{1,9}(\.[0-9]+)?", values.get("dur", "")):
            timings.setdefault(name, (float(values["dur"]) / 1000, values.get("desc", "ok")))
    return timings


async def measure(
    client: httpx.AsyncClient,
    path: str,
    parts: Mapping[str, Part],
    advance: Callable[[], None],
    style: str,
    pages: int,
    at_once: int,
) -> Measurement:
    """Get so many pages, `at_once` at a time; `advance` is called after each. See `summarize`."""
    samples = []
    left = iter(range(pages))

    async def take_turns() -> None:
        for _ in left:
            samples.append(await _get(client, path))
            advance()

    begin = perf_counter()
    await asyncio.gather(*[take_turns() for _ in range(min(pages, at_once))])
    return summarize(style, samples, parts, perf_counter() - begin)


async def _get(client: httpx.AsyncClient, path: str) -> Sample:
    begin = perf_counter()
    first_byte, body, said, problem = 0.0, b"", "", ""
    try:
        async with client.stream("GET", path) as response:
            async for chunk in response.aiter_raw():
                first_byte = first_byte or perf_counter() - begin
                body += chunk
    except httpx.HTTPError as error:
        problem = type(error).__name__
    else:
        # A streamed page knows its times only after its headers, and ends in a comment.
        comment = re.search(rb"<!-- Server-Timing: (.*) -->\s*\Z", body)
        said = response.headers.get("Server-Timing") or (comment[1].decode() if comment else "")
        if response.status_code != 200:
            to = response.headers.get("Location")
            problem = f"status {response.status_code}" + (f" to {to}" if to else "")
        elif not said:
            problem = "no Server-Timing"
    whole = perf_counter() - begin
    return Sample(first_byte=first_byte, whole=whole, timings=read_timings(said), problem=problem)


def summarize(
    style: str, samples: Sequence[Sample], parts: Mapping[str, Part], seconds: float
) -> Measurement:
    """The figures of pages that took `seconds` together; `parts` are their services.

    Raises CommandError if no page says its times.
    """
    problems = Counter(sample.problem for sample in samples if sample.problem)
    timed = [sample for sample in samples if "total" in sample.timings]
    if not timed:
        raise CommandError(f"{style} cannot be measured: {describe(problems)}.")
    whole = sorted(round(sample.whole, 6) for sample in timed)
    totals = [sample.timings["total"][0] for sample in timed]
    pages = [{name: v.timings[name] for name in parts if name in v.timings} for v in timed]
    sums = [sum(time for time, _ in page.values()) for page in pages]
    ends = [_find_ends(page, parts) for page in pages]
    slowest = [max(end.values(), default=0.0) for end in ends]
    needed = [max((end[n] for n in end if parts[n].required), default=0.0) for end in ends]
    states = Counter(state for page in pages for _, state in page.values())
    return Measurement(
        style=style,
        p50=_median(whole),
        p95=get_p95(whole),
        first_byte=_median(sample.first_byte for sample in timed),
        pages_per_second=round(len(timed) / seconds, 1),
        total=_median(totals),
        sum=_median(sums),
        slowest=_median(slowest),
        slowest_required=_median(needed),
        over_sum=_median(t - s for t, s in zip(totals, sums, strict=True)),
        over_slowest=_median(t - s for t, s in zip(totals, slowest, strict=True)),
        sections=max(map(len, pages)),
        failed_sections=states["failed"],
        stale_sections=states["stale"],
        problems=dict(problems),
    )


def _find_ends(page: Timings, parts: Mapping[str, Part]) -> dict[str, float]:
    """When each service is done if none waits for another without need, in seconds."""
    ends: dict[str, float] = {}
    for name, (seconds, _) in page.items():
        ends[name] = seconds + max((ends.get(n, 0.0) for n in parts[name].after), default=0.0)
    return ends


def _median(seconds: Iterable[float]) -> float:
    return round(median(seconds), 6)


def describe(problems: Mapping[str, int]) -> str:
    """How many pages had which problem."""
    return ", ".join(f"{count} x {problem}" for problem, count in problems.items())


def judge(measurements: Sequence[Measurement]) -> tuple[bool | None, str]:
    """Whether all that is claimed holds, None if that cannot be told, and a line that says it."""
    if not any(m.style in CLAIMS for m in measurements):
        return None, "The view of this page is its own, so there is no style to hold it to."
    total = median(m.sum for m in measurements)
    slowest = median(m.slowest for m in measurements)
    failed = any(m.failed_sections for m in measurements)
    but = " Sections failed, and count with the time until they did." if failed else ""
    if slowest < SLACK:
        return None, f"The services answer at once, so there is nothing to wait for.{but}"
    if total - slowest <= TOLERANCE * slowest + SLACK:
        both = f"The slowest service takes {show_ms(slowest)}, all together take {show_ms(total)}"
        return None, f"{both}: nothing to tell the styles apart.{but}"
    holds = ", ".join(filter(None, (_confirm(claim, measurements) for claim in WORDS)))
    if broken := "; ".join(filter(None, (m.complaint for m in measurements))):
        return False, f"Does not hold here: {broken}.{holds and f' Holds: {holds}.'}{but}"
    return True, f"Holds here: {holds}.{but}"


def _confirm(claim: str, measurements: Sequence[Measurement]) -> str:
    """What holds of that claim, if anything."""
    those = [m for m in measurements if CLAIMS[m.style] == claim and not m.complaint]
    if not those:
        return ""
    styles = get_text_list([m.style for m in those], "and")
    holds = f"{styles} = {WORDS[claim]} ({show_ms(median(m.claimed for m in those))})"
    for m in those:
        if m.style == "stream":
            begins = show_ms(m.first_byte)
            begins = f"what is required ({begins})" if m.slowest_required else begins
            holds += f", stream begins after {begins}"
    return holds
