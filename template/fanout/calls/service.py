"""A service: a backend that pages call. All that is said about one stands in its class."""

import re
import sys
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping
from difflib import get_close_matches
from functools import cache, cached_property
from graphlib import TopologicalSorter
from importlib import import_module
from inspect import iscoroutinefunction
from typing import Annotated, Any, get_args, get_type_hints

import httpx
from django.conf import settings
from environs import env

from fanout.calls.auth import get_secrets, spell
from fanout.calls.mistake import BadAnswer, Mistake, name
from fanout.calls.section import GONE, read_json
from fanout.calls.visit import Visit
from fanout.policies.breaker import Breaker
from fanout.policies.bulkhead import Bulkhead
from fanout.policies.retry import RetryBudget

MAX_BYTES = 32 * 1024 * 1024  # that the option `max_bytes` may allow
MASKED = 8  # bytes of a secret: in answers, shorter ones would mask words and numbers
TAKEN = ("cache", "database", "default", "fakes", "total")  # variables, a template, a timing
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
CHOICE: Kind = ("True, False or None", lambda v: v is None or isinstance(v, bool))
STATUSES: Kind = (
    "a tuple of statuses from 200 to 499, such as (204, 404)",
    lambda v: isinstance(v, tuple) and all(type(s) is int and 200 <= s < 500 for s in v),
)
NAMES: Kind = (
    'a tuple of names of services, such as ("profile",)',
    lambda v: isinstance(v, tuple) and all(isinstance(name, str) for name in v),
)


class Service:
    """A backend, its options, and what this process knows of it from its calls so far.

    `request` and `read` are for classes to override. They depend on their argument alone.
    """

    name: str  # `new_books` for a class `NewBooks` that says no other
    timeout: Annotated[float, SECONDS] = 1.0  # the most one call may take
    personal: Annotated[bool, FLAG] = False  # gets `?user=<id>` of the viewer, if there is one
    required: Annotated[bool, FLAG] = False  # without it there is no page that says no other
    after: Annotated[tuple[str, ...], NAMES] = ()  # whose sections `request` needs
    stale_for: Annotated[float, PERIOD] = 300.0  # how old an answer may be if a call fails
    cache_for: Annotated[float, PERIOD] = 0.0  # how old an answer may be to save a call
    empty: Annotated[tuple[int, ...], STATUSES] = (204,)  # that say that there is nothing to show
    coalesce: Annotated[bool, FLAG] = True  # equal calls at the same time are one
    retry: Annotated[bool | None, CHOICE] = None  # a second try can help; None is for GET and HEAD
    break_for: Annotated[float, PERIOD] = 5.0  # no calls after repeated failures; 0 is never
    concurrency: Annotated[int, COUNT] = 100  # calls at the same time, in one process
    max_bytes: Annotated[int, BYTES] = 1024 * 1024  # of an answer, unpacked

    def __init_subclass__(cls) -> None:
        if "name" not in vars(cls):
            words = re.sub("(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])", "_", cls.__name__)
            cls.name = words.lower()

    def __init__(self, name: str, address: str) -> None:
        self.name, self.address = name, address
        self.breaker = Breaker(name, self.break_for)
        self.bulkhead = Bulkhead(self.concurrency)
        self.retries = RetryBudget()
        self.mistakes: Counter[Hashable] = Counter()  # how often each was made
        self.alone = False  # whether no call may be shared, since `auth` knows who visits

    def request(self, visit: Visit) -> httpx.Request | None:
        """What to send for a visit; None if there is nothing to ask, which is an empty section."""
        return httpx.Request("GET", self.locate(self.identify(visit)))

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        """A section's `title`, its `items`, and what else its template shows, of a 2xx."""
        data: Mapping[str, object] = read_json(response.content)
        return data

    @property
    def auth(self) -> httpx.Auth | None:
        """What proves who we are. Of an answer it sees the status and the headers."""
        return None

    @property
    def title(self) -> str:
        """The heading of its section, if its answer has none."""
        return self.name.replace("_", " ").capitalize()

    @cached_property
    def reads(self) -> bool:
        """Whether the class reads answers in its own way."""
        return type(self).read is not Service.read

    @cached_property
    def url(self) -> httpx.URL:
        """The address, taken apart. Raises BadAnswer."""
        try:
            return make_url(self.address)
        except httpx.InvalidURL:
            unset = "is no http(s) address" if self.address else "is not set"
            message = f"cannot be called: {self.name.upper()}_URL {unset}"
            raise BadAnswer(message, None if self.address else GONE[0]) from None

    @property
    def faked(self) -> bool:
        """Whether the fake answers: it knows no secrets, and nobody has to prove anything."""
        return bool(settings.FAKES_URL) and self.address.startswith(f"{settings.FAKES_URL}/")

    def identify(self, visit: Visit) -> str:
        """The viewer's id, if there is one and the service is personal."""
        return str(visit.viewer.pk) if self.personal and visit.viewer else ""

    def locate(self, user: str) -> httpx.URL:
        """The address; it says who the viewer is, if they have an id."""
        return self.url.copy_merge_params({"user": user}) if user else self.url

    @cached_property
    def authenticate(self) -> httpx.Auth | None:
        """The one `auth` of this process, so that calls share what it knows. Raises BadAnswer."""
        who = name(self, "auth")
        try:
            auth = None if self.faked else self.auth
        except Exception as error:
            raise Mistake.of(who, error) from None
        if not isinstance(auth, httpx.Auth | None):
            raise Mistake(f"{who} gives {type(auth).__name__}, which is no httpx.Auth")
        return auth

    def says(self, option: str) -> bool:
        """Whether a class says something of an option."""
        bases = type(self).__mro__
        return any(option in vars(cls) for cls in bases[: bases.index(Service)])

    def mask(self, text: bytes, least: int = 1) -> bytes:
        """A text without the values of the class's secrets that have at least so many bytes."""
        for secret in self.secrets:
            text = text.replace(secret, b"***") if len(secret) >= least else text
        return text

    @cached_property
    def secrets(self) -> list[bytes]:
        """Their values, also as they stand in an address, JSON, HTML and `repr`; longest first."""
        spellings = [spell(secret.value) for secret in get_secrets(type(self))]
        return sorted(set().union(*spellings), key=len, reverse=True)


def make_url(text: str | httpx.URL) -> httpx.URL:
    """An http(s) address. Raises InvalidURL."""
    url = httpx.URL(text)
    if url.scheme not in ("http", "https") or not url.host:
        raise httpx.InvalidURL("it is not an http(s) address")
    return url


@cache
def get_service(cls: type[Service], name: str, address: str) -> Service:
    """The one in this process of this class, name and address."""
    return cls(name, address)


def services(*, everywhere: bool = False) -> list[Service]:
    """Those of the homepage, in the order of sections; or first those, then all with a class."""
    classes = get_classes(settings.FANOUT_CLASSES) if everywhere else ()
    return find_services([*settings.FANOUT_SERVICES, *classes])


def find_services(chosen: Iterable[type[Service] | str]) -> list[Service]:
    """The services of classes, or of names; those of a name without a class are plain."""
    known: dict[str, Any] = {cls.name: cls for cls in get_classes(settings.FANOUT_CLASSES)}
    pairs = [(c, known.get(c, Service)) if isinstance(c, str) else (c.name, c) for c in chosen]
    urls = settings.FANOUT_URLS  # the homepage's
    return [
        get_service(cls, name, str(urls[name]) if name in urls else _get_address(name))
        for name, cls in dict(pairs).items()
    ]


def put_in_order(services: list[Service]) -> list[Service]:
    """The same, each after those whose sections it needs. Raises graphlib.CycleError."""
    if not any(service.after for service in services):
        return services
    known = {service.name: service for service in services}
    graph = {s.name: [name for name in s.after if name in known] for s in services}
    return [known[name] for name in TopologicalSorter(graph).static_order()]


def _get_address(name: str) -> str:
    fakes = settings.FAKES_URL
    return env.str(f"{name.upper()}_URL", default="") or (fakes and f"{fakes}/{name}/")


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
    elif cls.name in TAKEN:
        yield f"'name' is not {cls.name!r}, which is the name of something else."
    hints = get_type_hints(Service, include_extras=True)
    kinds: dict[str, Kind] = {n: get_args(hint)[1] for n, hint in hints.items() if get_args(hint)}
    for option, (words, accepts) in kinds.items():
        if not accepts(value := getattr(cls, option)):
            yield f"{option!r} is {words}, not {value!r}."
    for method in (cls.request, cls.read):
        if iscoroutinefunction(method):
            yield f"'{method.__name__}' is async, but it may wait for nothing: write def."
    if cls.url is not Service.url:
        yield "'url' is no option; <NAME>_URL in the environment is the address."
    for own in sorted(set(dir(cls)) - set(dir(Service))):
        if not own.startswith("_") and (near := get_close_matches(own, kinds, 1, 0.8)):
            yield f"there is no option {own!r}; did you mean {near[0]!r}?"
