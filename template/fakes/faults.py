"""Every way in which a fake service can be broken on request."""

import asyncio
import gzip
from collections.abc import AsyncIterator, Callable
from functools import partial

from starlette.responses import Response, StreamingResponse
from starlette.types import Receive, Scope, Send

Fault = Callable[[Response], Response]  # what is sent in place of a good answer


def get_fault(text: str) -> Fault:
    """The one that is called `hang`, `status:503` and so on; nothing is a good answer.

    Raises ValueError, which lists what there is.
    """
    name, _, status = text.partition(":")
    if name == "status" and status.isdecimal() and 200 <= int(status) <= 599:
        return partial(_set_status, int(status))
    if text in FAULTS:
        return FAULTS[text]
    raise ValueError(
        f"There is no fault {text!r}; choose status:503, {', '.join(filter(None, FAULTS))}."
    )


async def wait_for_disconnect(receive: Receive) -> None:
    """Return once nobody waits for the answer any more."""
    while (await receive())["type"] != "http.disconnect":
        pass


def _set_status(status: int, response: Response) -> Response:
    response.status_code = status
    if status in (204, 304):  # they have no body
        response.body = b""
        del response.headers["Content-Length"]
    return response


def _set_body(body: bytes, response: Response) -> Response:
    """Answer with status 200, so that whoever looks at nothing but a good answer sees it."""
    response.body, response.status_code = body, 200
    response.headers["Content-Length"] = str(len(body))
    return response


class _Hanging(Response):
    """Never answers."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await wait_for_disconnect(receive)


def _trickle(response: Response) -> Response:
    """Send a byte every 50 ms, so that no wait for a single byte is long."""

    async def trickle() -> AsyncIterator[bytes]:
        for byte in bytes(response.body):
            yield bytes([byte])
            await asyncio.sleep(0.05)

    return StreamingResponse(trickle(), headers=response.headers)


class _Dropped(Response):
    """Announces a whole body, sends half of it and is done: the server closes the connection."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        half = bytes(self.body[: len(self.body) // 2])
        await send({"type": "http.response.body", "body": half, "more_body": True})


def _bomb(response: Response) -> Response:
    """Compress 16 MiB into a few bytes."""
    response.headers["Content-Encoding"] = "gzip"
    return _set_body(gzip.compress(b" " * 16 * 1024 * 1024 + response.body), response)


FAULTS: dict[str, Fault] = {
    "": lambda response: response,
    "hang": lambda response: _Hanging(),
    "trickle": _trickle,
    "drop": lambda response: _Dropped(response.body, headers=response.headers),
    "bad-json": lambda response: _set_body(bytes(response.body[:-1]), response),  # breaks off
    "oversized": lambda response: _set_body(b" " * 2 * 1024 * 1024 + response.body, response),
    "bomb": _bomb,
}
