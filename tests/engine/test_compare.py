"""manage.py compare: that it measures the real server, what it shows, and that it leaves nothing running."""

import asyncio
import io
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from importlib import reload
from pathlib import Path
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.core.management import CommandError, call_command
from django.test import AsyncClient, Client
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from comparison import urls
from comparison.management.commands import compare
from comparison.measurement import AS_IT_IS, Measurement, Part, judge
from engine.conftest import serve
from engine.test_measurement import HELD, MEASURED, TIMINGS, change
from fakes import process
from fakes.catalogue import find_book
from homepage.services import Book
from homepage.views import BOOK, VIEWS

SETTINGS = """
from engine.settings import *
from fanout import Service

FANOUT_DEADLINE = 60.0
Service.timeout, Service.retry, Service.break_for = 30.0, False, 0
FANOUT_SERVICES = ["alpha", "beta"]
FANOUT_URLS = {{
    "alpha": "{fakes}/alpha/?latency_ms=0",
    "beta": "{fakes}/beta/?latency_ms=0&fault=status:500",
}}
"""

SHOWN = {"FANOUT_COMPARE": "true", "FANOUT_COMPARE_PAGES": "true"}

Popen = subprocess.Popen[Any]


@pytest.fixture(autouse=True)
def _signals() -> Iterator[None]:
    """The command takes signals for its process, which is that of the tests here."""
    numbers = [signal.SIGTERM, getattr(signal, "SIGHUP", signal.SIGTERM)]
    handlers = [signal.getsignal(number) for number in numbers]
    yield
    for number, handler in zip(numbers, handlers, strict=True):
        signal.signal(number, handler)


@pytest.fixture
def started(monkeypatch: pytest.MonkeyPatch) -> list[Popen]:
    """Every process that has been started."""
    processes: list[Popen] = []

    class Recorded(subprocess.Popen):
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **options)
            processes.append(self)

    monkeypatch.setattr(subprocess, "Popen", Recorded)
    return processes


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Run these lines of Python instead of a command; `port` is what it was told."""

    def use(lines: str) -> None:
        def make_command(name: str, port: int) -> list[str]:
            return [sys.executable, "-c", f"port = {port}\n{lines}"]

        monkeypatch.setattr(process, "_make_command", make_command)

    return use


LISTENS = "print(f'Homepage at http://127.0.0.1:{port}/', flush=True)\n"


def run(*arguments: str) -> str:
    """What the command prints."""
    stdout = io.StringIO()
    call_command("compare", *arguments, stdout=stdout)
    return stdout.getvalue()


def test_every_style_is_measured_through_the_real_server(
    tmp_path: Path,
    fakes: str,
    two_services: Callable[..., None],
    started: list[Popen],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    (tmp_path / "own_settings.py").write_text(SETTINGS.format(fakes=fakes), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "own_settings")
    found = json.loads(run("--json", "--pages", "4", "--concurrency", "2"))
    assert (found["pages"], found["concurrency"]) == (4, 2)
    assert found["services"] == ["alpha", "beta"]
    assert list(found["styles"]) == list(VIEWS)
    for style in found["styles"].values():
        for pages, measured in ((compare.ALONE, style["alone"]), (4, style["together"])):
            assert measured["failed_sections"] == pages
            assert measured["problems"] == {}
            assert measured["sum"] >= measured["slowest"] > 0
            assert measured["total"] >= measured["slowest"]
            assert measured["p95"] >= measured["p50"] >= measured["first_byte"] > 0
            assert measured["pages_per_second"] > 0
    assert "Sections failed" in found["verdict"]
    assert [p.returncode for p in started] == [0]


@pytest.fixture
def own_server(
    tmp_path: Path,
    fakes: str,
    two_services: Callable[..., None],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The real server has the services of SETTINGS."""
    (tmp_path / "own_settings.py").write_text(SETTINGS.format(fakes=fakes), encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setenv("DJANGO_SETTINGS_MODULE", "own_settings")


@pytest.mark.usefixtures("own_server")
def test_any_page_is_measured_in_every_style(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(BOOK, "_chosen", (Book, "alpha", "beta"))
    with serve(JSONResponse(find_book("9")), lifespan="off") as address:
        monkeypatch.setenv("BOOK_URL", f"{address}/")
        found = json.loads(
            run("--json", "--pages", "4", "--concurrency", "2", "--path", "books/9/")
        )
    assert found["services"] == ["book", "alpha", "beta"]
    assert list(found["styles"]) == list(VIEWS)
    for style in found["styles"].values():
        assert style["alone"]["sections"] == 3
        assert style["alone"]["slowest_required"] > 0
        assert style["alone"]["failed_sections"] == compare.ALONE
        assert style["together"]["problems"] == {}


@pytest.mark.usefixtures("own_server")
def test_a_view_of_ones_own_is_measured_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compare, "VIEWS", {})  # so that the homepage's is another one
    found = json.loads(run("--json", "--pages", "4", "--concurrency", "2"))
    assert found["holds"] is None
    assert list(found["styles"]) == [AS_IT_IS]
    assert found["styles"][AS_IT_IS]["alone"]["sections"] == 2
    assert found["styles"][AS_IT_IS]["claim"] is None


def test_a_page_that_is_not_there_is_one_clear_line(two_services: Callable[..., None]) -> None:
    with pytest.raises(
        CommandError, match=r"^There is no page /nowhere/: .*, such as /books/9/\.$"
    ):
        run("--path", "nowhere/")


@pytest.mark.parametrize("style", VIEWS)
def test_the_comparison_shows_any_page(
    style: str, interface: str, client: Client, async_client: AsyncClient, settings: Settings
) -> None:
    settings.FANOUT_CLASSES = "homepage.services"
    with serve(JSONResponse(find_book("9")), lifespan="off") as address:
        settings.FANOUT_URLS = {**dict.fromkeys(("promo", "recco"), address), "book": f"{address}/"}
        path = f"/compare/{style}/books/9/"
        if interface == "wsgi":
            response: Any = client.get(path)
        else:
            response = async_to_sync(async_client.get)(path)
    assert response.status_code == 200
    assert response.page.sections[0].title == "Bees in the Wall"
    assert response.page.style == ("sync" if (style, interface) == ("stream", "wsgi") else style)


def test_in_production_only_the_command_sees_pages_at_other_addresses(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = False
    shown = [len(reload(urls).urlpatterns)]
    monkeypatch.delenv("FANOUT_COMPARE_PAGES")
    for settings.DEBUG in (False, True):
        shown.append(len(reload(urls).urlpatterns))
    assert shown == [6, 5, 6]


@pytest.mark.parametrize("path", ["quick/books/9/", "gather/nowhere/", "gather/accounts/login/"])
def test_it_shows_nothing_else(path: str, client: Client) -> None:
    assert client.get(f"/compare/{path}").status_code == 404


def test_a_server_that_does_not_start_says_why(stand_in: Callable[[str], None]) -> None:
    stand_in("raise SystemExit('CommandError: no such luck')")
    with pytest.raises(CommandError, match=r"^The server did not start: .*no such luck$"):
        run()


def test_a_server_that_dies_is_said(stand_in: Callable[[str], None], started: list[Popen]) -> None:
    stand_in(LISTENS + "print('Out of memory')")

    def fail() -> None:
        with process.run_server():
            started[0].wait(50)
            raise CommandError("Nobody there.")

    with pytest.raises(CommandError, match=r"^Nobody there\. The server has .*: Out of memory$"):
        fail()


def test_a_server_that_lives_is_not_blamed(
    stand_in: Callable[[str], None], started: list[Popen]
) -> None:
    stand_in(LISTENS + "import time; time.sleep(60)")
    with pytest.raises(CommandError, match=r"^Not here\.$"), process.run_server():
        raise CommandError("Not here.")
    assert started[0].returncode  # it was told to end


def test_what_a_killed_server_leaves_is_ended(
    stand_in: Callable[[str], None], started: list[Popen]
) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows has no process groups.")
    stand_in(
        "import socket, subprocess, sys, time\n"
        "listen = f'import socket, time; sock = socket.create_server((\"127.0.0.1\", {port}))'\n"
        "listen += '; print(flush=True); time.sleep(100)'\n"
        "out = {'stdout': subprocess.PIPE, 'stderr': subprocess.DEVNULL}\n"
        "child = subprocess.Popen([sys.executable, '-c', listen], **out)\n"
        f"child.stdout.readline()\n{LISTENS}time.sleep(100)"
    )
    with process.run_server() as address:
        url = httpx.URL(address)
        connection = socket.create_connection((url.host, url.port or 0), 50)
        started[0].kill()
    with connection, suppress(ConnectionResetError):
        assert connection.recv(1) == b""  # a child that lives says nothing


@pytest.mark.parametrize("name", ["SIGINT", "SIGTERM"])
def test_a_signal_ends_all_of_it(
    name: str,
    stand_in: Callable[[str], None],
    started: list[Popen],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    stand_in(LISTENS + "import time; time.sleep(60)")

    async def interrupt(*_: object) -> None:
        signal.raise_signal(getattr(signal, name))
        await asyncio.sleep(60)

    monkeypatch.setattr(compare, "measure", interrupt)
    with pytest.raises(CommandError, match=r"^Stopped, with all that was started\.$") as stopped:
        run()
    assert stopped.value.returncode == 130
    assert started[0].returncode  # it was told to end


@pytest.mark.parametrize("faked", [True, False])
def test_services_that_are_faked_get_fakes_of_their_own(
    faked: bool, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FAKES_URL = "http://127.0.0.1:8001"
    url = f"{settings.FAKES_URL}/alpha/" if faked else "https://alpha.example.com/"
    settings.FANOUT_SERVICES, settings.FANOUT_URLS = ["alpha"], {"alpha": url}
    runs: list[Any] = []

    @contextmanager
    def record(*arguments: object, **variables: str) -> Iterator[str]:
        runs.append(arguments or variables)
        yield ""

    async def visit(*_: object) -> tuple[list[Measurement], list[Measurement]]:
        return [MEASURED], [MEASURED]

    monkeypatch.setattr(compare, "run_fakes", record)
    monkeypatch.setattr(compare, "run_server", record)
    monkeypatch.setattr(compare, "_visit", visit)
    run()
    if faked:
        [(port,), variables] = runs
        assert variables == {**SHOWN, "FAKES_URL": f"http://127.0.0.1:{port}"}
        assert port != 8001
    else:
        assert runs == [SHOWN]


@pytest.mark.parametrize("option", ["pages", "concurrency"])
@pytest.mark.parametrize("number", ["0", "-1", "1.5", "many"])
def test_a_wrong_number_is_one_clear_line(option: str, number: str) -> None:
    with pytest.raises(
        CommandError, match=f"^--{option} is a whole number above 0, not {number}.$"
    ):
        run(f"--{option}={number}")


def test_what_is_missing_is_one_line(settings: Settings) -> None:
    settings.DEBUG = False
    settings.ALLOWED_HOSTS = []
    with pytest.raises(CommandError, match="DJANGO_ALLOWED_HOSTS"):
        run()


def test_without_the_dev_group_the_way_out_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "rich", None)
    with pytest.raises(CommandError, match=r"dev group: run uv sync\.$"):
        run()


@pytest.mark.parametrize(
    ("hosts", "host"),
    [([], "127.0.0.1"), (["*"], "127.0.0.1"), ([".example.com", "other"], "example.com")],
)
def test_pages_are_asked_for_as_by_a_proxy(
    hosts: list[str], host: str, settings: Settings, two_services: Callable[..., None]
) -> None:
    settings.ALLOWED_HOSTS = hosts
    asked: list[tuple[str, str, str]] = []

    async def record(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        assert request.headers["X-Forwarded-Proto"] == "https"
        asked.append(
            (request.url.path, request.headers["Host"], request.headers["Accept-Encoding"])
        )
        await Response("page", headers={"Server-Timing": TIMINGS})(scope, receive, send)

    with serve(record, lifespan="off") as address:
        alone, together = asyncio.run(compare._visit(f"{address}/", *compare._find_page("/"), 1, 1))
    assert [m.style for m in alone] == [m.style for m in together] == list(VIEWS)
    assert set(asked) == {(f"/compare/{style}/", host, "identity") for style in VIEWS}


def test_people_get_a_table_bars_and_one_line(
    monkeypatch: pytest.MonkeyPatch, two_services: Callable[..., None]
) -> None:
    together = change(0, stale_sections=7, problems={"status 503": 2, "ReadTimeout": 1})
    monkeypatch.setattr(compare, "_measure", lambda *_: (HELD, together))
    monkeypatch.setenv("COLUMNS", "80")
    printed = run()
    lines = printed.splitlines()
    assert lines[0] == "2 services, 200 pages of each style, 10 at once"
    assert lines[-1] == judge(HELD)[1]
    for style in VIEWS:
        [row, bar] = [line.split() for line in lines[1:-1] if line.split()[:1] == [style]]
        assert row[1:3] == ["220", "ms"]
        assert bar[-2:] == ["220", "ms"]
    assert " sync: 2 x status 503, 1 x ReadTimeout" in lines
    assert "stale" in printed
    assert "\x1b" not in printed
    assert max(len(line) for line in lines[1:-1]) <= 80


def test_columns_that_have_nothing_to_say_are_left_out(
    monkeypatch: pytest.MonkeyPatch, two_services: Callable[..., None]
) -> None:
    monkeypatch.setattr(compare, "_measure", lambda *_: (HELD, HELD))
    assert "stale" not in run()


def test_a_chain_is_called_one(
    monkeypatch: pytest.MonkeyPatch, two_services: Callable[..., None]
) -> None:
    parts = {"alpha": Part(), "beta": Part(after=("alpha",))}
    monkeypatch.setattr(compare, "_find_page", lambda path: ({}, parts))
    monkeypatch.setattr(compare, "_measure", lambda *_: (HELD, HELD))
    printed = run()
    assert "gather and stream = the longest chain of services (150 ms)" in printed
    assert " longest chain " in printed
