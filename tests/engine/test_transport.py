"""The transports: the same to services and to pages, whatever is underneath."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from threading import Event, Thread
from typing import Any

import h11
import httpx
import pytest
from pytest_django import Settings

from engine.conftest import Get, Script
from fanout.calls.request import check
from fanout.calls.transport import (
    TRANSPORTS,
    HttpxTransport,
    Transport,
    arun,
    get_transport,
    pool,
    run,
)
from fanout.calls.transport.message import ALWAYS, Header, Message, get_header

pytestmark = pytest.mark.usefixtures("transport")

Send = Callable[..., httpx.Response]
Heard = tuple[bytes, bytes, list[Header], bytes]


async def call(message: Message, *more: Header) -> httpx.Response:
    """Call a service through the transport of the running loop."""
    async with asyncio.timeout(20):
        incoming = await get_transport().send(message, more, seconds=20.0, fresh=False)
        try:
            content = b"".join([chunk async for chunk in incoming])
        finally:
            await incoming.aclose()
    extensions = {"http_version": incoming.version.encode()}
    headers = incoming.headers
    return httpx.Response(incoming.status, headers=headers, content=content, extensions=extensions)


@pytest.fixture
def send() -> Send:
    """Call an address."""

    def send(url: str, method: str = "GET", **options: Any) -> httpx.Response:
        return run(partial(call, check(httpx.Request(method, url, **options), "The test")))

    return send


def test_a_response_is_what_the_service_sent(send: Send, script: Script) -> None:
    script.statuses = [302]
    response = send(script.address)
    assert response.status_code == 302
    assert response.http_version == "HTTP/1.1"
    assert response.headers["content-type"] == "application/json"
    assert response.json()["title"] == "Answer 1"


def test_proxies_of_the_environment_are_not_used(
    send: Send, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("no_proxy")
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(script.address).status_code == 200


def test_nobody_listening_is_a_connect_error(send: Send) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(httpx.ConnectError, match="failed"):
        send(f"http://127.0.0.1:{port}/")


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 300_000


@pytest.mark.parametrize("said", [b"", HALF, b"nonsense"], ids=["nothing", "half", "nonsense"])
def test_an_answer_that_breaks_off_is_the_protocols(send: Send, said: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError), talk(said) as address:
        send(address)


def test_headers_may_be_beyond_ascii_and_repeated() -> None:
    async def get(address: str) -> list[str]:
        message = check(httpx.Request("GET", address), "The test")
        incoming = await get_transport().send(message, [], seconds=20.0, fresh=False)
        await incoming.aclose()
        assert {name for name, _ in incoming.headers} == {b"x-name", b"content-length"}
        return [get_header(incoming, name) for name in (b"x-name", b"x-none")]

    head = b"HTTP/1.1 200 OK\r\nX-Name: \xe9\r\nX-name: b\r\nContent-Length: 0\r\n\r\n"
    with talk(head) as address:
        assert run(partial(get, address)) == ["\xe9, b", ""]


@contextmanager
def talk(said: bytes) -> Iterator[str]:
    """The address of a server that says this to one caller, whatever was asked."""

    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            connection.recv(65536)
            connection.sendall(said)

    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(20)
        thread = Thread(target=answer, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            thread.join()


class Parts(httpx.SyncByteStream):
    """A body that comes in parts."""

    def __init__(self, *parts: bytes) -> None:
        """The same ones each time."""
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        """One after another."""
        yield from self._parts


NAMES = {"Accept": "text/html", "User-Agent": "joe"}
CHUNKED = NAMES | {"Host": "shop.test", "Transfer-Encoding": "chunked"}
FORM = NAMES | {"Content-Type": "multipart/form-data; boundary=edge"}
REPEATED = [
    *NAMES.items(),
    ("X-A", "1"),
    ("x_b.~", "a\tb"),
    ("x-a", "2"),
    ("accept", "a/b"),
    ("X", ""),
]
REQUESTS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "query": ("GET", "http://host/?a=|^{}\"\\`'<>[]~!$()*,:@ %20%2e%2e+;&&b=é☃&c%zz%", {}),
    "path": ("GET", "http://host/a|^{}\"'\\`<>[]~!$()*,:@ %20%2F+;=é☃%zz%", {}),
    "empty query": ("GET", "http://host/a?", {}),
    "fragment": ("GET", "http://host/a?b#c", {}),
    "doubled slashes": ("GET", "http://host//a//b//", {}),
    "dots": ("GET", "http://host/a/../b/./c/.../d%2ee/%2E%2e/..", {}),
    "no path": ("GET", "http://host?a", {}),
    "user": ("GET", "http://joe@host/a", {}),
    "password": ("GET", "http://joe:p%40ss@host/a", {}),
    "HEAD": ("HEAD", "http://host/", {}),
    "OPTIONS": ("OPTIONS", "http://host/", {}),
    "DELETE": ("DELETE", "http://host/", {}),
    "PROPFIND": ("PROPFIND", "http://host/", {"content": b"<propfind/>"}),
    "QUERY": ("QUERY", "http://host/", {"json": {"a": "é"}}),
    "GET with a body": ("GET", "http://host/", {"content": b"a"}),
    "DELETE with a body": ("DELETE", "http://host/", {"content": b"a"}),
    "JSON": ("POST", "http://host/", {"json": {"a": "é"}}),
    "form": ("POST", "http://host/", {"data": {"a": "é b"}}),
    "file": ("POST", "http://host/", {"files": {"a": ("b", b"\0c")}, "headers": FORM}),
    "empty body": ("POST", "http://host/", {}),
    "long body": ("PUT", "http://host/", {"content": bytes(range(256)) * 2000}),
    "stream": ("PATCH", "http://host/", {"stream": Parts(b"a", b"bc"), "headers": CHUNKED}),
    "empty stream": ("PATCH", "http://host/", {"stream": Parts(), "headers": CHUNKED}),
    "repeated headers": ("GET", "http://host/", {"headers": REPEATED}),
    "Host": ("GET", "http://host/", {"headers": NAMES | {"Host": "shop.test"}}),
    "encoding": ("GET", "http://host/", {"headers": NAMES | {"Accept-Encoding": "br"}}),
}


@pytest.mark.parametrize(("method", "url", "options"), REQUESTS.values(), ids=REQUESTS)
def test_a_service_gets_what_the_request_says(
    transport: str, method: str, url: str, options: dict[str, Any]
) -> None:
    with listen() as (host, heard):
        request = httpx.Request(method, url.replace("host", host), **options)
        message = check(request, "The test")
        run(partial(call, message, (b"X-Request-ID", b"1")))
    own = {name.lower() for name, _ in message.headers}
    added = [header for header in ALWAYS if header[0].lower() not in own]
    headers = [*message.headers, *added, (b"X-Request-ID", b"1")]
    if transport == "httpx":  # sends Host first
        headers.sort(key=lambda header: header[0] != b"Host")
    assert heard.result() == (method.encode(), message.url.raw_path, headers, message.body)


REFUSED: dict[str, dict[str, Any]] = {
    "a method of two words": {"method": "GE T"},
    "too short": {"content": b"abc", "headers": {"Content-Length": "2"}},
    "too long": {"content": b"abc", "headers": {"Content-Length": "4"}},
}


@pytest.mark.parametrize("transport", ["httptools"], indirect=True)  # httpx's says so otherwise
@pytest.mark.parametrize("options", REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_is_not_sent(send: Send, options: dict[str, Any]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(httpx.LocalProtocolError),
    ):
        send(f"http://127.0.0.1:{silent.getsockname()[1]}/", **options)


@contextmanager
def listen() -> Iterator[tuple[str, Future[Heard]]]:
    """The host of a server, and what its one caller sends: method, target, headers and body."""

    def answer() -> Heard:
        caller, _ = server.accept()
        parser = h11.Connection(h11.SERVER)
        events: list[Any] = []
        with caller:
            while not events or not isinstance(events[-1], h11.EndOfMessage):
                event = parser.next_event()
                if event is h11.NEED_DATA:
                    parser.receive_data(caller.recv(65536))
                else:
                    events.append(event)
            caller.sendall(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        head, *parts, _ = events
        body = b"".join(bytes(part.data) for part in parts)
        return head.method, head.target, head.headers.raw_items(), body

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        server.settimeout(20)
        yield f"127.0.0.1:{server.getsockname()[1]}", thread.submit(answer)


def test_services_get_the_same_request(
    get: Get, style: str, script: Script, settings: Settings
) -> None:
    settings.FANOUT_URLS["beta"] = f"{script.address}/path?a=%20b"
    assert get(style).page.complete
    [call] = script.calls
    assert str(call.url) == f"{script.address}/path?a=%20b"
    headers = dict(call.headers)
    assert len(headers.pop("x-request-id")) == 32
    assert headers == {
        "host": script.address.removeprefix("http://"),
        "accept": "application/json",
        "accept-encoding": "identity",
        "user-agent": "fanout",
    }


async def get_loop() -> asyncio.AbstractEventLoop:
    """Where a call goes on."""
    return asyncio.get_running_loop()


def test_a_server_has_one_transport_and_closes_it(
    transport: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    closed: list[Transport] = []

    class Fake(HttpxTransport):
        async def aclose(self) -> None:
            closed.append(self)

    monkeypatch.setitem(TRANSPORTS, transport, Fake)

    async def live() -> None:
        async with pool():
            made = get_transport()
            assert made is get_transport()
            assert await arun(get_loop) is asyncio.get_running_loop()
            assert closed == []
        assert closed == [made]
        assert await arun(get_loop) is not asyncio.get_running_loop()

    asyncio.run(live())


def test_pages_whose_loop_ends_with_them_share_another() -> None:
    lasting = run(get_loop)
    assert {asyncio.run(arun(get_loop)) for _ in range(2)} == {run(get_loop)} == {lasting}


def test_a_call_elsewhere_ends_with_its_page() -> None:
    begun, ended = Event(), Event()

    async def hang() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    async def leave() -> None:
        page = asyncio.create_task(arun(hang))
        assert await asyncio.to_thread(begun.wait, 20)
        page.cancel()
        await asyncio.wait([page])

    asyncio.run(leave())
    assert ended.wait(20)


@pytest.mark.parametrize("transport", ["httpx"], indirect=True)
def test_a_transport_of_httpxs_can_be_wrapped(transport: str) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        said = b" ".join([request.method.encode(), request.headers.raw[-1][1], request.read()])
        return httpx.Response(201, headers=[("X-A", "1"), ("x-a", "2")], content=said)

    async def ask() -> tuple[int, str, list[Header], bytes]:
        message = check(httpx.Request("POST", "http://shop.test/", content=b"a"), "The test")
        wrapped = HttpxTransport(httpx.MockTransport(answer))
        incoming = await wrapped.send(message, [(b"X-Request-ID", b"7")], seconds=20.0, fresh=True)
        content = b"".join([chunk async for chunk in incoming])
        await incoming.aclose()
        await wrapped.aclose()
        return incoming.status, get_header(incoming, b"x-a"), incoming.headers[:2], content

    expected = (201, "1, 2", [(b"x-a", b"1"), (b"x-a", b"2")], b"POST 7 a")
    assert asyncio.run(ask()) == expected
