"""httpx's own transports, pure Python: the plain alternative to pyreqwest's.

httpx bounds every single wait on a socket, so a service that sends a byte now and then is never too
slow for it. `time_limit` bounds the sum of the waits of a blocking call, but for a slow DNS server.
"""

import asyncio
import socket
import time
from contextlib import suppress
from contextvars import ContextVar
from functools import cache
from typing import Any

import anyio
import httpcore
import httpx

from fanout.policies.deadline import time_left

_ssl_context = cache(httpx.create_ssl_context)  # to read the certificates takes as long as pages
IDLE = 4.0  # seconds for which an idle connection is kept
MAX_AGE = 60.0  # seconds for which any is used, since its host may have moved
fresh: ContextVar[bool] = ContextVar("fresh", default=False)  # whether to use no connection again
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=IDLE)


def make_httpx_transport() -> httpx.HTTPTransport:
    """A blocking transport whose sockets obey `time_limit`; httpx has no parameter for that."""
    transport = httpx.HTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    _set_up(transport._pool, _Backend())
    return transport


def make_async_httpx_transport() -> httpx.AsyncHTTPTransport:
    """A transport for one event loop."""
    transport = httpx.AsyncHTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    _set_up(transport._pool, _AsyncBackend())
    return transport


def _set_up(pool: Any, backend: object) -> None:
    """Let `backend` make the connections, each of which is used for MAX_AGE."""
    make, pool._network_backend = pool.create_connection, backend

    def create_connection(origin: httpcore.Origin) -> Any:
        connection, end = make(origin), time.monotonic() + MAX_AGE
        expired = connection.has_expired
        connection.has_expired = lambda: (
            expired() or (connection.is_idle() and (fresh.get() or time.monotonic() > end))
        )
        return connection

    pool.create_connection = create_connection


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, host: str, port: int, **options: Any) -> Any:  # type: ignore[override]
        """A connection to one of the addresses, each of which has its turn."""
        try:
            found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore.ConnectError(str(error)) from error
        *others, last = [str(address[0]) for *_, address in found]
        for address in others:
            options["timeout"] = _left(httpcore.ConnectTimeout) / 2 / len(found)
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return _Stream(super().connect_tcp(address, port, **options))
        options["timeout"] = _left(httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(last, port, **options))


class _Stream:
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(httpcore.WriteTimeout))

    def start_tls(self, *args: Any, **options: Any) -> "_Stream":
        options["timeout"] = _left(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(*args, **options))


def _left(exceeded: type[httpcore.TimeoutException]) -> float:
    left = time_left()
    if left <= 0:
        raise exceeded("the call's time is over")
    return left


class _AsyncBackend(httpcore.AnyIOBackend):
    """httpcore's own, which also closes what a cancelled TLS handshake would leave open."""

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        stream = await super().connect_tcp(*args, **options)
        shake_hands = stream.start_tls

        async def start_tls(*args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
            try:
                return await shake_hands(*args, **options)
            except asyncio.CancelledError:
                with anyio.CancelScope(shield=True):
                    await stream.aclose()
                raise

        stream.start_tls = start_tls  # type: ignore[method-assign]
        return stream
