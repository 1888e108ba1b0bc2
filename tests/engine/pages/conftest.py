"""Pages of a test's own, in every style, over services that say what it wants."""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator
from threading import Event
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from django.urls import include, path, resolve
from django.views.defaults import page_not_found
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from config import urls as site
from engine.conftest import serve
from fanout.pages.page import Page
from homepage.views import VIEWS

NAMES = ("profile", "alpha", "beta", "gamma", "plain")

SHOWN: dict[str, Any] = {"page": None}  # by the test of the moment


def handler404(request: HttpRequest, exception: Exception) -> HttpResponse:
    """What the site shows where there is nothing; a test may change it."""
    return page_not_found(request, exception)


urlpatterns = [
    *site.urlpatterns,
    *(path(f"{style}/<slug:isbn>/", view, SHOWN) for style, view in VIEWS.items()),
    *(
        path(f"{style}/<slug:shop>/", include([path("<slug:isbn>/", view, SHOWN)]))
        for style, view in VIEWS.items()
    ),
]


class Backend:
    """Services at `/<name>/`."""

    def __init__(self) -> None:
        """All of them are well."""
        self.reset("")

    def reset(self, address: str) -> None:
        """Begin anew, at `address`."""
        self.address = address
        self.says: dict[str, Any] = {}  # what to answer, or how to make it; a status
        self.asked: list[Request] = []
        self.gates: dict[str, Event] = {}
        self._called: dict[str, Event] = defaultdict(Event)
        self._meetings: dict[str, asyncio.Barrier] = {}

    @property
    def names(self) -> list[str]:
        """Who was asked, in that order."""
        return [request.url.path.strip("/") for request in self.asked]

    def find(self, name: str) -> Request:
        """The last call of a service."""
        return [r for r in self.asked if r.url.path.strip("/") == name][-1]

    async def wait_for(self, name: str) -> None:
        """Wait until a service is asked."""
        assert await asyncio.to_thread(self._called[name].wait, 20)

    def meet(self, *names: str) -> None:
        """Let these answer only once all of them are asked at the same time."""
        barrier = asyncio.Barrier(len(names))
        self._meetings |= dict.fromkeys(names, barrier)

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer."""
        self.asked.append(Request(scope))
        name = scope["path"].strip("/")
        self._called[name].set()
        said = self.says.get(name, {"title": f"{name} speaks", "items": [{"title": "One"}]})
        if callable(said):
            said = said(self.asked[-1])
        if name in self.gates:
            await asyncio.to_thread(self.gates[name].wait, 20)
        if name in self._meetings:
            try:
                async with asyncio.timeout(20):
                    await self._meetings[name].wait()
            except (TimeoutError, asyncio.BrokenBarrierError):
                said = 504
        status = said if isinstance(said, int) else 200
        response = Response(status_code=status) if status == said else JSONResponse(said)
        await response(scope, receive, send)


@pytest.fixture(scope="session")
def _backend() -> Iterator[Backend]:
    backend = Backend()
    with serve(backend, lifespan="off", timeout_keep_alive=75) as address:
        backend.reset(address)
        yield backend


@pytest.fixture
def backend(_backend: Backend, settings: Settings) -> Iterator[Backend]:
    """What answers the services of `engine.pages.services`, and `plain`, which has no class."""
    _backend.reset(_backend.address)
    settings.OPTIONS, settings.FANOUT_SERVICES = {"plain": {"timeout": 30.0}}, ["beta", "gamma"]
    settings.FANOUT_CLASSES = "engine.pages.services"
    settings.FANOUT_URLS = {name: f"{_backend.address}/{name}/" for name in NAMES}
    yield _backend
    for gate in _backend.gates.values():
        gate.set()


Ask = Callable[..., Any]


@pytest.fixture
def ask(
    interface: str,
    client: Client,
    async_client: AsyncClient,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> Ask:
    """Get a page in a style, through either interface."""
    settings.ROOT_URLCONF = __name__

    async def aask(method: str, address: str, options: Any) -> Any:
        response = await getattr(async_client, method)(address, **options)
        if response.streaming:
            response.streaming_content = [part async for part in response]
        return response

    def ask(style: str, page: Page, isbn: str = "9", method: str = "get", **options: Any) -> Any:
        monkeypatch.setitem(SHOWN, "page", page)
        address = f"/{style}/{isbn}/"
        if interface == "wsgi":
            return getattr(client, method)(address, **options)
        return async_to_sync(aask)(method, address, options)

    return ask


def make_match(isbn: str) -> Any:
    """What Django knows of the path of a page."""
    return resolve(f"/sync/{isbn}/", __name__)


def read(response: Any) -> str:
    """The body, also of one that was streamed."""
    return b"".join(response).decode()
