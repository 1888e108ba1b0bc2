"""httpx's transports over pyreqwest, for a fraction of the CPU time of httpx's own.

Stricter than those that pyreqwest has: no proxies, no redirects, nothing is unpacked, one timeout
for the whole of a call, and httpx's exceptions for what really went wrong. What is sent is what the
request says, or nothing; but pyreqwest adds `Accept: */*` and a `User-Agent` where they are missing.
"""

from collections.abc import AsyncIterator, Callable, Iterator
from datetime import timedelta
from functools import lru_cache
from typing import Any, TypeVar

import httpx
from pyreqwest import exceptions
from pyreqwest.client import BaseClientBuilder, ClientBuilder, SyncClientBuilder
from pyreqwest.http import Url
from pyreqwest.request import RequestBuilder, SyncRequestBuilder
from pyreqwest.response import BaseResponse

C = TypeVar("C", bound=BaseClientBuilder)
R = TypeVar("R", RequestBuilder, SyncRequestBuilder)
ERRORS = (exceptions.PyreqwestError, ValueError)  # the latter for what cannot be sent


class AsyncPyreqwestTransport(httpx.AsyncBaseTransport):
    """For any event loop; the largest timeout of a request bounds all of its call."""

    def __init__(self) -> None:
        self._client = _configure(ClientBuilder()).build()

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request. Raises httpx.TransportError, also while the body is read."""
        try:
            stream = _prepare(self._client.request, request).build_streamed()
            response = await stream.__aenter__()
        except ERRORS as error:
            raise _translate(error) from error
        return _respond(response, _Body(stream, response))

    async def aclose(self) -> None:
        await self._client.close()


class PyreqwestTransport(httpx.BaseTransport):
    """The same for all threads."""

    def __init__(self) -> None:
        self._client = _configure(SyncClientBuilder()).build()

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        try:
            stream = _prepare(self._client.request, request).build_streamed()
            response = stream.__enter__()
        except ERRORS as error:
            raise _translate(error) from error
        return _respond(response, _Body(stream, response))

    def close(self) -> None:
        self._client.close()


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


def _configure(builder: C) -> C:
    builder = builder.no_proxy().follow_redirects(False).referer(False)
    builder = builder.gzip(False).brotli(False).zstd(False).deflate(False)
    return builder.pool_idle_timeout(timedelta(seconds=4)).pool_max_idle_per_host(256)


def _prepare(start: Callable[[str, str], R], request: httpx.Request) -> R:
    """The request for pyreqwest. Raises ValueError if another one would be sent."""
    url = _spell(request.url)
    headers = [(name.decode(), value.decode()) for name, value in request.headers.raw]
    seconds = max(request.extensions["timeout"].values())
    builder = start(request.method, url).headers(headers).timeout(timedelta(0, seconds))
    stream: Any = request.stream
    if not isinstance(stream, httpx.ByteStream):
        return builder.body_stream(stream)
    if body := request.read():
        if int(request.headers.get("content-length", len(body))) != len(body):
            raise ValueError("Content-Length is not the length of the body")
        return builder.body_bytes(body)
    return builder


@lru_cache(1000)
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
    if isinstance(error, exceptions.RequestTimeoutError):
        return httpx.TimeoutException(message)
    if isinstance(error, exceptions.BuilderError):
        return httpx.UnsupportedProtocol(message)
    if isinstance(error, ValueError):
        return httpx.LocalProtocolError(message)
    # pyreqwest says ConnectError too when a connection breaks off before the answer.
    kind = httpx.ConnectError if "client error (Connect)" in causes else httpx.RemoteProtocolError
    return kind(message)
