"""The client, against a service whose every byte a test says; whatever it is, nothing stays open."""

import asyncio
import inspect
import os
import select
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from threading import Event
from typing import Any

import httpx
import pytest
import uvloop

from engine.test_connections import take_nobody
from fanout.calls.request import check
from fanout.calls.transport import client
from fanout.calls.transport import connection as module
from fanout.calls.transport.client import IDLE, Client, make_ssl_context
from fanout.calls.transport.connection import Answer, Connection
from fanout.calls.transport.message import WentAway

CERTIFICATE = Path(__file__).with_name("certificate.pem")
LOOPS = {"asyncio": asyncio.new_event_loop, "uvloop": uvloop.new_event_loop}
HOSTS = ["127.0.0.1"]
with suppress(OSError), socket.create_server(("::1", 0), family=socket.AF_INET6):
    HOSTS.append("::1")

Told = tuple[int, bytes]
End = Callable[[socket.socket], object]
Test = Callable[..., Coroutine[Any, Any, None]]


class Upstream:
    """A service, and the client that calls it."""

    def __init__(self, host: str = "127.0.0.1") -> None:
        """Listen."""
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        self.listener = socket.create_server((host, 0), family=family)
        self.listener.setblocking(False)
        port = self.listener.getsockname()[1]
        self.url = httpx.URL(scheme="http", host=host, port=port, path="/")
        self.client, self.loop = Client(), asyncio.get_running_loop()
        self.callers: list[socket.socket] = []

    async def open(self, method: str = "GET", **options: Any) -> Answer:
        """Call it; what comes is still to be read."""
        message = check(httpx.Request(method, self.url, **options), "The test")
        return await self.client.send(message, [], seconds=20.0, fresh=False)

    async def read(self, *args: Any, **options: Any) -> Told:
        """Call it, and read the whole."""
        incoming = await self.open(*args, **options)
        try:
            return incoming.status, b"".join([chunk async for chunk in incoming])
        finally:
            await incoming.aclose()

    def ask(self, *args: Any, **options: Any) -> asyncio.Task[Told]:
        """The same, in a task."""
        return asyncio.create_task(self.read(*args, **options))

    async def hear(self, caller: socket.socket | None = None) -> socket.socket:
        """A connection, a new one or the one given, on which something is said."""
        if not caller:
            caller, _ = await self.loop.sock_accept(self.listener)
            self.callers.append(caller)
        self.heard = await self.loop.sock_recv(caller, 65536)
        return caller

    async def answer(
        self, said: bytes, *args: Any, caller: socket.socket | None = None, end: End | None = None
    ) -> Told:
        """What a caller makes of that."""
        call = self.ask(*args)
        caller = await self.hear(caller)
        assert self.heard
        with suppress(ConnectionError):  # the caller has heard enough
            await self.loop.sock_sendall(caller, said)
        if end:
            end(caller)
        return await call

    async def see_end(self) -> None:
        """Return when the client has closed all its connections."""
        for caller in self.callers:
            with suppress(ConnectionError):  # it may be a reset
                while caller.fileno() != -1 and await self.loop.sock_recv(caller, 1 << 20):
                    pass


def live(test: Test) -> Callable[..., None]:
    """Run a test with an upstream on either loop, and see that it leaves nothing open."""

    async def go(**arguments: Any) -> None:
        before, upstream = count_sockets(), Upstream()
        try:
            async with asyncio.timeout(20):
                await test(upstream, **arguments)
                await upstream.client.aclose()
                await upstream.see_end()
        finally:
            for sock in (upstream.listener, *upstream.callers):
                sock.close()
        async with asyncio.timeout(20):
            while count_sockets() > before or len(asyncio.all_tasks()) > 1:
                await turn()

    def run(loop: str, **arguments: Any) -> None:
        with asyncio.Runner(loop_factory=LOOPS[loop]) as runner:
            runner.run(go(**arguments))

    loop, _ = inspect.signature(run).parameters.values()
    _, *others = inspect.signature(test).parameters.values()
    run.__signature__ = inspect.Signature([loop, *others])  # type: ignore[attr-defined]
    both: Callable[..., Callable[..., None]] = pytest.mark.parametrize("loop", LOOPS)
    return both(run)


def count_sockets() -> int:
    """Those that this process has open."""
    return sum(Path("/dev/fd", name).is_socket() for name in os.listdir("/dev/fd"))


def reset(caller: socket.socket) -> None:
    """Close it, but not in peace."""
    caller.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    caller.close()


async def turn(times: int = 9) -> None:
    """Let the loop see what has come."""
    for _ in range(times):
        await asyncio.sleep(0)


@pytest.fixture(params=[False, True], ids=["at once", "in single bytes"])
def _pieces(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """What comes, comes at once or byte by byte."""
    feed = Answer.feed

    def feed_single(answer: Answer, data: bytes) -> None:
        for byte in data:
            feed(answer, bytes([byte]))

    if request.param:
        monkeypatch.setattr(Answer, "feed", feed_single)


GOOD = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\ngood"
EVIL = b"HTTP/1.1 200 OK\r\nSet-Cookie: evil=1\r\nContent-Length: 4\r\n\r\nevil"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
EARLY = b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n"
UPGRADE = b"Upgrade: h2c\r\nConnection: Upgrade\r\n"
SWITCHED = b"HTTP/1.1 101 Switching\r\n" + UPGRADE + b"\r\n"
ENDLESS = b"HTTP/1.1 200 OK\r\n\r\ngood"
TRAILED = CHUNKED + b"3;a=b\r\ngoo\r\n1\r\nd\r\n0\r\nX-A: 1\r\n\r\n"
KEPT: dict[str, tuple[bytes, Told]] = {
    "a length": (GOOD, (200, b"good")),
    "interim ones": (b"HTTP/1.1 100 Continue\r\n\r\n" + EARLY + GOOD, (200, b"good")),
    "no content": (b"HTTP/1.1 204 No Content\r\n\r\n", (204, b"")),
    "another's length": (b"HTTP/1.1 304 Not\r\nContent-Length: 9\r\n\r\n", (304, b"")),
    "chunks and a trailer": (TRAILED, (200, b"good")),
    "an offer": (GOOD.replace(b"OK\r\n", b"OK\r\n" + UPGRADE), (200, b"good")),
}
NOT_KEPT: dict[str, tuple[bytes, Told]] = {
    "HEAD": (GOOD[:-4], (200, b"")),
    "HEAD and a body": (GOOD, (200, b"")),
    "no length": (ENDLESS, (200, b"good")),
    "the last one": (GOOD.replace(b"OK", b"OK\r\nConnection: close"), (200, b"good")),
    "HTTP/1.0": (GOOD.replace(b"1.1", b"1.0"), (200, b"good")),
    "more than its length": (GOOD + b"more", (200, b"good")),
    "a second one": (GOOD + EVIL, (200, b"good")),
    "more of them": (GOOD + EVIL + EVIL, (200, b"good")),
    "a late interim one": (GOOD + EARLY, (200, b"good")),
    "a late switch": (GOOD + SWITCHED + EVIL, (200, b"good")),
    "a second one after chunks": (TRAILED + EVIL, (200, b"good")),
    "a second one after none": (b"HTTP/1.1 204 No Content\r\n\r\n" + EVIL, (204, b"")),
}


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("name", [*KEPT, *NOT_KEPT])
@live
async def test_a_connection_is_used_again_only_if_that_was_all(
    upstream: Upstream, name: str
) -> None:
    said, told = {**KEPT, **NOT_KEPT}[name]
    method, end = name.split()[0] if "HEAD" in name else "GET", "no length" in name
    close = socket.socket.close if end else None
    assert await upstream.answer(said, method, end=close) == told
    again = upstream.callers[0] if name in KEPT else None
    assert await upstream.answer(GOOD, caller=again) == (200, b"good")


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("said", [EARLY + GOOD, GOOD + EVIL, GOOD + EARLY, TRAILED])
@live
async def test_headers_are_those_of_the_answer_alone(upstream: Upstream, said: bytes) -> None:
    call = asyncio.create_task(upstream.open())
    (await upstream.hear()).send(said)
    incoming = await call
    assert [part async for part in incoming]
    length = [(b"content-length", b"4")]
    assert incoming.headers == ([(b"transfer-encoding", b"chunked")] if said is TRAILED else length)
    await incoming.aclose()


TWO = GOOD.replace(b"OK\r\n", b"OK\r\n%b\r\n")
BROKEN: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "was closed"),
    "half a head": (GOOD[:30], "was closed"),
    "only an interim one": (EARLY, "was closed"),
    "half a body": (GOOD[:-1], "was closed"),
    "half a chunk": (CHUNKED + b"4\r\ngo", "was closed"),
    "no last chunk": (CHUNKED + b"4\r\ngood\r\n", "was closed"),
    "half a trailer": (TRAILED[:-2], "was closed"),
    "another protocol": (SWITCHED + GOOD, "another protocol"),
    "a length and chunks": (TWO % b"Transfer-Encoding: chunked", "Transfer-Encoding"),
    "two lengths": (TWO % b"Content-Length: 5", "Content-Length"),
    "a chunk of no size": (CHUNKED + b"z\r\n", "chunk size"),
    "no HTTP": (b"SSH-2.0-OpenSSH\r\n", "HTTP"),
    "a folded header": (TWO % b"A: b\r\n c: d", "whitespace"),
    "lines that end otherwise": (GOOD.replace(b"\r\n", b"\n"), "CR"),
}


@pytest.mark.usefixtures("_pieces")
@pytest.mark.parametrize("name", BROKEN)
@live
async def test_what_breaks_off_or_is_no_http_is_an_error(upstream: Upstream, name: str) -> None:
    said, error = BROKEN[name]
    end = socket.socket.close if error == "was closed" else None
    with pytest.raises(httpx.RemoteProtocolError, match=error):
        await upstream.answer(said, end=end)


@pytest.mark.parametrize("begin", [b"HTTP/1.1 200 OK\r\n", CHUNKED + b"0\r\n", b""])
@live
async def test_headers_that_do_not_end_are_an_error(upstream: Upstream, begin: bytes) -> None:
    said = begin + (b"X-More: 1234567\r\n" if begin else EARLY) * 80_000 + b"\r\n"
    with pytest.raises(httpx.RemoteProtocolError, match="too many bytes of headers"):
        await upstream.answer(said)


@pytest.mark.parametrize("said", [ENDLESS, GOOD.replace(b": 4", b": 5")])
@live
async def test_a_reset_is_no_end(upstream: Upstream, said: bytes) -> None:
    call = asyncio.create_task(upstream.open())
    caller = await upstream.hear()
    caller.send(said)
    incoming = await call
    parts = aiter(incoming)
    assert await anext(parts) == b"good"
    reset(caller)
    with pytest.raises(httpx.ReadError):
        await anext(parts)
    await incoming.aclose()


def await_readable(connection: Connection) -> bool:
    """Wait until something has come that the loop has not seen yet."""
    poll = select.poll()
    poll.register(connection.transport.get_extra_info("socket"), select.POLLIN)
    return bool(poll.poll(20_000))


def intrude(caller: socket.socket) -> None:
    """Answer what nobody has asked."""
    caller.send(EVIL)


@pytest.mark.parametrize("turns", [0, 9])
@pytest.mark.parametrize("do", [intrude, socket.socket.close, reset])
@live
async def test_what_happens_to_an_idle_connection_harms_no_call(
    upstream: Upstream, do: End, turns: int
) -> None:
    await upstream.answer(GOOD)
    [[idle]] = upstream.client._idle.values()
    do(upstream.callers[0])
    assert await_readable(idle)
    await turn(turns)  # or the loop, busy with a page, has not seen it yet
    assert await upstream.answer(GOOD, "POST") == (200, b"good")  # which nobody may repeat


@pytest.mark.parametrize(("end", "said"), [(socket.socket.close, b""), (reset, b""), (reset, b"H")])
@live
async def test_only_a_used_connection_that_ends_in_silence_may_have_gone_before(
    upstream: Upstream, end: End, said: bytes
) -> None:
    await upstream.answer(GOOD)
    [[connection]] = upstream.client._idle.values()
    used = upstream.ask()
    caller = await upstream.hear(upstream.callers[0])
    caller.send(said)
    while said and getattr(connection._incoming, "silent", False):
        await turn()
    end(caller)
    with pytest.raises(httpx.TransportError) as gone:
        await used
    with pytest.raises(httpx.TransportError) as new:
        await upstream.answer(said, end=end)
    assert (gone.type is WentAway, new.type is WentAway) == (not said, False)


@live
async def test_a_service_waits_for_whoever_reads_slowly(upstream: Upstream) -> None:
    body = bytes(range(256)) * (1 << 17)
    call = asyncio.create_task(upstream.open())
    caller = await upstream.hear()
    said = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body
    sent = asyncio.ensure_future(upstream.loop.sock_sendall(caller, said))
    incoming = await call
    pieces, parts = aiter(incoming), []
    for _ in range(2):
        while incoming._connection.transport.is_reading():
            await turn()
        parts.append(await anext(pieces))
    await turn()
    assert not sent.done()
    assert incoming._held <= module.HELD + (1 << 18)
    parts += [part async for part in pieces]
    await sent
    assert b"".join(parts) == body
    await incoming.aclose()
    assert await upstream.answer(GOOD, caller=caller) == (200, b"good")


@pytest.mark.parametrize("content", [b"", bytes(1 << 25)], ids=["", "that is still being sent"])
@pytest.mark.parametrize("end", [None, reset])
@pytest.mark.parametrize("read", [True, False])
@live
async def test_a_connection_that_is_not_done_with_a_request_is_not_used_again(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch, content: bytes, end: End | None, read: bool
) -> None:
    monkeypatch.setattr(module, "HELD", 3)  # so that it waits for a reader
    call = asyncio.create_task(upstream.open("POST", content=content))
    caller = await upstream.hear()
    caller.send(GOOD)
    incoming = await call
    if end:
        end(caller)
        assert await_readable(incoming._connection)
        await turn()
    assert not read or [part async for part in incoming] == [b"good"]
    await incoming.aclose()
    again = caller if read and not end and not content else None
    assert await upstream.answer(GOOD, caller=again) == (200, b"good")


@live
async def test_a_connection_is_idle_for_a_while(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = [upstream.ask(), upstream.ask()]
    for caller in [await upstream.hear(), await upstream.hear()]:
        caller.send(GOOD)
    await asyncio.wait(calls)
    [[old, new]] = upstream.client._idle.values()
    old.since -= IDLE
    upstream.client._close_idle()
    assert [*upstream.client._idle.values()] == [[new]]
    new.since -= IDLE
    await upstream.answer(GOOD)  # on another one, though that is still there
    monkeypatch.setattr(client, "IDLE", 0.0)
    upstream.client._close_idle()
    await upstream.see_end()
    monkeypatch.setattr(client, "IDLE", 0.01)  # the loop sees to that
    await upstream.answer(GOOD)
    await upstream.see_end()


@live
async def test_a_call_in_flight_outlives_its_client_but_its_connection_does_not(
    upstream: Upstream,
) -> None:
    call = upstream.ask()
    caller = await upstream.hear()
    await upstream.client.aclose()
    caller.send(GOOD)
    assert await call == (200, b"good")
    await upstream.see_end()


@pytest.mark.parametrize("said", [b"", GOOD[:9], EARLY, GOOD[:-1], CHUNKED, ENDLESS, "a handshake"])
@live
async def test_a_cancelled_call_closes_its_connection(upstream: Upstream, said: Any) -> None:
    if said == "a handshake":
        upstream.url, said = upstream.url.copy_with(scheme="https"), b""
    call = upstream.ask()
    (await upstream.hear()).send(said)
    await turn()
    await cancel(call)
    await upstream.see_end()


async def cancel(call: asyncio.Task[Told]) -> None:
    """Cancel it, and wait until it is."""
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call


@pytest.mark.parametrize("scheme", ["http", "https"])
@live
async def test_a_call_that_is_cancelled_as_it_connects_leaves_nothing_open(
    upstream: Upstream, scheme: str
) -> None:
    upstream.url = upstream.url.copy_with(scheme=scheme)
    for turns in range(9):
        call = upstream.ask()
        await turn(turns)
        await cancel(call)
    with take_nobody("127.0.0.1") as port:
        call = asyncio.create_task(upstream.read())
        upstream.url = upstream.url.copy_with(port=port)
        await turn()
        await cancel(call)


@live
async def test_nor_does_one_that_waits_for_addresses(
    upstream: Upstream, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun, end, ask = Event(), Event(), socket.getaddrinfo

    def hang(*where: Any, **options: Any) -> Any:
        if "flags" in options:  # only an address is one at once
            return ask(*where, **options)
        begun.set()
        return [] if end.wait(20) else None

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    upstream.url = upstream.url.copy_with(host="slow.test")
    call = upstream.ask()
    assert await asyncio.to_thread(begun.wait, 20)
    await cancel(call)
    end.set()


@pytest.mark.parametrize(("said", "why"), [(b"", "was closed"), (b"HTTP/1.1 400\r\n", "(?i)wrong")])
@live
async def test_a_handshake_that_fails_says_why(upstream: Upstream, said: bytes, why: str) -> None:
    upstream.url = upstream.url.copy_with(scheme="https")
    with pytest.raises(httpx.ConnectError, match=why):
        await upstream.answer(said, end=socket.socket.close)


@pytest.mark.parametrize("host", HOSTS)
@live
async def test_addresses_of_either_kind_are_called(upstream: Upstream, host: str) -> None:
    other = Upstream(host)
    with other.listener:
        assert await other.answer(GOOD) == (200, b"good")
        assert f"Host: {other.url.netloc.decode()}\r\n".encode() in other.heard
        await other.client.aclose()
        await other.see_end()
        other.callers[0].close()


@pytest.fixture
def trust(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[Path], None]]:
    """Trust the certificates of a file."""

    def trust(path: Path) -> None:
        monkeypatch.setenv("SSL_CERT_FILE", str(path))
        make_ssl_context.cache_clear()

    yield trust
    make_ssl_context.cache_clear()


@live
async def test_only_who_shows_a_trusted_certificate_is_called(
    upstream: Upstream, trust: Callable[[Path], None]
) -> None:
    async def answer(
        connections: list[int], reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        connections.append(1)
        while await reader.read(65536):
            writer.write(GOOD)
        writer.close()

    connections: list[int] = []
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(CERTIFICATE)
    upstream.url = upstream.url.copy_with(scheme="https")
    start = asyncio.start_server(
        partial(answer, connections), sock=upstream.listener.dup(), ssl=context
    )
    async with await start:
        with pytest.raises(httpx.ConnectError, match="self-signed certificate"):
            await upstream.read()
        trust(CERTIFICATE)
        upstream.client = Client()
        assert [await upstream.read() for _ in range(2)] == [(200, b"good")] * 2
        assert connections == [1]
        upstream.url = upstream.url.copy_with(host="localhost")
        with pytest.raises(httpx.ConnectError, match="not valid for 'localhost'"):
            await upstream.read()
        await upstream.client.aclose()


def test_where_nothing_can_be_polled_the_system_is_asked_in_another_way(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        monkeypatch.delattr(select, "poll")  # as on Windows
        assert not module.watch(ours)()
        theirs.send(b"1")
        assert module.watch(ours)()


@live
async def test_blanks_around_a_value_are_no_part_of_it(upstream: Upstream) -> None:
    call = asyncio.create_task(upstream.open())
    caller = await upstream.hear()
    caller.send(b"HTTP/1.1 200 OK\r\nContent-Encoding: \t gzip \t\r\nContent-Length: 0\r\n\r\n")
    incoming = await call
    assert incoming.headers[0] == (b"content-encoding", b"gzip")
    await incoming.aclose()
