"""The transports that calls go through: one for all threads, and one for each event loop."""

import asyncio
import atexit
import logging
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager, nullcontext
from functools import cache
from weakref import WeakKeyDictionary

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from httpx import AsyncBaseTransport as AsyncTransport
from httpx import BaseTransport as Transport
from pyreqwest.exceptions import BuilderError

from fanout.calls.transport.httpx_transport import make_async_httpx_transport, make_httpx_transport
from fanout.calls.transport.pyreqwest_transport import AsyncPyreqwestTransport, PyreqwestTransport
from fanout.policies.coalescing import end_flights

TRANSPORTS: dict[str, tuple[Callable[[], Transport], Callable[[], AsyncTransport]]] = {
    "pyreqwest": (PyreqwestTransport, AsyncPyreqwestTransport),
    "httpx": (make_httpx_transport, make_async_httpx_transport),
}

_FORKED = "This process was forked after a page, so httpx makes its calls. Fork before any page."
_pooled: WeakKeyDictionary[AbstractEventLoop, AsyncTransport] = WeakKeyDictionary()
_make_shared_transport = cache(AsyncPyreqwestTransport)


def get_transport() -> Transport:
    """The transport of all threads: it pools connections and is closed when the process ends."""
    return _make_transport(settings.FANOUT_TRANSPORT)


@cache
def _make_transport(name: str) -> Transport:
    transport = TRANSPORTS[name][0]()
    atexit.register(transport.close)
    return transport


def get_async_transport() -> AbstractAsyncContextManager[AsyncTransport]:
    """The pooled transport of the running loop, or one for a loop that has none, for one call.

    WSGI and Django's test client run every page in a loop of its own. pyreqwest's connections are
    of use to all of them; httpx's belong to one loop, so a call has its own.
    """
    if transport := _pooled.get(asyncio.get_running_loop()):
        return nullcontext(transport)
    if settings.FANOUT_TRANSPORT == "pyreqwest":
        return nullcontext(_make_shared_transport())
    return make_async_httpx_transport()


def _begin_anew() -> None:
    """Leave a parent's connections alone. pyreqwest has no threads in a child that was forked."""
    made = (_make_transport, _make_shared_transport)
    used = _pooled or any(make.cache_info().currsize for make in made)
    if used and settings.FANOUT_TRANSPORT == "pyreqwest":
        settings.FANOUT_TRANSPORT = "httpx"
        logging.getLogger("fanout").warning(_FORKED)
    for make in made:
        make.cache_clear()


os.register_at_fork(after_in_child=_begin_anew)


@asynccontextmanager
async def pool() -> AsyncIterator[None]:
    """Share one transport among all pages of the running loop. Raises ImproperlyConfigured."""
    loop = asyncio.get_running_loop()
    try:
        transport = TRANSPORTS[settings.FANOUT_TRANSPORT][1]()
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
