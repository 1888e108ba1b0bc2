"""Real fake services on a real socket, and two of them that every test can break."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import uvicorn
from asgiref.sync import async_to_sync
from django.conf import settings as site_settings
from django.core.cache import caches
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse

from config.generated import SERVICES
from engine.visitors import forget_readings
from fakes.app import create_app, get_latencies_ms
from fanout.calls import service
from fanout.calls.last_good import last_good
from fanout.calls.service import Service, get_classes, get_service
from fanout.calls.transport import TRANSPORTS
from fanout.pages.page import Page
from fanout.pages.response import PageResponse
from fanout.pages.streaming import StreamedPageResponse
from homepage.views import HOME, VIEWS

ENDLESS = {"fault=hang", "fault=trickle"}

Get = Callable[[str], PageResponse | StreamedPageResponse]


def pytest_configure() -> None:
    """Refuse settings with which the tests would empty somebody's cache; nothing is traced yet."""
    if not site_settings.SETTINGS_MODULE.startswith("engine."):
        raise pytest.UsageError("These tests need --ds=engine.settings.")
    # Inside a hook, those of Git name a repository that is no business of the tests.
    for name in [name for name in os.environ if name.startswith(("GIT_", "OTEL_"))]:
        del os.environ[name]
    # A shell that runs them in the background lets them, and what they start, ignore Ctrl-C.
    signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def serve(app: Any, **options: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port; the value is its address."""
    server = uvicorn.Server(uvicorn.Config(app, log_level="critical", workers=1, **options))
    with socket.create_server(("127.0.0.1", 0)) as sock:  # callers may come before it serves
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        thread = Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def fakes() -> Iterator[str]:
    """The address of fakes for the project's services, and for `alpha` and `beta`."""
    with serve(
        create_app(get_latencies_ms([*SERVICES, "alpha", "beta"])), timeout_keep_alive=75
    ) as address:
        yield address


@cache
def make_class(base: type[Service], **options: Any) -> type[Service]:
    """The one class with these options, as `get_service` knows services by their classes."""
    return type(base.__name__, (base,), options)


def make_service(name: str, url: str, **options: Any) -> Service:
    """A service with these options, of which no page knows."""
    cls: type[Service] = type("Own", (Service,), options)
    return cls(name, url)


@pytest.fixture(autouse=True)
def _project_services(settings: Settings, fakes: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The project's own services, faked, without latency, and with time enough anywhere.

    The setting OPTIONS has options by the names of services, which a test may change.
    """

    def get(module: str) -> list[type[Service]]:
        classes: dict[str, Any] = {cls.name: cls for cls in get_classes(module)}
        for name, options in settings.OPTIONS.items():
            classes[name] = make_class(classes.get(name, Service), name=name, **options)
        return list(classes.values())

    names = list(settings.FANOUT_SERVICES)
    settings.FANOUT_DEADLINE = 60.0
    settings.FANOUT_URLS = {name: f"{fakes}/{name}/?latency_ms=0" for name in names}
    settings.OPTIONS = {name: {"timeout": 30.0} for name in names}
    monkeypatch.setattr(service, "get_classes", get)


@pytest.fixture(autouse=True)
def _nothing_known(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """As in a process that has just started, with an empty cache; writes to it end with the test."""
    get_service.cache_clear()
    forget_readings()
    last_good.clear()
    caches["fanout"].clear()
    with ThreadPoolExecutor(2) as threads:
        monkeypatch.setattr(last_good, "_threads", threads)
        yield


@pytest.fixture(autouse=True)
def only_the_homepage(monkeypatch: pytest.MonkeyPatch) -> None:
    """No page but that one, whose services are what a test says."""
    monkeypatch.setattr(Page, "known", {HOME})


@pytest.fixture
def two_services(settings: Settings, fakes: str) -> Callable[..., None]:
    """Make `alpha` and `beta` the only services; the arguments ask for trouble: `beta="fault=hang"`.

    A service that would never be done gets 0.2 s, any other all the time there is.
    """

    def use(**trouble: str) -> None:
        names = ("alpha", "beta")
        settings.FANOUT_SERVICES = [*names]
        settings.FANOUT_CLASSES = "engine"  # none
        settings.OPTIONS = {
            name: {"timeout": 0.2 if trouble.get(name) in ENDLESS else 30.0} for name in names
        }
        settings.FANOUT_URLS = {
            name: f"{fakes}/{name}/?latency_ms=0&{trouble.get(name, '')}" for name in names
        }

    use()
    return use


BREAK_OFF = 0


class Script:
    """A service that answers with each of its `statuses` in turn, and after that always well.

    BREAK_OFF for a status closes the connection in mid-body. All answers have its `headers`.
    """

    def __init__(self) -> None:
        """All is well, and nobody has called."""
        self.reset("")

    def reset(self, address: str) -> None:
        """Begin anew, at `address`."""
        self.address = address
        self.statuses: list[int] = []
        self.headers: dict[str, str] = {}
        self.key = "items"
        self.calls: list[Request] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer a call; the title says which one it was."""
        self.calls.append(Request(scope))
        status = self.statuses.pop(0) if self.statuses else 200
        answer = {"title": f"Answer {len(self.calls)}", self.key: []}
        response = JSONResponse(answer, status or 200, self.headers)
        if status == BREAK_OFF:
            response.headers["Content-Length"] = "1000"
        await response(scope, receive, send)


@pytest.fixture(scope="session")
def _script() -> Iterator[Script]:
    script = Script()
    with serve(script, lifespan="off", timeout_keep_alive=75) as address:
        script.reset(address)
        yield script


@pytest.fixture
def script(_script: Script, two_services: Callable[..., None], settings: Settings) -> Script:
    """What `beta` does."""
    _script.reset(_script.address)
    settings.FANOUT_URLS["beta"] = f"{_script.address}/"
    return _script


@pytest.fixture
def templates(settings: Settings, tmp_path: Path) -> Path:
    """A folder of a test's own, whose templates win over the project's."""
    jinja2, *others = settings.TEMPLATES
    settings.TEMPLATES = [{**jinja2, "DIRS": [tmp_path]}, *others]
    return tmp_path


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, which stands still."""
    now = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    yield now
    monkeypatch.undo()


@pytest.fixture(params=VIEWS)
def style(request: pytest.FixtureRequest) -> str:
    """Every style."""
    return str(request.param)


@pytest.fixture(params=TRANSPORTS)
def transport(request: pytest.FixtureRequest, settings: Settings) -> str:
    """Every transport, where what goes over sockets can make a difference."""
    settings.FANOUT_TRANSPORT = request.param
    return str(request.param)


@pytest.fixture(params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> str:
    """Either way to serve the site."""
    return str(request.param)


@pytest.fixture
def get(interface: str, client: Client, async_client: AsyncClient) -> Get:
    """Get the page of a style, through Django's ASGI handler or through its WSGI handler."""

    async def aget(path: str) -> Any:
        response: Any = await async_client.get(path)
        if response.streaming:
            response.streaming_content = [part async for part in response]
        return response

    def get(style: str) -> PageResponse | StreamedPageResponse:
        path = reverse(f"compare-{style}")
        response = client.get(path) if interface == "wsgi" else async_to_sync(aget)(path)
        assert isinstance(response, PageResponse | StreamedPageResponse)
        return response

    return get
