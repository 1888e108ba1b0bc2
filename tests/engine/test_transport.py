"""The transports: the same to services and to pages, whatever is underneath."""

import asyncio
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from operator import itemgetter
from threading import Thread
from typing import Any

import h11
import httpcore
import httpx
import pytest
from pytest_django import Settings

from engine.conftest import Get, Script
from fanout.calls.transport import (
    TRANSPORTS,
    get_async_transport,
    get_transport,
    httpx_transport,
    pool,
)
from fanout.policies.deadline import time_limit

pytestmark = pytest.mark.usefixtures("transport")

Send = Callable[..., httpx.Response]
Heard = tuple[bytes, bytes, list[tuple[bytes, bytes]], bytes]


def make_request(url: str, method: str = "GET", **options: Any) -> httpx.Request:
    """A request that may take as long as it likes."""
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), 20.0)
    return httpx.Request(method, url, extensions={"timeout": timeout}, **options)


@pytest.fixture(params=["blocking", "pooled", "alone"])
def send(request: pytest.FixtureRequest) -> Send:
    """Call an address, with the blocking transport and with either async one."""

    async def asend(*args: str, **options: Any) -> httpx.Response:
        async with get_async_transport() as transport:
            response = await transport.handle_async_request(make_request(*args, **options))
            await response.aread()
            await response.aclose()
        return response

    async def asend_pooled(*args: str, **options: Any) -> httpx.Response:
        async with pool():
            return await asend(*args, **options)

    def send(*args: str, **options: Any) -> httpx.Response:
        with time_limit(20.0):
            response = get_transport().handle_request(make_request(*args, **options))
            response.read()
            response.close()
        return response

    if request.param == "blocking":
        return send
    run = asend_pooled if request.param == "pooled" else asend
    return lambda *args, **options: asyncio.run(run(*args, **options))


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
    with pytest.raises(httpx.ConnectError, match=r"refused|attempts failed"):
        send(f"http://127.0.0.1:{port}/")


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 300_000


@pytest.mark.parametrize("said", [b"", HALF, b"nonsense"], ids=["nothing", "half", "nonsense"])
def test_an_answer_that_breaks_off_is_the_protocols(send: Send, said: bytes) -> None:
    with pytest.raises(httpx.RemoteProtocolError), talk(said) as address:
        send(address)


def test_headers_may_be_beyond_ascii(send: Send) -> None:
    with talk(b"HTTP/1.1 200 OK\r\nX-Name: \xe9\r\nContent-Length: 1\r\n\r\n1") as address:
        assert send(address).content == b"1"


def test_a_coding_beyond_ascii_is_not_taken_for_none(send: Send) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: \xe9\r\nContent-Length: 0\r\n\r\n"
    with talk(head) as address:
        assert send(address).headers["content-encoding"]


def test_only_http_is_spoken(send: Send) -> None:
    with pytest.raises(httpx.UnsupportedProtocol):
        send("ftp://127.0.0.1/")


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


def test_time_that_is_over_is_a_timeout() -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent, time_limit(0.0):
        request = make_request(f"http://127.0.0.1:{silent.getsockname()[1]}/")
        request.extensions["timeout"] = dict.fromkeys(request.extensions["timeout"], 0.0)
        with pytest.raises(httpx.TimeoutException):
            get_transport().handle_request(request)


@pytest.mark.parametrize("transport", ["httpx"], indirect=True)  # limited part by part
def test_nothing_is_sent_once_the_time_is_over(transport: str, script: Script) -> None:
    with TRANSPORTS[transport][0]() as made:
        with time_limit(20.0):
            response = made.handle_request(make_request(script.address))
            response.read()
            response.close()
        with time_limit(0.0), pytest.raises(httpx.WriteTimeout):  # on the same connection
            made.handle_request(make_request(script.address))


def test_a_transport_can_be_closed(transport: str, script: Script) -> None:
    made = TRANSPORTS[transport][0]()
    with time_limit(20.0):
        assert made.handle_request(make_request(script.address)).status_code == 200
        made.close()
        if transport == "pyreqwest":  # httpx's opens again
            # The order to close goes to a thread of pyreqwest's, and a call may overtake it.
            requests = [make_request(script.address) for _ in range(1000)]
            with pytest.raises(httpx.TransportError):
                list(map(made.handle_request, requests))


class Parts(httpx.SyncByteStream, httpx.AsyncByteStream):
    """A body that comes in parts."""

    def __init__(self, *parts: bytes) -> None:
        """The same ones each time."""
        self._parts = parts

    def __iter__(self) -> Iterator[bytes]:
        """Blocking."""
        yield from self._parts

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Not blocking."""
        for part in self._parts:
            yield part


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
    "query": ("GET", 'http://host/?a=|^{}"\\`<>[]~!$()*,:@ %20%2e%2e+;&&b=é☃&c%zz%', {}),
    "path": ("GET", "http://host/a|^{}\"'`<>[]~!$()*,:@ %20%2F+;=é☃%zz%", {}),
    "empty query": ("GET", "http://host/a?", {}),
    "fragment": ("GET", "http://host/a?b#c", {}),
    "doubled slashes": ("GET", "http://host//a//b//", {}),
    "dots": ("GET", "http://host/a/../b/./c/.../d%2ee/..", {}),
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
    "Unicode header": ("GET", "http://host/", {"headers": NAMES | {"X": "é☃".encode()}}),
    "Host": ("GET", "http://host/", {"headers": NAMES | {"Host": "shop.test"}}),
    "encoding": ("GET", "http://host/", {"headers": NAMES | {"Accept-Encoding": "br"}}),
}


@pytest.mark.parametrize(("method", "url", "options"), REQUESTS.values(), ids=REQUESTS)
def test_a_service_gets_what_the_request_says(
    send: Send, method: str, url: str, options: dict[str, Any]
) -> None:
    options = {"headers": NAMES, **options}
    with listen() as (host, heard):
        url = url.replace("host", host)
        send(url, method, **options)
    said = make_request(url, method, **options)
    headers = [(name.lower(), value) for name, value in said.headers.raw]
    assert heard.result() == (method.encode(), said.url.raw_path, sort(headers), said.read())


REFUSED: dict[str, tuple[str, dict[str, Any]]] = {
    "a method of two words": ("/", {"method": "GE T"}),
    "a header of two lines": ("/", {"headers": {"X": "a\r\nb"}}),
}
CHANGED: dict[str, tuple[str, dict[str, Any]]] = {
    "quote in a query": ("/?a='", {}),
    "backslash in a path": ("/a\\b", {}),
    "encoded dots": ("/a/%2E%2e", {}),
    "Latin-1": ("/", {"headers": {"X": b"\xe9"}}),
    "too short": ("/", {"content": b"abc", "headers": {"Content-Length": "2"}}),
    "too long": ("/", {"content": b"abc", "headers": {"Content-Length": "4"}}),
}


@pytest.mark.parametrize(("path", "options"), REFUSED.values(), ids=REFUSED)
def test_what_is_no_request_is_not_sent(send: Send, path: str, options: dict[str, Any]) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(httpx.LocalProtocolError),
    ):
        send(f"http://127.0.0.1:{silent.getsockname()[1]}{path}", **options)


@pytest.mark.parametrize("transport", ["pyreqwest"], indirect=True)  # httpx's can send them
@pytest.mark.parametrize(("path", "options"), CHANGED.values(), ids=CHANGED)
def test_what_would_be_changed_on_the_way_is_not_sent(
    send: Send, path: str, options: dict[str, Any]
) -> None:
    with pytest.raises(httpx.LocalProtocolError):
        send(f"http://127.0.0.1:9{path}", **options)


def test_nothing_is_added_but_what_pyreqwest_has_to_say(send: Send, transport: str) -> None:
    with listen() as (host, heard):
        send(f"http://{host}/")
    added = {b"accept", b"user-agent"} if transport == "pyreqwest" else set()
    assert {name for name, _ in heard.result()[2]} == {b"host"} | added


@contextmanager
def listen() -> Iterator[tuple[str, Future[Heard]]]:
    """The host of a server, and what its one caller sends: method, target, headers and body.

    Names of headers are in lower case, since how they are written says nothing.
    """

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
        return head.method, head.target, sort(list(head.headers)), body

    with socket.create_server(("127.0.0.1", 0)) as server, ThreadPoolExecutor(1) as thread:
        server.settimeout(20)
        yield f"127.0.0.1:{server.getsockname()[1]}", thread.submit(answer)


def sort(headers: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """By name; those of one name stay as they are."""
    return sorted(headers, key=itemgetter(0))


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


def test_a_server_shares_one_transport_and_closes_it(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = count_closed(monkeypatch)

    async def live() -> None:
        async with pool():
            async with get_async_transport() as first, get_async_transport() as second:
                assert first is second
            assert closed == []
        assert closed == [first]
        async with get_async_transport() as third:
            assert third is not first

    asyncio.run(live())


def test_without_a_pool_pages_share_pyreqwests_connections_but_not_httpxs(transport: str) -> None:
    async def are_shared() -> bool:
        async with get_async_transport() as first, get_async_transport() as second:
            return first is second

    assert asyncio.run(are_shared()) == (transport == "pyreqwest")


def count_closed(monkeypatch: pytest.MonkeyPatch) -> list[httpx.AsyncBaseTransport]:
    """The transports that were closed, one after another."""
    closed: list[httpx.AsyncBaseTransport] = []

    class Transport(httpx.AsyncBaseTransport):
        async def aclose(self) -> None:
            closed.append(self)

    for name in TRANSPORTS:
        monkeypatch.setitem(TRANSPORTS, name, (httpx.HTTPTransport, Transport))
    return closed


def test_a_handshake_that_is_cancelled_leaves_nothing_open(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[str] = []

    class Stream:
        async def start_tls(self) -> None:
            done.append("started")
            await asyncio.Event().wait()

        async def aclose(self) -> None:
            done.append("closed")

    async def connect(*_: object) -> Stream:
        return Stream()

    async def cancel() -> None:
        stream: Any = await httpx_transport._AsyncBackend().connect_tcp("host", 1)
        task = asyncio.create_task(stream.start_tls())
        await asyncio.sleep(0)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(httpcore.AnyIOBackend, "connect_tcp", connect)
    asyncio.run(cancel())
    assert done == ["started", "closed"]
