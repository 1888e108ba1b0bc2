"""The HTTP clients: one for each event loop, and one for all threads."""

import asyncio
import atexit
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from threading import Lock
from weakref import WeakKeyDictionary

import httpx

from fanout.time_limit import TimeLimitedTransport

_LIMITS = httpx.Limits(max_connections=None, max_keepalive_connections=256, keepalive_expiry=4.0)
_HEADERS = {"Accept": "application/json", "Accept-Encoding": "identity"}

_lock = Lock()
_client: httpx.Client | None = None
_async_clients: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncClient] = (
    WeakKeyDictionary()
)


def get_client() -> httpx.Client:
    """The client of all threads: it pools connections and is closed when the process ends."""
    global _client
    with _lock:
        if _client is None:
            transport = TimeLimitedTransport(verify=_ssl_context(), limits=_LIMITS)
            _client = httpx.Client(
                transport=transport, trust_env=False, headers=_HEADERS, cookies=_no_cookies()
            )
            atexit.register(_client.close)
        return _client


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
    return httpx.AsyncClient(
        transport=transport,
        trust_env=False,
        headers=_HEADERS,
        cookies=_no_cookies(),
        timeout=httpx.Timeout(None),  # `afetch` bounds the whole call
    )


def _no_cookies() -> CookieJar:
    """A jar that stays empty: a cookie from one viewer's answer must not go out with another's."""
    return CookieJar(DefaultCookiePolicy(allowed_domains=[]))


@cache
def _ssl_context() -> ssl.SSLContext:
    """Made once, since reading the certificates takes many times as long as a page."""
    return httpx.create_ssl_context()
