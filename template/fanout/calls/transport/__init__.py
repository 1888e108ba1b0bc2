"""The transports that calls go through: one for each event loop of a server, and one for all else."""

import asyncio
import os
from asyncio import AbstractEventLoop
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from contextvars import Context, copy_context
from threading import Lock, Thread
from typing import Any, TypeVar
from weakref import WeakKeyDictionary

import httpx
from asgiref import sync
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from fanout.calls.transport.client import IDLE, Client, make_ssl_context
from fanout.calls.transport.message import ALWAYS, Header, Incoming, Message

T = TypeVar("T")


class HttpxTransport:
    """httpx's own transport, slow and well known, or a given one: mocks of it see the calls."""

    def __init__(self, transport: httpx.AsyncBaseTransport | None = None) -> None:
        limits = httpx.Limits(keepalive_expiry=IDLE)
        self._transport = transport or httpx.AsyncHTTPTransport(
            verify=make_ssl_context(), limits=limits, trust_env=False
        )

    async def send(
        self, message: Message, more: Iterable[Header], *, seconds: float, fresh: bool
    ) -> Incoming:
        request = message.make_request([*ALWAYS, *more])
        return _HttpxAnswer(await self._transport.handle_async_request(request))

    async def aclose(self) -> None:
        await self._transport.aclose()


class _HttpxAnswer:
    def __init__(self, response: httpx.Response) -> None:
        self.status, self.version = response.status_code, response.http_version
        self.headers = [(name.lower(), value) for name, value in response.headers.raw]
        self._stream: Any = response.stream  # that of a mock's answer may have been read already
        self.aclose = response.aclose

    def __aiter__(self) -> AsyncIterator[bytes]:
        return aiter(self._stream)


Transport = Client | HttpxTransport
TRANSPORTS: dict[str, Callable[[], Transport]] = {"httptools": Client, "httpx": HttpxTransport}
_pooled: WeakKeyDictionary[AbstractEventLoop, Transport] = WeakKeyDictionary()
_loops: dict[str, AbstractEventLoop] = {}
_lock = Lock()
# What `async_to_sync` moves a context with; if there is none any more, that stays as it is.
_bring: Callable[[Context], None] = getattr(sync, "_restore_context", lambda context: None)


def get_transport() -> Transport:
    """The transport of the running loop."""
    return _pooled[asyncio.get_running_loop()]


def _get_loop() -> AbstractEventLoop:
    """The loop for calls of pages that have none that lasts."""
    name = settings.FANOUT_TRANSPORT
    with _lock:  # or threads that call for the first time would make several
        if name not in _loops:
            transport, loop = TRANSPORTS[name](), asyncio.new_event_loop()
            Thread(target=loop.run_forever, name="fanout", daemon=True).start()
            _pooled[loop], _loops[name] = transport, loop  # now that it runs
        return _loops[name]


def run(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """What a call gives, blocking this thread."""
    loop = _get_loop()
    return asyncio.run_coroutine_threadsafe(_move(call), loop).result()


async def arun(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The same without blocking.

    WSGI and Django's test client run every page in a loop of its own, which ends with it, and so
    would its connections.
    """
    if asyncio.get_running_loop() in _pooled:
        return await call()
    loop = _get_loop()
    return await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(_move(call), loop))


async def _move(call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    _bring(copy_context())  # else the page's language and URL prefix stay in its thread
    return await call()


def _begin_anew() -> None:
    """Leave a parent's connections alone; its thread is not there in a child that was forked."""
    _loops.clear()
    _lock.release()


getattr(os, "register_at_fork", dict)(  # Windows has no forks
    before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_begin_anew
)


@asynccontextmanager
async def pool() -> AsyncIterator[None]:
    """Share one transport among all pages of the running loop. Raises ImproperlyConfigured."""
    loop = asyncio.get_running_loop()
    try:
        transport = TRANSPORTS[settings.FANOUT_TRANSPORT]()
    except OSError as error:
        hint = "Look at SSL_CERT_FILE."
        raise ImproperlyConfigured(f"No connection can be made: {error}. {hint}") from error
    _pooled[loop] = transport
    try:
        yield
    finally:
        _pooled.pop(loop, None)
        await transport.aclose()
