"""Calls through httpx's own transport, slow and well known: respx, pytest-httpx and vcrpy see them."""

from collections.abc import AsyncIterator, Iterable
from typing import Any

import httpx

from fanout.calls.transport.client import IDLE, make_ssl_context
from fanout.calls.transport.message import Header, Incoming, Message


class HttpxTransport:
    """A transport of httpx's, with connections of its own or a given one."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(
            max_connections=None, max_keepalive_connections=256, keepalive_expiry=IDLE
        )
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=make_ssl_context(), limits=limits, trust_env=False
        )

    async def send(
        self, message: Message, more: Iterable[Header], *, seconds: float, fresh: bool
    ) -> Incoming:
        request = message.make_request(more)
        return _Answer(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        await self._transport.aclose()


class _Answer:
    def __init__(self, response: httpx.Response) -> None:
        self.status, self.version = response.status_code, response.http_version
        self.headers = [(name.lower(), value) for name, value in response.headers.raw]
        self._response = response

    def get(self, name: bytes) -> str:
        return str(self._response.headers.get(name.decode("ascii"), ""))

    def __aiter__(self) -> AsyncIterator[bytes]:
        stream: Any = self._response.stream  # that of a mock's answer may have been read already
        return aiter(stream)

    async def aclose(self) -> None:
        await self._response.aclose()
