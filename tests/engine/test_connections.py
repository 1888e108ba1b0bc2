"""Connections are nobody's failure: dead addresses, those that were closed, old ones, a parent's."""

import asyncio
import os
import signal
import socket
import warnings
from collections.abc import Callable, Iterator
from concurrent.futures import Future, wait
from contextlib import ExitStack, contextmanager, suppress
from threading import Thread

import pytest

from engine.conftest import Script, make_service
from engine.visitors import make_visit
from fanout.calls.answer import readings
from fanout.calls.fetch import afetch, fetch
from fanout.calls.last_good import last_good
from fanout.calls.section import Section
from fanout.calls.service import Service, get_service
from fanout.calls.transport import connection, pool

ANSWER = b'HTTP/1.1 200 OK\r\n%sContent-Length: 12\r\n\r\n{"items":[]}'
Ask = Callable[[Service, int], list[Section]]


@pytest.fixture(params=["blocking", "pooled"])
def ask(request: pytest.FixtureRequest) -> Ask:
    """Call a service some times, in either way of waiting."""

    async def aask(service: Service, times: int) -> list[Section]:
        async with pool():
            return [await afetch(service, make_visit()) for _ in range(times)]

    if request.param == "pooled":
        return lambda service, times: asyncio.run(aask(service, times))
    return lambda service, times: [fetch(service, make_visit()) for _ in range(times)]


@contextmanager
def answer(*counts: int, headers: bytes = b"") -> Iterator[str]:
    """The address of a service whose next connection gives so many answers, then ends in silence."""

    def serve() -> None:
        with suppress(OSError):  # it is shut down
            for count in counts:
                connection, _ = server.accept()
                opened.append(connection)
                with connection:
                    for _ in range(count):
                        connection.recv(65536)
                        connection.sendall(ANSWER % headers)
                    connection.recv(65536)

    opened: list[socket.socket] = []
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = Thread(target=serve)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}/"
        finally:
            for sock in (server, *opened):
                with suppress(OSError):
                    sock.shutdown(socket.SHUT_RDWR)
            thread.join()


@contextmanager
def take_nobody(host: str, port: int = 0) -> Iterator[int]:
    """A port of an address where callers wait for ever."""
    with socket.socket() as full:
        full.bind((host, port))
        full.listen(0)
        callers = [socket.socket() for _ in range(4)]
        for caller in callers:
            caller.setblocking(False)
            caller.connect_ex(full.getsockname())
        yield int(full.getsockname()[1])
        for caller in callers:
            caller.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Service]]:
    """Start a service as `answer` makes it, which has no retry to spend."""
    with ExitStack() as stack:

        def start(*counts: int, headers: bytes = b"", **options: object) -> Service:
            address = stack.enter_context(answer(*counts, headers=headers))
            service = make_service("beta", address, stale_for=0.0, timeout=20.0, **options)
            service.retries._balance = -1000.0
            return service

        yield start


def test_a_used_connection_that_ends_in_silence_is_no_failure(
    ask: Ask, start: Callable[..., Service]
) -> None:
    service = start(1, 1, 1, 1)
    assert [section.state for section in ask(service, 4)] == ["ok"] * 4


@pytest.mark.parametrize(("counts", "headers"), [([0], b""), ([1, 0], b"Connection: close\r\n")])
def test_a_new_one_is(
    ask: Ask, start: Callable[..., Service], counts: list[int], headers: bytes
) -> None:
    service = start(*counts, headers=headers)
    *_, section = ask(service, len(counts))
    assert section.error.startswith("broke off")
    assert service.breaker._failures == 1


def test_the_connection_in_its_place_is_one(ask: Ask, start: Callable[..., Service]) -> None:
    service = start(1, 0)
    assert [section.state for section in ask(service, 2)] == ["ok", "failed"]
    assert service.breaker._failures == 1


def test_what_may_not_be_repeated_is_not(ask: Ask, start: Callable[..., Service]) -> None:
    service = start(1, 1, retry=False)
    assert [section.state for section in ask(service, 2)] == ["ok", "failed"]


@pytest.mark.parametrize(("age", "connections"), [(60.0, 1), (-1.0, 3)])
def test_a_connection_is_used_for_a_while(
    ask: Ask, script: Script, monkeypatch: pytest.MonkeyPatch, age: float, connections: int
) -> None:
    monkeypatch.setattr(connection, "MAX_AGE", age)
    assert [section.state for section in ask(make_service("beta", script.address), 3)] == ["ok"] * 3
    assert len({call.client for call in script.calls}) == connections


@pytest.mark.usefixtures("transport")
def test_every_address_of_a_name_has_its_turn(
    ask: Ask, script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    port = int(script.address.rpartition(":")[2])
    kind, tcp = socket.SOCK_STREAM, socket.IPPROTO_TCP
    found = [(socket.AF_INET, kind, tcp, "", (f"127.0.0.{n}", port)) for n in (2, 1)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **options: found)
    service = make_service("beta", f"http://two.test:{port}/", timeout=4.0)
    with take_nobody("127.0.0.2", port):
        assert [section.state for section in ask(service, 1)] == ["ok"]


@pytest.mark.usefixtures("transport")
def test_a_name_without_an_address_cannot_be_reached(ask: Ask) -> None:
    [section] = ask(make_service("beta", "http://none.invalid/", timeout=20.0), 1)
    assert section.error.startswith("could not be reached")


@pytest.mark.usefixtures("transport")
def test_a_forked_child_has_connections_of_its_own(script: Script) -> None:
    def ask_both() -> list[str]:
        service = get_service(Service, "beta", script.address)
        sections = [fetch(service, make_visit()), asyncio.run(afetch(service, make_visit()))]
        return [section.error for section in sections]

    assert ask_both() == ["", ""]
    breaker = get_service(Service, "beta", script.address).breaker
    with breaker._lock, readings._lock, last_good._lock, warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there are threads: that is the point
        child = os.fork()
        if not child:
            signal.alarm(60)  # ends it, if it hangs
            try:
                assert ask_both() == ["", ""]
                assert wait([last_good._start(int) or Future()], 20).done
                os._exit(0)
            finally:
                os._exit(1)
    assert os.waitpid(child, 0)[1] == 0
    assert ask_both() == ["", ""]
    callers = [call.client for call in script.calls]
    assert len(callers) == 6
    assert not {*callers[2:4]} & {*callers[:2], *callers[4:]}
