"""OAuth2 for programs: a token that all calls share, for as long as it holds."""

import asyncio
import socket
import time
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from threading import Event
from typing import Any

import httpx
import pytest
from starlette.responses import HTMLResponse, JSONResponse, Response

from engine.asking.conftest import Ask, Asked, Echo
from engine.conftest import make_service
from engine.visitors import make_visit
from fanout import ClientCredentials, Secret, Service
from fanout.calls import fetch as module
from fanout.calls.call import Call
from fanout.calls.fetch import afetch, fetch
from fanout.calls.section import Section
from fanout.calls.transport import pool
from fanout.policies.breaker import FAILURES
from fanout.policies.coalescing import share

WHO = "engine.conftest.Own"
SECRET = "s3cr3t/+value of ours"  # noqa: S105
ID = "shop: ä"
LOGIN = "Basic " + b64encode(b"shop%3A+%C3%A4:s3cr3t%2F%2Bvalue+of+ours").decode()


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set."""
    monkeypatch.setenv("OWN_KEY", SECRET)


class Bank:
    """What gives tokens at /token, and wants the last of them anywhere else."""

    def __init__(self, echo: Echo) -> None:
        """No token yet; `said` is what goes with one."""
        self.said: dict[str, Any] = {"expires_in": 3600}
        self.made = 0
        self.good = ""
        echo.respond = self.respond

    async def respond(self, asked: Asked) -> Response:
        if asked.target == "/token":
            assert asked.get("Authorization") == [LOGIN]
            self.made += 1
            self.good = f"token-{self.made}"
            return JSONResponse({"access_token": self.good, **self.said})
        if asked.get("Authorization") != [f"Bearer {self.good}"]:
            return Response(status_code=401)
        return JSONResponse({"items": []})


@pytest.fixture
def bank(echo: Echo) -> Bank:
    """The service wants tokens."""
    return Bank(echo)


def make_banked(echo: Echo, path: str = "/", **options: Any) -> Service:
    """A service with a token; each visit asks for something else."""
    numbers = count()

    def auth(self: Any) -> httpx.Auth:
        return ClientCredentials(f"{echo.address}/token", ID, self.key)

    def request(self: Any, visit: object) -> httpx.Request:
        return httpx.Request("GET", f"{self.url}?n={next(numbers)}")

    more: dict[str, Any] = {"auth": property(auth), "request": request, "timeout": 30.0}
    more |= {"key": Secret("OWN_KEY"), **options}
    return make_service("alpha", f"{echo.address}{path}", **more)


def times(echo: Echo, target: str = "/token") -> int:
    """How often something was asked for."""
    return sum(asked.target.partition("?")[0] == target for asked in echo.asked)


def test_a_token_is_asked_for_once_and_kept(echo: Echo, ask: Ask, bank: Bank) -> None:
    service = make_banked(echo)
    assert [ask(service, make_visit()).error for _ in range(3)] == [""] * 3
    assert [asked.target for asked in echo.asked] == ["/token", "/?n=0", "/?n=1", "/?n=2"]
    first = echo.asked[0]
    assert (first.method, first.body) == ("POST", b"grant_type=client_credentials")
    assert first.get("Accept") == ["application/json"]
    assert first.get("X-Request-ID") == [*echo.asked[1].get("X-Request-ID")]


@pytest.mark.parametrize("way", ["threads", "loop"])
def test_twenty_calls_at_once_ask_for_one_token(
    echo: Echo, bank: Bank, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    service, all_wait, waiting = make_banked(echo), Event(), count(1)

    def note(key: Any, *args: Any) -> Any:
        if "auth" in key and next(waiting) == 20:
            all_wait.set()
        return share(key, *args)

    async def respond(asked: Asked) -> Response:
        if asked.target == "/token":
            assert await asyncio.to_thread(all_wait.wait, 30)
        return await bank.respond(asked)

    async def call_all() -> list[Section]:
        async with pool():
            return await asyncio.gather(*(afetch(service, make_visit()) for _ in range(20)))

    echo.respond = respond
    monkeypatch.setattr(module, "share", note)
    if way == "loop":
        sections = asyncio.run(call_all())
    else:
        with ThreadPoolExecutor(20) as threads:
            sections = [*threads.map(lambda _: fetch(service, make_visit()), range(20))]
    assert {section.error for section in sections} == {""}
    assert (times(echo, "/token"), times(echo, "/")) == (1, 20)


class Clock:
    """Stands still until it is moved."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """All that asks what the time is asks this one."""
        self._ahead, real = 0.0, time.monotonic
        monkeypatch.setattr(time, "monotonic", lambda: real() + self._ahead)

    def move(self, seconds: float) -> None:
        """Let time pass."""
        self._ahead += seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """What the time is."""
    return Clock(monkeypatch)


@pytest.mark.parametrize(
    ("said", "seconds"), [({"expires_in": 100}, 90), ({"expires_in": "100"}, 90), ({}, 270)]
)
def test_a_token_is_renewed_before_it_ends(
    echo: Echo, ask: Ask, bank: Bank, clock: Clock, said: dict[str, Any], seconds: float
) -> None:
    bank.said = said
    service = make_banked(echo)
    for ahead, made in ((0, 1), (seconds - 60, 1), (61, 2)):
        clock.move(ahead)
        assert (ask(service, make_visit()).error, times(echo)) == ("", made)


def test_a_refused_token_is_renewed_once(echo: Echo, ask: Ask, bank: Bank, clock: Clock) -> None:
    service = make_banked(echo)
    ask(service, make_visit())
    bank.good = "another"
    clock.move(60)
    assert ask(service, make_visit()).error == ""
    assert [a.target for a in echo.asked[2:]] == ["/?n=1", "/token", "/?n=1"]


def test_one_that_is_refused_at_once_is_not(echo: Echo, ask: Ask, bank: Bank, clock: Clock) -> None:
    service = make_banked(echo, path="/refused")

    async def refuse(asked: Asked) -> Response:
        return await bank.respond(asked) if asked.target == "/token" else Response("", 401)

    echo.respond = refuse
    for made in (1, 1, 2):
        section = ask(service, make_visit())
        assert (section.error, section.status) == ("answered with status 401", 401)
        assert times(echo) == made
        clock.move(60 * made if made == 1 and times(echo, "/refused") == 2 else 0)


def test_a_call_whose_token_was_renewed_meanwhile_uses_the_new_one(echo: Echo, bank: Bank) -> None:
    service = make_banked(echo)
    auth: Any = service.authenticate
    flows = [auth.auth_flow(httpx.Request("GET", service.url)) for _ in range(2)]
    errand, refused = next(flows[0]), httpx.Response(401)
    given = httpx.Response(200, json={"access_token": "old"}, request=errand)
    flows[0].send(given)
    request = next(flows[1])
    assert request.headers["Authorization"] == "Bearer old"
    auth._made -= 60
    flows[0].send(refused)
    flows[0].send(httpx.Response(200, json={"access_token": "new"}, request=errand))
    assert flows[1].send(refused) is request
    assert request.headers["Authorization"] == "Bearer new"


ERRORS: dict[str, tuple[Response, str]] = {
    "500": (Response(SECRET, 500), "gets no token: 127.0.0.1 says 500"),
    "401": (Response(SECRET, 401), "gets no token: 127.0.0.1 says 401"),
    "302": (Response(SECRET, 302, {"Location": "/"}), "gets no token: 127.0.0.1 says 302"),
    "html": (HTMLResponse(f"<h1>{SECRET}</h1>"), f"{WHO}.auth: JSONDecodeError"),
    "missing": (JSONResponse({"error": SECRET}), f"{WHO}.auth: KeyError 'access_token'"),
    "array": (
        JSONResponse([SECRET]),
        f"{WHO}.auth: TypeError list indices must be integers or slices, not str",
    ),
    "evil": (
        JSONResponse({"access_token": f"{SECRET}\r\nX: 1"}),
        f"{WHO}.auth gives a header b'Authorization' that cannot be sent",
    ),
    "large": (Response("x" * 2_000_000), "answered with more than 1048576 bytes"),
}


@pytest.mark.parametrize("kind", ERRORS)
def test_what_is_no_token_is_a_sentence(
    echo: Echo, ask: Ask, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    response, error = ERRORS[kind]

    async def respond(asked: Asked) -> Response:
        return response

    echo.respond = respond
    section = ask(make_banked(echo), make_visit())
    assert (section.state, section.error, section.status) == ("failed", error, None)
    assert times(echo, "/") == 0
    assert SECRET not in caplog.text
    assert LOGIN not in caplog.text


def test_what_gives_no_tokens_is_left_alone_for_a_while(echo: Echo, ask: Ask) -> None:
    async def fail(asked: Asked) -> Response:
        return Response(status_code=500)

    echo.respond = fail
    service, sentence = make_banked(echo), "gets no token: 127.0.0.1 says 500"
    errors = [ask(service, make_visit()).error for _ in range(FAILURES + 1)]
    assert errors == [*[sentence] * FAILURES, f"is not called for a while: {sentence}"]
    assert times(echo) == FAILURES


def test_a_token_that_does_not_come_takes_no_more_than_a_call_may(
    echo: Echo, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        monkeypatch.setattr(echo, "address", f"http://127.0.0.1:{silent.getsockname()[1]}")
        section = ask(make_banked(echo, timeout=0.2), make_visit())
    assert section.error.startswith("did not answer within 0.2")
    assert section.duration < 10


def test_nobody_waits_longer_for_the_token_of_others_than_a_call_may(
    echo: Echo, ask: Ask, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, budgets = make_banked(echo), list[float]()

    def note(key: Any, seconds: float, call: Any) -> Any:
        budgets.append(seconds)
        return share(key, seconds, call)

    monkeypatch.setattr(module, "share", note)
    real_begin = Call.begin

    def begin(self: Call) -> Any:
        self._start -= 10  # went by since the call began
        return real_begin(self)

    monkeypatch.setattr(Call, "begin", begin)
    assert ask(service, make_visit()).error == ""
    assert 29 < budgets[0] <= 30
    assert 19 < budgets[1] <= 20


def test_who_had_less_time_for_the_token_costs_no_other_call(
    echo: Echo, ask: Ask, bank: Bank, monkeypatch: pytest.MonkeyPatch
) -> None:
    service, tries = make_banked(echo), list[object]()

    async def hurry(key: Any, *args: Any) -> Any:
        if "auth" in key:
            tries.append(key)
            if len(tries) == 1:
                raise TimeoutError  # the time of whoever asked
        return await share(key, *args)

    monkeypatch.setattr(module, "share", hurry)
    assert ask(service, make_visit()).error == ""
    assert len(tries) == 2


def test_a_token_that_says_no_time_holds_for_a_while(echo: Echo, ask: Ask, bank: Bank) -> None:
    bank.said = {"expires_in": None}
    service = make_banked(echo)
    assert [ask(service, make_visit()).error for _ in range(2)] == ["", ""]
    assert times(echo) == 1
