"""What is kept of an answer, and for how long: the class says it, or else HTTP does."""

import gzip
from collections import Counter
from collections.abc import Callable, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from pytest_django import Settings
from starlette.responses import Response

from engine.conftest import make_service, serve
from engine.visitors import forget_readings, make_reply, make_visit
from fanout import Service, Visit
from fanout.calls import answer as answer_module
from fanout.calls import fetch as module
from fanout.calls import last_good as kept_module
from fanout.calls.answer import Readings, readings
from fanout.calls.auth import Flow
from fanout.calls.last_good import LastGood, last_good
from fanout.calls.section import Section
from fanout.calls.transport import HttpxTransport

FAILS = 500
ANNA: Any = SimpleNamespace(pk=1)
BERT: Any = SimpleNamespace(pk=2)

Ask = Callable[..., Section]


class Upstream(httpx.AsyncBaseTransport):
    """What a service answers, which a test may change, and how often it was asked."""

    def __init__(self) -> None:
        """Answer well, and say nothing of caches."""
        self.status, self.body = 200, b'{"title": "Good", "items": []}'
        self.headers: list[tuple[str, str]] = []
        self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        self.calls += 1
        headers = [(name.encode(), value.encode("latin-1")) for name, value in self.headers]
        return httpx.Response(self.status, headers=headers, stream=httpx.ByteStream(self.body))

    def control(self, value: str) -> None:
        """Say this of caches."""
        self.headers = [("Cache-Control", value)]


@pytest.fixture
def upstream(monkeypatch: pytest.MonkeyPatch) -> Upstream:
    """Behind all services."""
    upstream = Upstream()
    transport = HttpxTransport(upstream)
    monkeypatch.setattr(module, "get_transport", lambda: transport)
    return upstream


@pytest.fixture(params=["blocking", "async"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Get a service's section for a viewer, in either way of waiting."""
    fetch = module.fetch if request.param == "blocking" else async_to_sync(module.afetch)
    return lambda service, viewer=None: fetch(service, make_visit(viewer))


@pytest.fixture
def shared(settings: Settings, tmp_path: Path) -> None:
    """A cache that other processes see."""
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": tmp_path}}


def wait_for_cache() -> None:
    """Go on when all has been done that is to be done for the cache."""
    places = [last_good._places.acquire() for _ in range(32)]
    last_good._places.release(len(places))


def restart() -> None:
    """Go on as another process."""
    wait_for_cache()
    last_good.clear()
    forget_readings()


def make(cls: type[Service] = Service, **options: Any) -> Service:
    """A service that is never paused."""
    own: type[Service] = type("Alpha", (cls,), {"break_for": 0.0, **options})
    return own("alpha", "http://alpha.test/")


def check_lifetimes(
    ask: Ask, upstream: Upstream, clock: list[float], service: Service, fresh: int, stale: int
) -> None:
    """See for how many seconds an answer saves calls, and for how many it is shown without one."""
    begin, calls = clock[0], upstream.calls + 1
    assert ask(service).state == "ok"
    assert upstream.calls == calls
    upstream.status = FAILS
    if fresh:
        clock[0] = begin + fresh - 1
        assert ask(service).state == "ok"
        assert upstream.calls == calls
    for seconds in sorted({fresh, stale - 1, stale} - {-1}):
        if seconds >= fresh:
            clock[0] = begin + seconds
            assert ask(service).state == ("stale" if seconds < stale else "failed")
            calls += 1
            assert upstream.calls == calls


@pytest.mark.parametrize(
    ("control", "fresh", "stale"),
    [
        ("", 0, 300),
        ("public", 0, 300),
        ("max-age=60", 60, 300),
        ("Max-Age=60", 60, 300),
        ('max-age="60"', 60, 300),
        ("public,max-age=60,x=1", 60, 300),
        ("max-age=0", 0, 300),
        ("max-age=60, s-maxage=10", 10, 300),
        ("s-maxage=10, max-age=60", 10, 300),
        ("s-maxage=0, max-age=60", 0, 300),
        ("max-age=60, no-cache", 0, 300),
        ('no-cache="x-name", max-age=60', 0, 300),
        ("no-cache", 0, 300),
        ("stale-if-error=600", 0, 600),
        ("stale-if-error=0", 0, 0),
        ("max-age=60, stale-if-error=600", 60, 600),
        ("max-age=3601, stale-if-error=9000", 3600, 9000),
        ("max-age=99999999999999999999, stale-if-error=9000", 3600, 9000),
        ("stale-if-error=999999999", 0, 86400),
        ("max-age", 0, 300),
        ("max-age=", 0, 300),
        ("max-age=soon", 0, 300),
        ("max-age=-1", 0, 300),
        ('x="max-age=60, no-store"', 0, 300),
        ("x-max-age=60", 0, 300),
        ("=, ;,,", 0, 300),
        ("max-age=60, must-revalidate", 60, 0),
        ("Proxy-Revalidate, stale-if-error=600", 0, 0),
        ("private", 0, 0),
        ("private, max-age=60", 0, 0),
        ('private="x-name", max-age=60, stale-if-error=600', 0, 0),
    ],
)
def test_an_answer_says_how_long_it_holds(
    ask: Ask, upstream: Upstream, clock: list[float], control: str, fresh: int, stale: int
) -> None:
    upstream.control(control)
    check_lifetimes(ask, upstream, clock, make(), fresh, stale)


def test_it_may_say_so_in_two_lines(ask: Ask, upstream: Upstream, clock: list[float]) -> None:
    upstream.headers = [("Cache-Control", "max-age=60"), ("cache-control", "stale-if-error=600")]
    check_lifetimes(ask, upstream, clock, make(), 60, 600)


@pytest.mark.parametrize(
    ("options", "control", "fresh", "stale"),
    [
        ({"cache_for": 30}, "", 30, 300),
        ({"cache_for": 30}, "max-age=60, stale-if-error=600", 30, 600),
        ({"cache_for": 0}, "max-age=60", 0, 300),
        ({"cache_for": 30}, "no-cache", 30, 300),
        ({"cache_for": 7200, "stale_for": 9000}, "", 7200, 9000),
        ({"stale_for": 100}, "max-age=60, stale-if-error=600", 60, 100),
        ({"stale_for": 0}, "max-age=60, stale-if-error=600", 60, 0),
        ({"stale_for": 100}, "must-revalidate", 0, 100),
        ({"cache_for": 30, "stale_for": 100}, "max-age=60, stale-if-error=600", 30, 100),
        ({"cache_for": 30, "stale_for": 100}, "private", 0, 0),
    ],
)
@pytest.mark.parametrize("base", [False, True])
def test_but_what_a_class_says_wins(
    ask: Ask,
    upstream: Upstream,
    clock: list[float],
    options: dict[str, Any],
    control: str,
    fresh: int,
    stale: int,
    base: bool,
) -> None:
    upstream.control(control)
    service = make(type("_Base", (Service,), options)) if base else make(**options)
    check_lifetimes(ask, upstream, clock, service, fresh, stale)


@pytest.mark.usefixtures("shared")
def test_what_may_not_be_stored_is_nowhere(ask: Ask, upstream: Upstream) -> None:
    upstream.control("max-age=60, No-Store")
    service = make(cache_for=60)
    assert ask(service).state == ask(service).state == "ok"
    assert upstream.calls == 2
    assert not last_good._kept["alpha"]
    assert not readings._known
    restart()
    upstream.status = FAILS
    assert ask(service).state == "failed"


who: ContextVar[str] = ContextVar("who")


class Proof(httpx.Auth):
    """Shows who asks, of which the engine knows nothing."""

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Set a header."""
        request.headers["Authorization"] = who.get("nobody")
        yield request


def send_header(service: Service, visit: Visit) -> httpx.Request:
    """Who asks, in a header, if anybody does."""
    headers = {"X-User": str(visit.viewer.pk)} if visit.viewer else None
    return httpx.Request("GET", service.url, headers=headers)


def send_body(service: Service, visit: Visit) -> httpx.Request:
    """Who asks, in a body."""
    return httpx.Request("POST", service.url, json={"user": visit.viewer and visit.viewer.pk})


def send_known(service: Service, visit: Visit) -> httpx.Request:
    """Who asks, which fails for nobody."""
    viewer: Any = visit.viewer
    return httpx.Request("GET", service.url, headers={"X-User": str(viewer.pk)})


def send_nothing(service: Service, visit: Visit) -> httpx.Request | None:
    """Nothing for nobody; else what does not depend on who asks."""
    return httpx.Request("GET", service.url) if visit.viewer else None


def send_plain(service: Service, visit: Visit) -> httpx.Request:
    """The same for everybody."""
    return httpx.Request("GET", service.url)


@pytest.mark.parametrize(
    "options",
    [
        {"personal": True},
        {"request": send_header},
        {"request": send_body},
        {"request": send_known},
        {"personal": True, "auth": Proof()},
    ],
)
def test_what_is_private_is_kept_for_the_one_who_is_in_the_request(
    ask: Ask, upstream: Upstream, options: dict[str, Any]
) -> None:
    upstream.control("private, max-age=60")
    service = make(**options)
    assert ask(service, ANNA).state == ask(service, ANNA).state == "ok"
    assert upstream.calls == 1
    upstream.status = FAILS
    assert ask(service, BERT).state == "failed"
    assert ask(service, ANNA).state == "ok"
    assert upstream.calls == 2


@pytest.mark.parametrize(
    "options", [{}, {"request": send_plain}, {"request": send_plain, "auth": Proof()}]
)
def test_and_for_nobody_if_the_request_is_everybodys(
    ask: Ask, upstream: Upstream, options: dict[str, Any]
) -> None:
    upstream.control("private, max-age=60")
    service = make(**options)
    assert ask(service, ANNA).state == ask(service, ANNA).state == "ok"
    assert upstream.calls == 2
    assert not last_good._kept["alpha"]
    upstream.status = FAILS
    assert [ask(service, viewer).state for viewer in (ANNA, BERT, None)] == ["failed"] * 3


def test_nobody_has_no_part_in_what_is_asked_only_for_somebody(
    ask: Ask, upstream: Upstream
) -> None:
    upstream.control("private, max-age=60")
    service = make(request=send_nothing)
    assert (ask(service, ANNA).state, upstream.calls) == ("ok", 1)
    section = ask(service)
    assert (section.state, section.empty, section.status, upstream.calls) == ("ok", True, None, 1)


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("status", [404, 410])
@pytest.mark.parametrize("empty", [(), (404, 410)])
def test_what_is_gone_is_never_stale(
    ask: Ask, upstream: Upstream, status: int, empty: tuple[int, ...]
) -> None:
    service = make(empty=empty)
    assert ask(service).state == "ok"
    restart()
    upstream.status = FAILS
    assert ask(service).state == "stale"  # from the cache
    upstream.status = status
    section = ask(service)
    assert (section.state, section.status) == ("ok" if empty else "failed", status)
    assert section.empty == bool(empty)
    wait_for_cache()
    upstream.status = FAILS
    assert ask(service).state == "failed"
    restart()
    assert ask(service).state == "failed"


@pytest.mark.parametrize("status", [400, 401, 403, 302])
def test_other_refusals_leave_what_was(ask: Ask, upstream: Upstream, status: int) -> None:
    service = make()
    assert ask(service).state == "ok"
    upstream.status = status
    section = ask(service)
    assert (section.state, section.status, section.title) == ("stale", status, "Good")


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize(("status", "body"), [(204, b""), (403, b"<html>"), (206, b"[")])
def test_a_status_that_says_that_there_is_nothing_is_an_answer_and_kept(
    ask: Ask, upstream: Upstream, status: int, body: bytes
) -> None:
    upstream.status, upstream.body = status, body
    service = make(empty=(204, 206, 403))
    section = ask(service)
    assert (section.state, section.status, section.title) == ("ok", status, "Alpha")
    assert section.empty
    assert section.items == []
    upstream.status = FAILS
    for again in (wait_for_cache, restart):
        again()
        section = ask(service)
        assert (section.state, section.empty) == ("stale", True)


class Reading(Service):
    """Counts how often it reads, and what."""

    looks = False

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        """A title."""
        read.update([response.headers["ETag"] if self.looks else "read"])
        return {"title": response.json()["name"], "items": []}


read: Counter[str] = Counter()


@pytest.fixture
def reading(upstream: Upstream) -> Upstream:
    """Answers that are for Reading."""
    read.clear()
    upstream.body = b'{"name": "Good"}'
    upstream.headers = [("Date", "today"), ("Age", "1"), ("ETag", "1")]
    return upstream


def test_an_answer_is_read_once_while_it_is_kept(
    ask: Ask, reading: Upstream, clock: list[float]
) -> None:
    service = make(Reading, cache_for=60)
    assert [ask(service).title for _ in range(3)] == ["Good"] * 3
    clock[0] += 60
    reading.status = FAILS
    assert [ask(service).state for _ in range(3)] == ["stale"] * 3
    assert read == {"read": 1}


def test_equal_answers_are_read_and_rendered_once(ask: Ask, reading: Upstream) -> None:
    service = make(Reading)
    first = ask(service)
    reading.headers = [("Date", "tomorrow"), ("X-Request-ID", "2"), ("ETag", "1")]
    second = ask(service)
    assert read == {"read": 1}
    assert second.data is first.data
    assert second.html is first.html
    reading.body = b'{"name": "Better"}'
    third = ask(service)
    assert third.title == "Better"
    assert third.html is not first.html
    reading.status = 201
    assert ask(service).html is not third.html


def test_others_have_other_headers_which_a_class_may_read(ask: Ask, reading: Upstream) -> None:
    service = make(Reading, looks=True)
    ask(service)
    reading.headers = [("Date", "tomorrow"), ("ETag", "2")]
    assert ask(service).html is ask(service).html
    assert read == {"1": 1, "2": 1}


def test_two_services_read_equal_answers_in_their_own_ways(ask: Ask, reading: Upstream) -> None:
    other = make_service("beta", "http://alpha.test/", read=lambda self, response: {"items": []})
    assert [ask(make(Reading)).title, ask(other).title] == ["Good", "Beta"]
    assert ask(make()).error == "answered with an object without items"


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("looks", [False, True])
def test_what_comes_from_the_cache_is_read_anew(ask: Ask, reading: Upstream, looks: bool) -> None:
    service = make(Reading, looks=looks)
    ask(service)
    restart()
    reading.status = FAILS
    assert [ask(service).title for _ in range(3)] == ["Good"] * 3
    assert list(read.values()) == [2]


@pytest.mark.usefixtures("shared")
def test_what_is_kept_is_what_came_but_for_cookies_and_when_and_how_it_came(
    ask: Ask, upstream: Upstream
) -> None:
    came: list[tuple[Any, ...]] = []

    def read(service: Service, response: httpx.Response) -> Mapping[str, object]:
        came.append((response.status_code, response.headers.raw, response.content))
        return {"items": []}

    body = b'\xff\x00{"no": JSON}'
    upstream.status, upstream.body = 203, gzip.compress(body)
    upstream.headers = [
        *[("Content-Encoding", "gzip"), ("Content-Length", f"{len(upstream.body)}")],
        *[("Set-Cookie", "a=1"), ("set-cookie", "b=2"), ("ETag", '"1"'), ("X-Name", "\xe9")],
        *[("Link", "</2>"), ("link", "</3>"), ("Date", "today"), ("Transfer-Encoding", "x")],
    ]
    service = make(read=read)
    assert ask(service).state == "ok"
    restart()
    upstream.status = FAILS
    assert ask(service).state == "stale"
    assert len(came) == 2
    for status, headers, content in came:
        names = {name.lower() for name, _ in headers}
        assert names == {b"etag", b"x-name", b"link", b"content-length"}  # httpx's, of `content`
        assert (status, content) == (203, body)
    assert came[0] == came[1]


def test_a_service_whose_requests_never_repeat_pushes_out_only_its_own(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(kept_module, "MAX_KEPT", 10 * answer_module.OVERHEAD)
    alpha, beta = make(), make_service("beta", "")
    reply, kept = make_reply(b"", 204), LastGood()
    for number in range(3):
        kept.keep(("alpha", f"{number}"), reply, 60.0, 60.0)
    for number in range(1000):
        kept.keep(("beta", f"{number}"), reply, 60.0, 60.0)
    found = [bool(kept.find(("alpha", f"{number}"), alpha)) for number in range(3)]
    assert found == [True] * 3
    found = [bool(kept.find(("beta", f"{number}"), beta)) for number in range(1000)]
    assert found == [False] * 993 + [True] * 7


def test_headers_count_for_the_room_that_an_answer_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kept_module, "MAX_KEPT", 10 * answer_module.OVERHEAD)
    kept, service = LastGood(), make()
    for number in range(2):
        reply = make_reply(b"", 204, more="x" * 5 * answer_module.OVERHEAD)
        kept.keep(("alpha", f"{number}"), reply, 60.0, 60.0)
    found = [bool(kept.find(("alpha", f"{number}"), service)) for number in range(2)]
    assert found == [False, True]


def test_no_store_counts_beside_a_header_that_is_not_ascii(ask: Ask) -> None:
    async def app(scope: Any, receive: Any, send: Any) -> None:
        response = Response(b'{"items": []}', headers={"Cache-Control": "no-store"})
        response.raw_headers.append((b"x-name", b"\xe9"))
        await response(scope, receive, send)

    with serve(app, lifespan="off") as address:
        service = make(timeout=30.0)
        service.address = f"{address}/"
        assert ask(service).state == "ok"
    assert not last_good._kept["alpha"]


def test_headers_count_for_the_room_of_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answer_module, "MAX_READ", 1024 * 1024)
    read, service = Readings(), make(read=lambda self, response: {"items": []})
    for number in range(100):
        read.read(service, make_reply(b"{}", more=f"{number}" + "x" * 64 * 1024), 0.0, key=number)
    known: Any = read._known
    size = sum(len(v) for reply, _, _ in known.values() for _, v in reply.headers)
    assert size <= 1024 * 1024


class Signing(httpx.Auth):
    """Puts who asks into the body."""

    def auth_flow(self, request: httpx.Request) -> Flow:
        request.stream = httpx.ByteStream(b'{"user": "%s"}' % who.get().encode())
        yield request


def post(service: Service, visit: Visit) -> httpx.Request:
    """A request whose body is not the one that is sent."""
    return httpx.Request("POST", service.url, json={"user": "?"})


def test_a_body_of_auth_makes_a_difference(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def handle(request: Any) -> httpx.Response:
        sent = b"".join(request.stream)
        return httpx.Response(200, stream=httpx.ByteStream(b'{"items": [], "sent": %s}' % sent))

    monkeypatch.setattr(upstream, "handle_async_request", handle)
    service = make(auth=Signing(), request=post, cache_for=60)
    shown = []
    for name in ("a", "b"):
        who.set(name)
        shown.append(module.fetch(service, make_visit()).data["sent"]["user"])
    assert shown == ["a", "b"]


@pytest.mark.parametrize(
    ("headers", "fresh", "stale"),
    [
        # RFC 9111, 4.2.1: of several the first counts
        ({"Cache-Control": "max-age=10, max-age=600"}, 10, 300),
        # RFC 9111, 4.2.3: it has been somewhere for 20 s already
        ({"Cache-Control": "max-age=60", "Age": "20"}, 40, 300),
        ({"Cache-Control": "max-age=60", "Age": "60"}, 0, 300),
    ],
)
def test_the_first_number_counts_and_so_does_the_time_on_the_way(
    ask: Ask,
    upstream: Upstream,
    clock: list[float],
    headers: dict[str, str],
    fresh: int,
    stale: int,
) -> None:
    upstream.headers = [*headers.items()]
    check_lifetimes(ask, upstream, clock, make(), fresh, stale)
