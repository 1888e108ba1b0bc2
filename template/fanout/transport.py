"""The transports that calls go through: one for all threads, and one for each event loop."""

import asyncio
import atexit
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import cache
from weakref import WeakKeyDictionary

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from pyreqwest.exceptions import BuilderError

from fanout.coalescing import end_flights
from fanout.httpx_transport import make_async_httpx_transport, make_httpx_transport
from fanout.pyreqwest_transport import AsyncPyreqwestTransport, PyreqwestTransport

ENGINES: dict[str, tuple[Callable[[], httpx.BaseTransport], Callable[[], httpx.AsyncBaseTransport]]]
ENGINES = {
    "pyreqwest": (PyreqwestTransport, AsyncPyreqwestTransport),
    "httpx": (make_httpx_transport, make_async_httpx_transport),
}

_pooled: WeakKeyDictionary[asyncio.AbstractEventLoop, httpx.AsyncBaseTransport] = (
    WeakKeyDictionary()
)


def get_transport() -> httpx.BaseTransport:
    """The transport of all threads: it pools connections and is closed when the process ends."""
    return _make_transport(settings.FANOUT_TRANSPORT)


@cache
def _make_transport(engine: str) -> httpx.BaseTransport:
    transport = ENGINES[engine][0]()
    atexit.register(transport.close)
    return transport


@asynccontextmanager
async def get_async_transport() -> AsyncIterator[httpx.AsyncBaseTransport]:
    """The pooled transport of the running loop, or one for whoever has no such loop.

    WSGI and Django's test client run every page in a loop of its own. pyreqwest's connections are
    of use to all of them; httpx's belong to one loop, so a page has its own.
    """
    if transport := _pooled.get(asyncio.get_running_loop()):
        yield transport
    elif settings.FANOUT_TRANSPORT == "pyreqwest":
        yield _make_shared_transport()
    else:
        async with make_async_httpx_transport() as transport:
            yield transport


@cache
def _make_shared_transport() -> AsyncPyreqwestTransport:
    return AsyncPyreqwestTransport()


@asynccontextmanager
async def pool() -> AsyncIterator[None]:
    """Share one transport among all pages of the running loop, until the end of the block.

    Raises ImproperlyConfigured if there are no certificates to trust.
    """
    loop = asyncio.get_running_loop()
    try:
        transport = ENGINES[settings.FANOUT_TRANSPORT][1]()
    except (BuilderError, OSError) as error:
        hint = "Look at SSL_CERT_FILE, install ca-certificates, or set another FANOUT_TRANSPORT."
        raise ImproperlyConfigured(f"No connection can be made: {error}. {hint}") from error
    async with transport:
        _pooled[loop] = transport
        try:
            yield
        finally:
            _pooled.pop(loop, None)
            await end_flights()
