"""Every way in which a fake service can be broken on request."""

import asyncio
import gzip
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.types import Receive, Scope, Send

from fakes.catalogue import JsonObject

Respond = Callable[[Request, JsonObject], Awaitable[Response]]


def get_fault(text: str) -> Respond:
    """The way to respond for `hang`, `status:503` and so on; nothing is a good answer.

    Raises ValueError, which lists what there is.
    """
    name, _, status = text.partition(":")
    if name == "status" and status.isdecimal() and 200 <= int(status) <= 599:
        return partial(_respond_status, int(status))
    if text in FAULTS:
        return FAULTS[text]
    raise ValueError(
        f"There is no fault {text!r}; choose status:503, {', '.join(filter(None, FAULTS))}."
    )


async def wait_for_disconnect(request: Request) -> None:
    """Return once nobody waits for the answer any more."""
    while (await request.receive())["type"] != "http.disconnect":
        pass


async def _respond(request: Request, answer: JsonObject) -> Response:
    return JSONResponse(answer)


async def _respond_status(status: int, request: Request, answer: JsonObject) -> Response:
    return JSONResponse(answer, status)


async def _hang(request: Request, answer: JsonObject) -> Response:
    """Never answer."""
    await wait_for_disconnect(request)
    return Response()


async def _trickle(request: Request, answer: JsonObject) -> Response:
    """Send a byte every 50 ms, so that no wait for a single byte is long."""

    async def trickle() -> AsyncIterator[bytes]:
        for byte in json.dumps(answer).encode():
            yield bytes([byte])
            await asyncio.sleep(0.05)

    return StreamingResponse(trickle(), media_type="application/json")


class _Dropped(Response):
    """Announces a whole body, sends half of it and is done: the server closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})


async def _drop(request: Request, answer: JsonObject) -> Response:
    """Close the connection in the middle of the body."""
    return _Dropped(json.dumps(answer), media_type="application/json")


async def _bad_json(request: Request, answer: JsonObject) -> Response:
    """Break the JSON off, in a complete response."""
    return Response(json.dumps(answer)[:-1], media_type="application/json")


async def _oversized(request: Request, answer: JsonObject) -> Response:
    """Answer with more than the site's limit of 1 MiB."""
    return JSONResponse({**answer, "title": "x" * 2 * 1024 * 1024})


async def _bomb(request: Request, answer: JsonObject) -> Response:
    """Compress 16 MiB into a few bytes."""
    body = gzip.compress(b" " * 16 * 1024 * 1024 + json.dumps(answer).encode())
    return Response(body, headers={"Content-Encoding": "gzip"}, media_type="application/json")


FAULTS: dict[str, Respond] = {
    "": _respond,
    "hang": _hang,
    "trickle": _trickle,
    "drop": _drop,
    "bad-json": _bad_json,
    "oversized": _oversized,
    "bomb": _bomb,
}
