"""httpx's own transports, pure Python: the plain alternative to pyreqwest's.

httpx bounds every single wait on a socket, so a service that sends a byte now and then is never too
slow for it. `time_limit` bounds the sum of the waits of a blocking call. What it cannot bound is a
slow DNS server, and a host with several dead addresses, each of which is tried for as long.
"""

import asyncio
from functools import cache
from typing import Any

import anyio
import httpcore
import httpx

from fanout.policies.deadline import time_left

_ssl_context = cache(httpx.create_ssl_context)  # to read the certificates takes as long as pages
_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=4.0)


def make_httpx_transport() -> httpx.HTTPTransport:
    """A blocking transport whose sockets obey `time_limit`; httpx has no parameter for that."""
    transport = httpx.HTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    transport._pool._network_backend = _Backend()
    return transport


def make_async_httpx_transport() -> httpx.AsyncHTTPTransport:
    """A transport for one event loop."""
    transport = httpx.AsyncHTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    transport._pool._network_backend = _AsyncBackend()
    return transport


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        options["timeout"] = _left(httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(*args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(httpcore.WriteTimeout))

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
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
