"""The HTTP clients: one for each event loop, and one for all threads."""

import asyncio
import atexit
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Any
from weakref import WeakKeyDictionary

import anyio
import httpcore
import httpx

from fanout.time_limit import limit_time

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=4.0)
_OPTIONS: dict[str, Any] = {
    "trust_env": False,
    "headers": {"Accept": "application/json", "Accept-Encoding": "identity"},
    "timeout": None,  # `fetch` and `afetch` bound the whole call
}

_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
    WeakKeyDictionary()
)


@cache
def get_client() -> httpx.Client:
    """The client of all threads: it pools connections and is closed when the process ends."""
    transport = httpx.HTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    client = httpx.Client(transport=limit_time(transport), cookies=_no_cookies(), **_OPTIONS)
    atexit.register(client.close)
    return client


@asynccontextmanager
async def get_async_client() -> AsyncIterator[httpx.AsyncClient]:
    """The pooled client of the running loop, or one for this page alone.

    WSGI and Django's test client run every page in a loop of its own, which takes its connections
    with it: only a loop inside `pool()` has a client to share.
    """
    if client := _async_clients.get(asyncio.get_running_loop()):
        yield client
    else:
        async with _new_async_client() as client:
            yield client


@asynccontextmanager
async def pool() -> AsyncIterator[None]:
    """Share one client among all pages of the running loop, until the end of the block."""
    loop = asyncio.get_running_loop()
    async with _new_async_client() as client:
        _async_clients[loop] = client
        try:
            yield
        finally:
            _async_clients.pop(loop, None)


def _new_async_client() -> httpx.AsyncClient:
    transport = httpx.AsyncHTTPTransport(verify=_ssl_context(), limits=_LIMITS, trust_env=False)
    transport._pool._network_backend = _Backend()
    return httpx.AsyncClient(transport=transport, cookies=_no_cookies(), **_OPTIONS)


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


def _no_cookies() -> CookieJar:
    """A jar that stays empty: a cookie from one viewer's answer must not go out with another's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once, since reading the certificates takes many times as long as a page."""
    return httpx.create_ssl_context()
