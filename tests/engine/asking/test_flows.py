"""A team's own `auth`: an httpx.Auth whose flow the engine drives, in both ways of waiting."""

import asyncio
from collections.abc import Callable, Generator
from concurrent.futures import ThreadPoolExecutor
from contextvars import ContextVar
from inspect import isfunction
from typing import Any

import httpx
import pytest
from django.urls import reverse, set_script_prefix
from django.utils.translation import get_language, override
from starlette.responses import JSONResponse, Response

from engine.asking.conftest import Ask, Asked, Echo
from engine.conftest import make_service
from engine.visitors import make_visit
from fanout import ClientCredentials, Secret, Service
from fanout.calls.fetch import afetch, fetch
from fanout.calls.last_good import last_good
from fanout.calls.request import MAX_SENT

WHO = "engine.conftest.Own.auth"
SECRET = "s3cr3t"  # noqa: S105
Flow = Generator[httpx.Request, httpx.Response, None]
visitor: ContextVar[str] = ContextVar("visitor", default="nobody")


class Own(httpx.Auth):
    """An `auth` with this flow."""

    def __init__(self, flow: Callable[[httpx.Request], Any]) -> None:
        """Whatever is wrong with it."""
        vars(self)["auth_flow"] = flow


def make(echo: Echo, auth: Any, **options: Any) -> Service:
    """A service with this `auth`, or with one of this flow."""
    auth = Own(auth) if isfunction(auth) else auth
    return make_service("alpha", echo.address, auth=auth, timeout=30.0, **options)


def say_who(request: httpx.Request) -> Flow:
    """The header that says who the visitor is."""
    request.headers["X-Visitor"] = visitor.get()
    yield request


async def greet(asked: Asked) -> Response:
    """An answer to one visitor."""
    return JSONResponse({"title": "".join(asked.get("X-Visitor")), "items": []})


def ask_as(who: str, ask: Ask, service: Service) -> str:
    """The title that a visitor gets to see."""
    token = visitor.set(who)
    try:
        return ask(service, make_visit()).title
    finally:
        visitor.reset(token)


class Broken(Response):
    """It ends before its end."""


class OnBehalf(ClientCredentials):
    """A token, and for whom."""

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Say both."""
        request.headers["X-Visitor"] = visitor.get()
        yield from super().auth_flow(request)


def test_a_flow_sees_all_that_is_sent(echo: Echo, ask: Ask) -> None:
    seen: list[tuple[str, str]] = []

    def flow(request: httpx.Request) -> Flow:
        seen.extend((name.lower(), value) for name, value in request.headers.multi_items())
        yield request

    assert ask(make(echo, flow), make_visit()).state == "ok"
    [asked] = echo.asked
    assert set(seen) >= set(asked.headers)  # once without the ids: for the key


@pytest.mark.parametrize("kind", ["own", "on behalf"])
def test_visitors_of_whom_a_flow_knows_share_nothing(echo: Echo, ask: Ask, kind: str) -> None:
    async def respond(asked: Asked) -> Response:
        if asked.target == "/token":
            return JSONResponse({"access_token": "1"})
        return await greet(asked)

    echo.respond = respond
    auth = OnBehalf(f"{echo.address}/token", "a", "b") if kind == "on behalf" else say_who
    service = make(echo, auth, cache_for=60.0)
    assert [ask_as(who, ask, service) for who in ("Ada", "Bob", "Ada")] == ["Ada", "Bob", "Ada"]

    async def fail(asked: Asked) -> Response:
        return Response(status_code=500)

    echo.respond = fail
    type(service).cache_for = 0.0
    assert [ask_as(who, ask, service) for who in ("Ada", "Bob", "Eve")] == ["Ada", "Bob", "Alpha"]


def test_nor_do_those_of_whom_it_says_nothing_at_first(echo: Echo, ask: Ask) -> None:
    def flow(request: httpx.Request) -> Flow:
        answer = yield request
        if answer.status_code == 401:
            yield from say_who(request)

    async def respond(asked: Asked) -> Response:
        return await greet(asked) if asked.get("X-Visitor") else Response("", 401)

    echo.respond = respond
    service = make(echo, flow, cache_for=60.0)
    assert [ask_as(who, ask, service) for who in ("Ada", "Bob")] == ["Ada", "Bob"]


@pytest.mark.parametrize("way", ["threads", "loop"])
@pytest.mark.usefixtures("transport")
def test_nor_do_they_at_the_same_time(echo: Echo, way: str) -> None:
    service, together, names = make(echo, say_who), asyncio.Barrier(4), ["Ada", "Bob", "Eve", "Zoe"]

    async def respond(asked: Asked) -> Response:
        async with asyncio.timeout(30):
            await together.wait()
        return await greet(asked)

    async def call(who: str) -> str:
        visitor.set(who)
        return (await afetch(service, make_visit())).title

    async def call_all() -> list[str]:
        return await asyncio.gather(*map(call, names))

    echo.respond = respond
    if way == "loop":
        assert asyncio.run(call_all()) == names
    else:
        with ThreadPoolExecutor(4) as threads:
            assert list(threads.map(lambda who: ask_as(who, fetch, service), names)) == names


def test_auth_and_read_know_the_language_and_the_prefix_of_the_page(echo: Echo, ask: Ask) -> None:
    def flow(request: httpx.Request) -> Flow:
        request.headers["Accept-Language"] = get_language() or ""
        yield request

    def read(self: Service, response: httpx.Response) -> dict[str, Any]:
        return {"items": [], "home": reverse("home")}

    service = make(echo, flow, read=read)
    set_script_prefix("/shop/")  # kept for a thread, as the language
    try:
        with override("de"):
            section = ask(service, make_visit())
    finally:
        set_script_prefix("/")
    assert (section.data["home"], echo.asked[0].get("Accept-Language")) == ("/shop/", ["de"])


def test_those_whose_requests_are_equal_share_an_answer(echo: Echo, ask: Ask) -> None:
    service = make(echo, httpx.BasicAuth("a", "b"), cache_for=60.0)
    assert [ask(service, make_visit()).state for _ in range(2)] == ["ok", "ok"]
    [asked] = echo.asked
    assert asked.get("Authorization") == ["Basic YTpi"]


def test_a_flow_may_ask_something_first_and_its_calls_are_like_no_others(
    echo: Echo, ask: Ask
) -> None:
    def flow(request: httpx.Request) -> Flow:
        answer = yield httpx.Request("PUT", f"{echo.address}/ticket", json={"for": visitor.get()})
        answer.raise_for_status()
        request.headers["X-Visitor"] = answer.json()["ticket"]
        answer = yield request
        if answer.status_code == 401:
            request.headers["X-Visitor"] = "again"
            yield request

    async def respond(asked: Asked) -> Response:
        if asked.target == "/ticket":
            return JSONResponse({"ticket": asked.body.decode()})
        return await greet(asked) if len(echo.asked) != 4 else Response("", 401)

    echo.respond = respond
    service = make(echo, flow, cache_for=60.0)
    assert ask_as("Ada", ask, service) == '{"for":"Ada"}'
    assert ask_as("Bob", ask, service) == "again"
    assert [asked.method for asked in echo.asked] == ["PUT", "GET", "PUT", "GET", "GET"]
    assert not last_good._kept.get("alpha")


def test_a_flow_may_look_at_its_answers(echo: Echo, ask: Ask) -> None:
    async def respond(asked: Asked) -> Response:
        if not asked.get("Authorization"):
            challenge = 'Digest realm="a", nonce="b", qop="auth", algorithm=MD5'
            return Response("", 401, {"WWW-Authenticate": challenge, "Set-Cookie": "c=1"})
        return JSONResponse({"title": asked.get("Authorization")[0][:20], "items": []})

    echo.respond = respond
    section = ask(make(echo, httpx.DigestAuth("joe", "pass")), make_visit())
    assert (section.error, section.title) == ("", 'Digest username="joe')


def test_what_a_digest_says_is_everybodys(echo: Echo, ask: Ask) -> None:
    async def respond(asked: Asked) -> Response:
        if not asked.get("Authorization"):
            challenge = 'Digest realm="a", nonce="b", qop="auth", algorithm=MD5'
            return Response("", 401, {"WWW-Authenticate": challenge})
        return JSONResponse({"items": []}, 200 if len(echo.asked) == 2 else 500)

    echo.respond = respond
    service = make(echo, httpx.DigestAuth("joe", "pass"))
    assert [ask(service, make_visit()).state for _ in range(2)] == ["ok", "stale"]


def begin_badly(request: httpx.Request) -> Flow:
    """Fails before anything is sent."""
    raise ValueError(SECRET)
    yield request


def end_badly(request: httpx.Request) -> Flow:
    """Fails when it sees an answer."""
    yield request
    raise KeyError("ticket")


def do_nothing(request: httpx.Request) -> Flow:
    """Sends nothing."""
    return
    yield request


def replace(request: httpx.Request) -> Flow:
    """Sends another request instead."""
    yield httpx.Request(request.method, request.url, headers={"Authorization": SECRET})


def look_inside(request: httpx.Request) -> Flow:
    """Reads what has not come yet."""
    response = yield request
    response.json()


def close(request: httpx.Request) -> Flow:
    """Ends what has not come yet."""
    response = yield request
    response.is_closed = True  # as `close` does it, which only one way of waiting has


async def wait(request: httpx.Request) -> Any:
    """Has to be awaited."""
    yield request


@pytest.mark.parametrize(
    ("auth", "error", "times"),
    [
        (begin_badly, f"{WHO}: ValueError", 0),
        (end_badly, f"{WHO}: KeyError 'ticket'", 1),
        (do_nothing, f"{WHO} ends without the request itself", 0),
        (replace, f"{WHO} ends without the request itself", 1),
        (look_inside, f"{WHO}: ResponseNotRead", 1),
        (close, f"{WHO} reads or closes an answer that is not its own", 1),
        (lambda _: None, f"{WHO}: AttributeError 'NoneType' object has no attribute 'send'", 0),
        (wait, f"{WHO}: AttributeError 'async_generator' object has no attribute 'send'", 0),
        (lambda _: (x for x in ["text"]), f"{WHO} gives str, which is no httpx.Request", 0),
        (lambda _: (x for x in [None]), f"{WHO} gives NoneType, which is no httpx.Request", 0),
        (("joe", "pass"), f"{WHO} gives tuple, which is no httpx.Auth", 0),
        ("token", f"{WHO} gives str, which is no httpx.Auth", 0),
        (httpx.BasicAuth, f"{WHO} gives type, which is no httpx.Auth", 0),
    ],
)
def test_what_is_wrong_with_it_is_a_sentence(
    echo: Echo, ask: Ask, auth: Any, error: str, times: int, caplog: pytest.LogCaptureFixture
) -> None:
    section = ask(make(echo, auth), make_visit())
    assert (section.state, section.error) == ("failed", error)
    assert len(echo.asked) == times
    assert SECRET not in caplog.text


def test_nor_do_those_of_whom_it_speaks_only_after_a_refusal(echo: Echo, ask: Ask) -> None:
    def insist(request: httpx.Request) -> Flow:
        request.headers["X-App"] = "shop"
        response = yield request
        if response.status_code == 401:
            request.headers["X-Visitor"] = visitor.get()
            yield request

    async def respond(asked: Asked) -> Response:
        return await greet(asked) if asked.get("X-Visitor") else Response(status_code=401)

    echo.respond = respond
    service = make(echo, insist, cache_for=60.0)
    assert ask_as("Ada", ask, service) == "Alpha"  # once, since others may wait for the same
    assert [ask_as(who, ask, service) for who in ("Ada", "Bob", "Ada")] == ["Ada", "Bob", "Ada"]


def test_a_flow_that_never_ends_is_a_mistake(echo: Echo, ask: Ask) -> None:
    def insist(request: httpx.Request) -> Flow:
        request.headers["X-Visitor"] = visitor.get()
        while True:
            yield httpx.Request("GET", request.url)

    section = ask(make(echo, insist), make_visit())
    assert section.error == f"{WHO} asks for more than {MAX_SENT} requests"
    assert len(echo.asked) == MAX_SENT


def test_what_it_asks_itself_is_not_masked_and_has_its_cookies(
    echo: Echo, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "bookshop-client")

    def log_in(request: httpx.Request) -> Flow:
        response = yield httpx.Request("POST", f"{request.url}login")
        request.headers["X-Visitor"] = f"{response.text} {response.cookies['sid']}"
        yield request

    async def respond(asked: Asked) -> Response:
        said = Response("bookshop-client.7", headers={"Set-Cookie": "sid=8"})
        return said if asked.target == "/login" else await greet(asked)

    echo.respond = respond
    service = make(echo, log_in, key=Secret("OWN_KEY"))
    service.address = f"{echo.address}/"
    section = ask(service, make_visit())
    assert [asked.get("X-Visitor") for asked in echo.asked] == [[], ["bookshop-client.7 8"]]
    assert section.title == "***.7 8"


def test_what_it_asks_itself_by_post_is_not_asked_again(echo: Echo, ask: Ask) -> None:
    def issue(request: httpx.Request) -> Flow:
        yield httpx.Request("POST", f"{request.url}issue")
        yield request

    async def respond(asked: Asked) -> Response:
        return Broken("{}", headers={"Content-Length": "1000"})

    echo.respond = respond
    service = make(echo, issue)
    service.address = f"{echo.address}/"
    assert ask(service, make_visit()).error.startswith("broke off")
    assert [asked.target for asked in echo.asked] == ["/issue"]
