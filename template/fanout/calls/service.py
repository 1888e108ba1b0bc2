"""A service: a backend that pages call. All that is said about one stands in its class."""

import os
import re
import sys
from collections.abc import Callable, Iterator
from difflib import get_close_matches
from functools import cache, cached_property
from importlib import import_module
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


class Service:
    """A backend, its options, and what this process knows of it from its calls so far."""

    name: str  # `new_books` for a class `NewBooks` that says no other
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

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            words = re.sub("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__)
            cls.name = words.lower()

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self.breaker = Breaker(name, self.break_for)
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


@cache
def get_service(cls: type[Service], name: str, url: str) -> Service:
    """The one in this process of this class, name and URL."""
    return cls(name, url)


def services(*, everywhere: bool = False) -> list[Service]:
    """Those of the homepage, in the order of sections; or first those, then all with a class."""
    classes: dict[str, Any] = {cls.name: cls for cls in get_classes(settings.FANOUT_CLASSES)}
    names = dict.fromkeys([*settings.FANOUT_SERVICES, *(classes if everywhere else ())])
    return [get_service(classes.get(name, Service), name, _get_url(name)) for name in names]


def _get_url(name: str) -> str:
    if name in settings.FANOUT_URLS:  # the homepage's
        return str(settings.FANOUT_URLS[name])
    fakes = settings.FAKES_URL
    return os.environ.get(f"{name.upper()}_URL") or (fakes and f"{fakes}/{name}/")


@cache
def get_classes(module: str) -> list[type[Service]]:
    """The classes of a module that are services: none with an underscore, a base for others."""
    found = [c for c in vars(import_module(module)).values() if isinstance(c, type)]
    own = [c for c in found if issubclass(c, Service) and c.__module__ == module]
    return [cls for cls in dict.fromkeys(own) if not cls.__name__.startswith("_")]


def find_problems(cls: type[Service]) -> Iterator[str]:
    """What is wrong with the name and the options of a class, a sentence each."""
    if not (isinstance(cls.name, str) and re.fullmatch("[a-z][a-z0-9_]*", cls.name)):
        yield f"'name' is a Python name in lower case, not {cls.name!r}."
    hints = get_type_hints(Service, include_extras=True)
    kinds: dict[str, Kind] = {n: get_args(hint)[1] for n, hint in hints.items() if get_args(hint)}
    for option, (words, accepts) in kinds.items():
        if not accepts(value := getattr(cls, option)):
            yield f"{option!r} is {words}, not {value!r}."
    if cls.personal and cls.cache_for:
        yield "'cache_for' is for services that are not 'personal'."
    for own in sorted(set(dir(cls)) - set(dir(Service))):
        if own == "url":
            yield "'url' is no option; <NAME>_URL in the environment is the address."
        elif not own.startswith("_") and (near := get_close_matches(own, kinds, 1, 0.8)):
            yield f"there is no option {own!r}; did you mean {near[0]!r}?"
