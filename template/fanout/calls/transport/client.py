"""An HTTP/1.1 client on an event loop, for a tenth of the processor time of httpx's.

No proxies, no redirects, nothing is unpacked; a connection is used for one exchange at a time, and
whoever waits for it bounds the time: to be cancelled closes it.
"""

import asyncio
import os
import socket
import ssl
import time
from collections import defaultdict
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache, partial
from itertools import chain
from typing import Any

import httpx
from aiohappyeyeballs import start_connection

from fanout.calls.transport.connection import Answer, Connection
from fanout.calls.transport.message import Header, Message, Origin, WentAway

IDLE = 4.0  # seconds for which an idle connection is kept: uvicorn closes it after 5
NEXT_ADDRESS = 0.25  # seconds until the next one is tried too, at most: RFC 8305, section 5


class Client:
    """All connections of one event loop."""

    def __init__(self) -> None:
        self._idle: dict[Origin, list[Connection]] = defaultdict(list)
        self._ssl_context = make_ssl_context()  # takes as long as pages
        self._lookups = ThreadPoolExecutor(32, "lookup")  # a slow DNS server delays nobody else
        self._closed = False
        self._sweep: asyncio.TimerHandle | None = None

    async def send(
        self, message: Message, more: Iterable[Header], *, seconds: float, fresh: bool
    ) -> Answer:
        """Send a message with `more` headers, by a `fresh` connection or any, for so many seconds.

        The answer has to be closed. Raises httpx.TransportError: WentAway if another try may help.
        """
        data = message.encode(more)
        used = connection = None if fresh else self._find(message.origin)
        if not connection:
            connection = await self._connect(message.origin, min(NEXT_ADDRESS, seconds / 4))
        incoming = connection.exchange(data, bare=message.method == "HEAD")
        try:
            while not incoming.status:
                await incoming.wait()
        except BaseException as error:
            connection.give_back()
            if used and incoming.silent and isinstance(error, httpx.TransportError):
                raise WentAway(str(error)) from error
            raise
        return incoming

    def keep(self, connection: Connection) -> None:
        """Have an idle connection ready for the next call, for a while."""
        if self._closed:
            connection.transport.abort()
            return
        self._idle[connection.origin].append(connection)
        self._sweep = self._sweep or asyncio.get_running_loop().call_later(IDLE, self._close_idle)

    def forget(self, connection: Connection) -> None:
        """The other end has closed it."""
        with suppress(ValueError):  # it was not idle
            self._idle[connection.origin].remove(connection)

    async def aclose(self) -> None:
        """Close what is idle; connections in use are closed by those who use them."""
        self._closed = True
        if self._sweep:
            self._sweep.cancel()
        self._close_idle()
        self._lookups.shutdown(wait=False)

    def _find(self, origin: Origin) -> Connection | None:
        """The one that was idle for the shortest time, unless that is too long."""
        idle = self._idle[origin]
        while idle and idle[-1].since > time.monotonic() - IDLE:
            if (connection := idle.pop()).quiet:
                return connection
            connection.transport.abort()
        return None

    async def _connect(self, origin: Origin, delay: float) -> Connection:
        loop = asyncio.get_running_loop()
        scheme, host, port = origin
        secure = scheme == "https"
        try:
            found = await self._look_up(host, port)
            sock = await start_connection(found, happy_eyeballs_delay=delay)
            _, connection = await loop.create_connection(
                partial(Connection, origin, self.keep, self.forget),
                sock=sock,
                ssl=self._ssl_context if secure else None,
                server_hostname=host if secure else None,
            )
        except (OSError, UnicodeError, RuntimeError) as error:  # of no name of a host, or the end
            raise httpx.ConnectError(str(error) or "it was closed") from error
        return connection

    async def _look_up(self, host: str, port: int) -> list[Any]:
        ask = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
        try:
            return ask(flags=socket.AI_NUMERICHOST)  # an address is here at once
        except socket.gaierror:
            return await asyncio.get_running_loop().run_in_executor(self._lookups, ask)

    def _close_idle(self) -> None:
        """Close what was idle for too long, and look again while there is anything left."""
        self._sweep, known = None, list(chain(*self._idle.values()))
        self._idle.clear()
        for connection in known:
            if connection.since > time.monotonic() - IDLE:
                self.keep(connection)
            else:
                connection.transport.abort()


@cache
def make_ssl_context() -> ssl.SSLContext:
    """The system's certificates, or those of SSL_CERT_FILE. Raises OSError."""
    context = ssl.create_default_context(cafile=os.environ.get("SSL_CERT_FILE") or None)
    context.set_alpn_protocols(["http/1.1"])
    return context
