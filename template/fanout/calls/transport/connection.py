"""A connection to a service, and the answer that comes by it.

What comes is parsed by llhttp, as under uvicorn, and never in a lenient way.
"""

import asyncio
import select
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import httpx
from httptools import HttpParserError, HttpParserUpgrade, HttpResponseParser

from fanout.calls.transport.message import Header, Origin

MAX_AGE = 60.0  # seconds for which a connection is used, since its host may have moved
MAX_FRAMING = 512 * 1024  # bytes of an answer that are not its body: headers, sizes of chunks
HELD = 128 * 1024  # bytes of a body that nobody has taken yet, before the service has to wait
Hand = Callable[["Connection"], None]  # whoever takes a connection


class Answer:
    """An answer while it comes. Raises httpx.RemoteProtocolError if it breaks off."""

    def __init__(self, connection: "Connection", *, bare: bool) -> None:
        """Expect one, without a body if it is `bare` as those to HEAD are."""
        self.status, self.version = 0, ""
        self.headers: list[Header] = []  # with names in lower case
        self._connection, self._bare = connection, bare
        self._parser = HttpResponseParser(self)
        self._chunks: deque[bytes] = deque()
        self._framing = self._held = 0
        self._whole = self._more = self._lasting = False
        self._error: Exception | None = None
        self._waiter: asyncio.Future[None] | None = None

    @property
    def silent(self) -> bool:
        """Whether nothing at all has come."""
        return not self._framing and not self.status

    @property
    def reusable(self) -> bool:
        """Whether the connection may be used for another exchange."""
        clean = self._whole and not self._more and self._held <= HELD  # else it is paused
        return clean and not self._bare and self._lasting

    def __aiter__(self) -> "Answer":
        return self

    async def __anext__(self) -> bytes:
        """The next bytes of the body."""
        while not self._chunks:
            if self._whole:
                raise StopAsyncIteration
            await self.wait()
        chunk = self._chunks.popleft()
        if self._held > HELD >= self._held - len(chunk):
            self._connection.transport.resume_reading()
        self._held -= len(chunk)
        return chunk

    async def aclose(self) -> None:
        self._connection.give_back()
        del self._parser  # which knows this: a cycle

    # What the connection calls.

    def feed(self, data: bytes) -> None:
        """Take what has come."""
        if self._error:
            return
        self._framing += len(data)
        try:
            self._parser.feed_data(data)
        except HttpParserError as error:
            self.end(httpx.RemoteProtocolError(str(error)))
        except HttpParserUpgrade:
            self.end(httpx.RemoteProtocolError("another protocol than HTTP follows"))
        if self._framing > MAX_FRAMING:
            self.end(httpx.RemoteProtocolError("too many bytes of headers"))
        self._wake()

    def end(self, error: Exception | None = None) -> None:
        """Nothing more comes; which is how a body ends that says nothing of its length."""
        self._more = True  # or less: this was the last exchange
        names = {name for name, _ in self.headers}
        if not error and self.status and not names & {b"content-length", b"transfer-encoding"}:
            self._whole = True
        if not self._whole:
            self._error = self._error or error or httpx.RemoteProtocolError("it was closed")
        self._wake()

    # What the parser calls.

    def on_message_begin(self) -> None:
        self._more = self._more or self._whole

    def on_header(self, name: bytes, value: bytes) -> None:
        if not self.status:  # else a trailer
            self.headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if self._whole:
            return
        if status < 200:
            self.headers.clear()
        else:
            self.status, self.version = status, f"HTTP/{self._parser.get_http_version()}"
            self._whole, self._lasting = self._bare, self._parser.should_keep_alive()

    def on_body(self, data: bytes) -> None:
        if self._whole:
            self._more = True
            return
        self._chunks.append(data)
        self._framing -= len(data)
        self._held += len(data)
        if self._held > HELD:
            self._connection.transport.pause_reading()

    def on_message_complete(self) -> None:
        self._whole = bool(self.status)

    def _wake(self) -> None:
        if self._waiter and not self._waiter.done():
            self._waiter.set_result(None)

    async def wait(self) -> None:
        """Wait until more of it is here: it has a status once all headers are."""
        if self._error:
            raise self._error
        self._waiter = asyncio.get_running_loop().create_future()
        await self._waiter


class Connection(asyncio.Protocol):
    """A connection to a service, which its client knows while it is idle."""

    def __init__(self, origin: Origin, keep: Hand, forget: Hand) -> None:
        """`keep` takes it once it is idle, `forget` once it ended while it was."""
        self.origin, self._keep, self._forget = origin, keep, forget
        self.transport: Any = None
        self._incoming: Answer | None = None
        self._born = self.since = time.monotonic()

    @property
    def quiet(self) -> bool:
        """Whether nothing has come that the loop has not seen yet: an end, or what nobody asked for."""
        return not self.transport.is_closing() and not self._is_readable()

    def exchange(self, data: bytes, *, bare: bool) -> Answer:
        """Send a request; its answer is on the way."""
        self._incoming = incoming = Answer(self, bare=bare)
        self.transport.write(data)
        return incoming

    def give_back(self) -> None:
        """End the exchange. The connection is idle if it may be used again, or else closed."""
        incoming, self._incoming = self._incoming, None
        self.since = time.monotonic()
        lasting = incoming and incoming.reusable and self.since < self._born + MAX_AGE
        if lasting and not self.transport.get_write_buffer_size():
            self._keep(self)
        else:
            self.transport.abort()

    # What the event loop calls.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self._is_readable = watch(transport.get_extra_info("socket"))

    def data_received(self, data: bytes) -> None:
        if self._incoming:
            self._incoming.feed(data)
        else:  # nobody has asked
            self.transport.abort()

    def connection_lost(self, error: Exception | None) -> None:
        if self._incoming:
            self._incoming.end(httpx.ReadError(str(error)) if error else None)
        else:
            self._forget(self)


def watch(sock: Any) -> Callable[[], bool]:
    """What tells whether something has come that nobody has read: bytes, or the end."""
    if not hasattr(select, "poll"):  # on Windows
        return lambda: bool(select.select([sock], [], [], 0)[0])
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return lambda: bool(poll.poll(0))
