"""httpx's own transports, pure Python: the plain alternative to pyreqwest's."""

import asyncio
import ssl
from functools import cache
from typing import Any

import anyio
import httpcore
import httpx

from fanout.time_limit import limit_time

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=4.0)


def make_httpx_transport() -> httpx.HTTPTransport:
    """A blocking transport that obeys `time_limit`."""
    return limit_time(httpx.HTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False))


def make_async_httpx_transport() -> httpx.AsyncHTTPTransport:
    """A transport for one event loop."""
    transport = httpx.AsyncHTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    transport._pool._network_backend = _Backend()
    return transport


class _Backend(httpcore.AnyIOBackend):
    """httpcore's own, which also closes what a cancelled TLS handshake would leave open."""

    async def connect_tcp(self, *args: Any, **options: Any) -> httpcore.AsyncNetworkStream:
        return _close_if_cancelled(await super().connect_tcp(*args, **options))


def _close_if_cancelled(stream: httpcore.AsyncNetworkStream) -> httpcore.AsyncNetworkStream:
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


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once, since reading the certificates takes many times as long as a page."""
    return httpx.create_ssl_context()
