"""httpx's transports over pyreqwest, for a fraction of the CPU time of httpx's own.

Stricter than those that pyreqwest has: no proxies, no redirects, nothing is unpacked, one timeout
for the whole of a call, and httpx's exceptions for what really went wrong. What is sent is what the
request says, or nothing; but pyreqwest adds `Accept: */*` and a `User-Agent` where they are missing.
"""

import math
import time
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
from pyreqwest import exceptions
from pyreqwest.client import ClientBuilder, SyncClientBuilder
from pyreqwest.http import Url
from pyreqwest.response import BaseResponse

from fanout.calls.transport.httpx_transport import IDLE, MAX_AGE, fresh

ERRORS = (exceptions.PyreqwestError, ValueError)  # the latter for what cannot be sent


class StillConnecting(httpx.ConnectTimeout):
    """Nobody has taken the connection in the time for that, which is not all of the call's."""


class _Clients:
    """One for each time to connect, which it divides among the addresses of a name.

    It is used for MAX_AGE, then another looks the name up again; calls in flight end with the old.
    """

    _builder: type[ClientBuilder | SyncClientBuilder]

    def __init__(self) -> None:
        self._clients: dict[tuple[float, bool], tuple[float, Any]] = {}  # and until when
        self._pick(0.9)  # raises BuilderError now, if ever

    def _pick(self, seconds: float) -> Any:
        """The client for a call of so many seconds."""
        patience = max(0.125, math.ldexp(0.5, math.frexp(seconds)[1]))  # half of them, or more
        until, client = self._clients.get((patience, fresh.get()), (0.0, None))
        if (now := time.monotonic()) >= until:
            builder = self._builder().no_proxy().follow_redirects(False).referer(False)
            builder = builder.gzip(False).brotli(False).zstd(False).deflate(False)
            builder = builder.connect_timeout(timedelta(seconds=patience))
            builder = builder.pool_idle_timeout(timedelta(seconds=IDLE))
            client = builder.pool_max_idle_per_host(0 if fresh.get() else 256).build()
            self._clients[patience, fresh.get()] = (now + MAX_AGE, client)
        return client

    def _prepare(self, request: httpx.Request) -> Any:
        """The request for pyreqwest. Raises ValueError if another one would be sent."""
        headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
        seconds = max(request.extensions["timeout"].values())
        builder = self._pick(seconds).request(request.method, _spell(request.url))
        builder = builder.headers(headers).timeout(timedelta(0, seconds))
        if not isinstance(request.stream, httpx.ByteStream):
            return builder.body_stream(request.stream).build_streamed()
        if body := request.read():
            if int(request.headers.get("content-length", len(body))) != len(body):
                raise ValueError("Content-Length is not the length of the body")
            builder = builder.body_bytes(body)
        return builder.build_streamed()


class AsyncPyreqwestTransport(_Clients, httpx.AsyncBaseTransport):
    """For any event loop; the largest timeout of a request bounds all of its call."""

    _builder = ClientBuilder

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx.TransportError, also while the body is read."""
        try:
            stream = self._prepare(request)
            response = await stream.__aenter__()
        except ERRORS as error:
            raise _translate(error) from error
        return _respond(response, _Body(stream, response))

    async def aclose(self) -> None:
        for _, client in self._clients.values():
            await client.close()


class PyreqwestTransport(_Clients, httpx.BaseTransport):
    """The same for all threads."""

    _builder = SyncClientBuilder

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            stream = self._prepare(request)
            response = stream.__enter__()
        except ERRORS as error:
            raise _translate(error) from error
        return _respond(response, _Body(stream, response))

    def close(self) -> None:
        for _, client in self._clients.values():
            client.close()


class _Body(httpx.AsyncByteStream, httpx.SyncByteStream):
    def __init__(self, stream: Any, response: Any) -> None:
        self._stream, self._reader = stream, response.body_reader

    async def __aiter__(self) -> AsyncIterator[bytes]:
        try:
            while (chunk := await self._reader.read_chunk()) is not None:
                yield chunk.to_bytes()
        except ERRORS as error:
            raise _translate(error) from error

    def __iter__(self) -> Iterator[bytes]:
        try:
            while (chunk := self._reader.read_chunk()) is not None:
                yield chunk.to_bytes()
        except ERRORS as error:
            raise _translate(error) from error

    async def aclose(self) -> None:
        await self._stream.__aexit__(None, None, None)

    def close(self) -> None:
        self._stream.__exit__(None, None, None)


def _spell(url: httpx.URL) -> str:
    """An address without its password. Raises ValueError if another one would be called."""
    target = url.raw_path.decode()
    spelled = f"{url.scheme}://{url.netloc.decode()}{target}"
    doubtful = "'" in target or "\\" in target or "%2" in target  # the others stay as they are
    if doubtful and not str(Url(spelled)).endswith(target):
        raise ValueError("write %27 for ' in a query, and %5C for \\ and . for %2E in a path")
    return spelled


def _respond(response: BaseResponse, body: _Body) -> httpx.Response:
    headers: list[tuple[str, str]] = []
    for name in dict.fromkeys(response.headers):
        try:
            headers += [(name, value) for value in response.headers.getall(name)]
        except ValueError:  # not ASCII, so not to be had; but can the body be read?
            headers += [(name, "unknown")] if name == "content-encoding" else []
    version = {"http_version": response.version.encode()}
    return httpx.Response(response.status, headers=headers, stream=body, extensions=version)


def _translate(error: Exception) -> httpx.TransportError:
    """httpx's exception for one of pyreqwest's, with the innermost cause as its message."""
    causes = [cause["message"] for cause in getattr(error, "details", {}).get("causes") or []]
    message = causes[-1] if causes else str(error)
    connecting = "client error (Connect)" in causes
    if isinstance(error, exceptions.RequestTimeoutError):
        return StillConnecting(message) if connecting else httpx.TimeoutException(message)
    if isinstance(error, exceptions.BuilderError):
        return httpx.UnsupportedProtocol(message)
    if isinstance(error, ValueError):
        return httpx.LocalProtocolError(message)
    # pyreqwest says ConnectError too when a connection breaks off before the answer.
    kind = httpx.ConnectError if connecting else httpx.RemoteProtocolError
    return kind(message)
