"""The transports: the same to services and to pages, whatever is underneath."""

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread

import httpx
import pytest
from pytest_django import Settings

from engine.conftest import Get, Script
from fanout.calls.httpx_transport import time_limit
from fanout.calls.transport import TRANSPORTS, get_async_transport, get_transport, pool

pytestmark = pytest.mark.usefixtures("transport")


def make_request(url: str) -> httpx.Request:
    """A request that may take as long as it likes."""
    timeout = dict.fromkeys(("connect", "read", "write", "pool"), 20.0)
    return httpx.Request("GET", url, extensions={"timeout": timeout})


@pytest.fixture(params=["blocking", "pooled", "alone"])
def send(request: pytest.FixtureRequest) -> Callable[[str], httpx.Response]:
    """Get an address, with the blocking transport and with either async one."""

    async def asend(url: str) -> httpx.Response:
        async with get_async_transport() as transport:
            response = await transport.handle_async_request(make_request(url))
            await response.aread()
            await response.aclose()
        return response

    async def asend_pooled(url: str) -> httpx.Response:
        async with pool():
            return await asend(url)

    def send(url: str) -> httpx.Response:
        with time_limit(20.0):
            response = get_transport().handle_request(make_request(url))
            response.read()
            response.close()
        return response

    if request.param == "blocking":
        return send
    return lambda url: asyncio.run((asend_pooled if request.param == "pooled" else asend)(url))


def test_a_response_is_what_the_service_sent(
    send: Callable[[str], httpx.Response], script: Script
) -> None:
    script.statuses = [302]
    response = send(script.address)
    assert response.status_code == 302
    assert response.http_version == "HTTP/1.1"
    assert response.headers["content-type"] == "application/json"
    assert response.json() == {"title": "Answer 1"}


def test_proxies_of_the_environment_are_not_used(
    send: Callable[[str], httpx.Response], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    assert send(script.address).status_code == 200


def test_nobody_listening_is_a_connect_error(send: Callable[[str], httpx.Response]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    with pytest.raises(httpx.ConnectError, match=r"refused|attempts failed"):
        send(f"http://127.0.0.1:{port}/")


HALF = b"HTTP/1.1 200 OK\r\nContent-Length: 999999\r\n\r\n" + b"x" * 300_000


@pytest.mark.parametrize("said", [b"", HALF, b"nonsense"], ids=["nothing", "half", "nonsense"])
def test_an_answer_that_breaks_off_is_the_protocols(
    send: Callable[[str], httpx.Response], said: bytes
) -> None:
    with pytest.raises(httpx.RemoteProtocolError), talk(said) as address:
        send(address)


def test_headers_may_be_beyond_ascii(send: Callable[[str], httpx.Response]) -> None:
    with talk(b"HTTP/1.1 200 OK\r\nX-Name: \xe9\r\nContent-Length: 1\r\n\r\n1") as address:
        assert send(address).content == b"1"


def test_a_coding_beyond_ascii_is_not_taken_for_none(
    send: Callable[[str], httpx.Response],
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Encoding: \xe9\r\nContent-Length: 0\r\n\r\n"
    with talk(head) as address:
        assert send(address).headers["content-encoding"]


def test_only_http_is_spoken(send: Callable[[str], httpx.Response]) -> None:
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
