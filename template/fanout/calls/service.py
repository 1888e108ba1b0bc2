"""A service: a backend that the page calls."""

import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Annotated, Any, get_args, get_type_hints

import httpx
from django.conf import settings

from fanout.calls.last_good import MAX_BYTES
from fanout.policies.breaker import Breaker
from fanout.policies.bulkhead import Bulkhead
from fanout.policies.retry import RetryBudget

Kind = tuple[str, Callable[[Any], bool]]  # what a value has to be: in words, and as a test


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) <= sys.float_info.max


SECONDS: Kind = (
    "a number of seconds above 0, up to 3600",
    lambda v: _is_number(v) and 0 < v <= 3600,
)
PERIOD: Kind = ("a number of seconds, 0 or more", lambda v: _is_number(v) and v >= 0)
COUNT: Kind = ("a whole number above 0", lambda v: type(v) is int and v > 0)
BYTES: Kind = (f"{COUNT[0]}, up to {MAX_BYTES}", lambda v: COUNT[1](v) and v <= MAX_BYTES)
FLAG: Kind = ("True or False", lambda v: isinstance(v, bool))


@dataclass(kw_only=True, eq=False)
class Service:
    """A backend, its options, and what this process knows of it from its calls so far."""

    name: str
    url: str
    timeout: Annotated[float, SECONDS] = 1.0  # the most one call may take
    personal: Annotated[bool, FLAG] = False  # gets `?user=<id>` of the viewer, if there is one
    required: Annotated[bool, FLAG] = False  # without it the page is a 503
    stale_for: Annotated[float, PERIOD] = 300.0  # how old an answer may be if a call fails
    cache_for: Annotated[float, PERIOD] = 0.0  # how old an answer may be to save a call
    coalesce: Annotated[bool, FLAG] = True  # equal calls at the same time are one
    retry: Annotated[bool, FLAG] = True  # a second try where that can help
    break_for: Annotated[float, PERIOD] = 5.0  # no calls after repeated failures; 0 is never
    concurrency: Annotated[int, COUNT] = 100  # calls at the same time, in one process
    max_bytes: Annotated[int, BYTES] = 1024 * 1024  # of an answer, unpacked

    def __post_init__(self) -> None:
        self.breaker = Breaker(self.name, self.break_for)
        self.bulkhead = Bulkhead(self.concurrency)
        self.retries = RetryBudget()

    @property
    def title(self) -> str:
        """The heading of its section, if its answer has none."""
        return self.name.replace("_", " ").capitalize()

    @cached_property
    def address(self) -> httpx.URL:
        """The URL, taken apart. Raises InvalidURL."""
        url = httpx.URL(self.url)
        if url.scheme not in ("http", "https") or not url.host:
            raise httpx.InvalidURL("it is not an http(s) address")
        # As WHATWG has it: pyreqwest does not send what it would have to write in another way.
        return url.copy_with(query=url.query.replace(b"'", b"%27")) if b"'" in url.query else url


get_service = cache(Service)  # one in a process for the same options


def services() -> list[Service]:
    """Every service of the page, with its options overlaid by `FANOUT`, in the order of sections."""
    urls, overlay = settings.FANOUT_URLS, settings.FANOUT
    return [
        get_service(name=name, url=urls.get(name, ""), **{**options, **overlay.get(name, {})})
        for name, options in settings.FANOUT_SERVICES.items()
    ]


def find_problems(options: object, overlaid: Mapping[str, object]) -> Iterator[str]:
    """What is wrong with `options` that are laid over others, a sentence each."""
    if not isinstance(options, dict):
        yield f"options are a dictionary, not {options!r}."
        return
    hints = get_type_hints(Service, include_extras=True)
    kinds: dict[str, Kind] = {n: get_args(hint)[1] for n, hint in hints.items() if get_args(hint)}
    for name, value in options.items():
        if name not in kinds:
            yield f"there is no option {name!r}; there are {', '.join(kinds)}."
        elif not kinds[name][1](value):
            yield f"{name!r} is {kinds[name][0]}, not {value!r}."
    both = {**overlaid, **options}
    if both.get("personal") and both.get("cache_for"):
        yield "'cache_for' is for services that are not 'personal'."
