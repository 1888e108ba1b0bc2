"""manage.py serve: the site in production, from several processes, stopped and killed."""

import asyncio
import inspect
import os
import re
import signal
import socket
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
import uvicorn
from django.core import management
from django.core.management import CommandError, call_command
from pytest_django import Settings
from starlette.responses import JSONResponse
from uvicorn.config import STARTUP_FAILURE

import manage as command_line
from config.asgi import application
from engine.commands import Manage, Process, find_free_ports, read_until, run_commands
from engine.conftest import serve
from fanout.serving import serve as module

SETTINGS = """
import os

from config.settings import *
from fanout import Service

DEBUG = SECURE_SSL_REDIRECT = False
SECRET_KEY = "only-for-this-test-" * 3
ALLOWED_HOSTS = ["127.0.0.1"]
FANOUT_DEADLINE = 60.0
Service.timeout = 30.0
FANOUT_URLS = dict.fromkeys(FANOUT_SERVICES, "{address}")
STORAGES["staticfiles"] = {{"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
exec(os.environ.get("MORE_SETTINGS", ""))
"""
HANG = """
import asyncio
import logging
from threading import Event

ASGI_APPLICATION = "own_settings.application"
FANOUT_DEADLINE = 1.0


async def application(scope, receive, send):
    if scope["type"] == "http":
        print("It hangs.", flush=True)
        {hang}
"""
HANGS = {
    "a database": "await asyncio.to_thread(Event().wait)",
    "DNS": "await asyncio.get_running_loop().getaddrinfo('slow', 80)",
    "a log that nobody reads": "while True: logging.warning('Nobody reads this.')",
}
STOPS: dict[str, Callable[[int], None]] = {
    "SIGTERM": lambda pid: os.kill(pid, signal.SIGTERM),
    "Ctrl-C": lambda pid: os.killpg(pid, signal.SIGINT),
}


class Gate:
    """A service that is called, but does not answer before it is opened."""

    def __init__(self) -> None:
        """Closed, and nobody has called."""
        self.called, self.opened = Event(), Event()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Wait, then answer."""
        self.called.set()
        await asyncio.to_thread(self.opened.wait)
        await JSONResponse({"title": "Open", "items": []})(scope, receive, send)


@pytest.fixture
def gate() -> Gate:
    """What every service of the site does."""
    return Gate()


@pytest.fixture
def manage(tmp_path: Path, gate: Gate) -> Iterator[Manage]:
    """Start `manage.py` in production, with `gate` for every service; MORE_SETTINGS are Python."""
    with (
        serve(gate, lifespan="off") as address,
        run_commands(tmp_path, SETTINGS.format(address=f"{address}/"), {}) as manage,
    ):
        yield manage
        gate.opened.set()


def start(
    manage: Manage, processes: int, *options: str, **variables: str
) -> tuple[Process, str, list[int]]:
    """Serve; the values are the command, its address, and the ids of its processes."""
    port = find_free_ports()
    command = ("serve", "--port", str(port), "--processes", str(processes))
    process = manage(*command, *options, **variables)
    return process, f"http://127.0.0.1:{port}/", [read_pid(process) for _ in range(processes)]


def read_pid(process: Process) -> int:
    """The id of the next process that starts."""
    line = read_until(process, "Started server process")[-1]
    return int(re.findall(r"\d+", line)[-1])


def test_every_process_answers(manage: Manage) -> None:
    _, site, pids = start(manage, 2)
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)  # so it has to be the other one
        assert httpx.get(f"{site}livez", timeout=50).text == "alive\n"
        os.kill(pid, signal.SIGCONT)


@pytest.mark.parametrize(
    ("host", "proxies", "status"),
    [("127.0.0.1", "", 301), ("127.0.0.1", "127.0.0.1", 200), ("::", "::2, 127.0.0.0/8", 200)],
)
def test_only_a_proxy_that_is_named_says_what_was_https(
    manage: Manage, host: str, proxies: str, status: int
) -> None:
    if ":" in host and not socket.has_dualstack_ipv6():
        pytest.skip("There is no IPv6 here that takes IPv4, too.")
    more = f"SECURE_SSL_REDIRECT, FORWARDED_ALLOW_IPS = True, {proxies!r}"
    _, site, _ = start(manage, 1, "--host", host, MORE_SETTINGS=more)
    response = httpx.get(
        f"{site}accounts/login/", headers={"X-Forwarded-Proto": "https"}, timeout=50
    )
    assert response.status_code == status
    assert "server" not in response.headers


def test_a_process_that_dies_is_replaced(manage: Manage, gate: Gate) -> None:
    gate.opened.set()
    process, site, pids = start(manage, 2)
    for pid in pids:
        assert httpx.get(site, timeout=50).status_code == 200
        os.kill(pid, signal.SIGKILL)
        read_pid(process)
    assert httpx.get(site, timeout=50).status_code == 200


def test_one_process_is_the_command_itself(manage: Manage) -> None:
    process, _, pids = start(manage, 1)
    assert pids == [process.pid]


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize("stop", STOPS)
def test_pages_in_flight_are_finished_before_it_ends(
    manage: Manage, gate: Gate, stop: str, processes: int
) -> None:
    process, site, _ = start(manage, processes)
    url = httpx.URL(site)
    with (
        socket.create_connection((url.host, url.port or 0), 50) as idle,
        ThreadPoolExecutor() as threads,
    ):
        idle.sendall(b"GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        received = b""
        while not received.endswith(b"alive\n"):
            received += idle.recv(4096)
        page = threads.submit(httpx.get, site, timeout=50)
        assert gate.called.wait(50)
        STOPS[stop](process.pid)
        assert idle.recv(4096) == b""  # a connection without a request waits for nothing
        assert not page.done()
        gate.opened.set()
        assert page.result().status_code == 200  # httpx raises if its end is missing
    process.communicate(timeout=50)
    assert process.returncode == 0


@pytest.mark.parametrize(
    ("what", "processes"),
    [("a database", 1), ("DNS", 1), ("a log that nobody reads", 1), ("a log that nobody reads", 2)],
)
def test_it_ends_whatever_hangs(manage: Manage, tmp_path: Path, what: str, processes: int) -> None:
    names = tmp_path / "names"
    os.mkfifo(names)  # nobody ever writes there which other names "slow" has, and glibc waits
    more = HANG.format(hang=HANGS[what])
    process, site, _ = start(manage, processes, MORE_SETTINGS=more, HOSTALIASES=str(names))
    url = httpx.URL(site)
    with socket.create_connection((url.host, url.port or 0), 50) as visitor:
        visitor.sendall(b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        read_until(process, "It hangs.")
        process.terminate()
        assert process.wait(1 + 2 + 10) == 1  # 10 for a busy machine
    process.communicate(timeout=10)  # returns once its processes have ended, too
    socket.create_server((url.host, url.port or 0)).close()


def test_processes_end_after_their_supervisor_was_killed_even_with_pages_in_flight(
    manage: Manage, gate: Gate
) -> None:
    process, site, _ = start(manage, 2)
    with ThreadPoolExecutor() as threads:
        page = threads.submit(httpx.get, site, timeout=50)
        assert gate.called.wait(50)
        process.kill()
        process.communicate(timeout=2 + 10)  # returns once they have ended
        assert page.exception()
    url = httpx.URL(site)
    socket.create_server((url.host, url.port or 0)).close()


def test_the_server_waits_longer_than_proxies_and_pages_and_trusts_who_is_named(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    configs: list[uvicorn.Config] = []

    def supervise(config: uvicorn.Config, **_: Any) -> SimpleNamespace:
        configs.append(config)
        return SimpleNamespace(run=lambda: None, processes=[])

    monkeypatch.setattr(module, "_Supervisor", supervise)
    monkeypatch.setattr(module, "_end_in_time", lambda: None)
    settings.FANOUT_DEADLINE = 2.5
    settings.FORWARDED_ALLOW_IPS = "10.0.0.0/8, 2001:db8::1"
    call_command("serve", port=find_free_ports(), processes=2)
    [config] = configs
    assert config.timeout_keep_alive == 75
    assert config.timeout_graceful_shutdown == 3.0
    assert config.forwarded_allow_ips == ["10.0.0.0/8", "2001:db8::1", "::ffff:10.0.0.0/104"]


@pytest.mark.parametrize(("processes", "code"), [("1", STARTUP_FAILURE), ("2", 1)])
def test_what_stops_every_process_ends_the_command(
    manage: Manage, processes: str, code: int
) -> None:
    if not inspect.isfunction(application):
        pytest.skip("config/asgi.py has Django's own entry, which has no lifespan to refuse in.")
    command = ("serve", "--port", str(find_free_ports()), "--processes", processes)
    process = manage(*command, SSL_CERT_FILE=os.devnull + "/no")
    printed, _ = process.communicate(timeout=50)
    assert process.returncode == code
    assert "No connection can be made" in printed
    assert "Traceback" not in printed


def test_what_is_missing_is_one_line(manage: Manage) -> None:
    process = manage("serve", "--processes", "2", MORE_SETTINGS="ALLOWED_HOSTS = []")
    printed, _ = process.communicate(timeout=50)
    assert process.returncode == 1
    assert printed.startswith(
        "CommandError: Not set, but needed in production: DJANGO_ALLOWED_HOSTS."
    )
    assert printed.count("\n") == 1


@pytest.mark.parametrize("processes", ["0", "-1", "1.5", "many"])
def test_a_wrong_number_of_processes_is_one_clear_line(
    processes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WEB_CONCURRENCY", processes)
    with pytest.raises(CommandError, match=f"is a whole number above 0, not {processes}.$"):
        call_command("serve")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_answers_are_sent_at_once(host: str) -> None:
    try:
        socket.create_server(
            (host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        ).close()
    except OSError:
        pytest.skip(f"There is no {host} here.")
    port = find_free_ports()
    with (
        module.listen(host, port, "serve --port") as sock,
        socket.create_connection((host, port)),
        sock.accept()[0] as accepted,
    ):
        assert accepted.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)


@pytest.mark.parametrize(("command", "development"), [("serve", None), ("check", "true")])
def test_only_serve_is_in_production_mode(
    command: str, development: str | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    environment: dict[str, str] = {}
    monkeypatch.setattr(sys, "argv", ["manage.py", command])
    monkeypatch.setattr(os, "environ", environment)
    monkeypatch.setattr(management, "execute_from_command_line", lambda argv: None)
    command_line.main()
    assert environment.get("DJANGO_DEVELOPMENT") == development
