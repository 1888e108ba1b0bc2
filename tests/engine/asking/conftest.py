"""A service that notes what it is asked, word for word, and the two ways to ask it."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, NamedTuple

import pytest
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.conftest import serve
from fanout import Service, Visit
from fanout.calls.fetch import afetch, fetch
from fanout.calls.section import Section

Ask = Callable[[Service, Visit], Section]
WAYS: dict[str, Ask] = {
    "blocking": fetch,
    "async": lambda service, visit: asyncio.run(afetch(service, visit)),
}


class Asked(NamedTuple):
    """A request, as it arrived."""

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for header, value in self.headers if header == name.lower()]


async def answer(asked: Asked) -> Response:
    """What is said for want of anything better."""
    return JSONResponse({"title": asked.target, "items": [{"title": "Book"}]})


class Echo:
    """The service; `respond` says what it answers."""

    def __init__(self) -> None:
        """Nobody has asked yet."""
        self.reset("")

    def reset(self, address: str) -> None:
        """Begin anew, at `address`."""
        self.address = address
        self.respond: Callable[[Asked], Awaitable[Response]] = answer
        self.asked: list[Asked] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Note a request, and answer it."""
        target = scope["raw_path"].decode()
        if scope["query_string"]:
            target += f"?{scope['query_string'].decode()}"
        headers = [(name.decode(), value.decode("latin-1")) for name, value in scope["headers"]]
        body = await Request(scope, receive).body()
        self.asked.append(Asked(scope["method"], target, headers, body))
        response = await self.respond(self.asked[-1])
        await response(scope, receive, send)


@pytest.fixture(scope="session")
def _echo() -> Iterator[Echo]:
    echo = Echo()
    with serve(echo, lifespan="off") as address:
        echo.reset(address)
        yield echo


@pytest.fixture
def echo(_echo: Echo) -> Echo:
    """One on a real socket."""
    _echo.reset(_echo.address)
    return _echo


@pytest.fixture(params=WAYS)
def ask(request: pytest.FixtureRequest) -> Ask:
    """Both ways of waiting."""
    return WAYS[request.param]
