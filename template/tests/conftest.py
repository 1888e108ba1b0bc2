"""The homepage in every style over two plain services, `alpha` and `beta`, on a real socket.

They stand for any services and any HTML, so that these tests hold whatever this project's own are.
"""

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any

import pytest
import uvicorn
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client
from django.urls import path, reverse
from jinja2 import ChoiceLoader, FileSystemLoader, FunctionLoader
from pytest_django import Settings

from fakes.app import create_app
from fanout import Service
from fanout.calls.last_good import last_good
from fanout.calls.service import get_service
from fanout.serving.health import livez, readyz
from homepage.urls import login
from homepage.views import VIEWS

PAGE = """
{% block sections %}
{% for section, html in sections %}{{ html | safe }}{% endfor %}
{% endblock %}
"""
SECTION = "{{ section.title }}: {{ section.items | length }}"

ENDLESS = {"fault=hang", "fault=trickle"}
MIDDLEWARE = [
    "fanout.serving.middleware.SessionMiddleware",
    "fanout.serving.middleware.AuthenticationMiddleware",
]

urlpatterns = [
    *(path(f"{style}/", view, name=style) for style, view in VIEWS.items()),
    path("login/", login, name="login"),
    path("livez", livez, name="livez"),
    path("readyz", readyz, name="readyz"),
]


class Alpha(Service):
    """A service with the options that a test asks for."""


class Beta(Alpha):
    """One more, with the same options."""


Call = Callable[..., None]
Get = Callable[[str], Any]


@contextmanager
def serve(app: Any) -> Iterator[str]:
    """Serve an ASGI application on a free port; the value is its address, without a slash."""
    server = uvicorn.Server(uvicorn.Config(app, lifespan="off", log_level="critical", workers=1))
    with socket.create_server(("127.0.0.1", 0)) as sock:  # callers may come before it serves
        thread = Thread(target=server.run, kwargs={"sockets": [sock]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{sock.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()


@pytest.fixture(scope="session")
def fakes() -> Iterator[str]:
    """The address of the fakes of `alpha` and `beta`."""
    with serve(create_app({"alpha": 0, "beta": 0})) as address:
        yield address


@pytest.fixture
def call(settings: Settings, fakes: str, monkeypatch: pytest.MonkeyPatch) -> Call:
    """Let the homepage call `alpha` and `beta`, with trouble if they are asked for it.

    If `beta` would never be done, as with `call(beta="fault=hang")`, it gets 0.2 s.
    """
    folder = FileSystemLoader(settings.BASE_DIR / "fanout/jinja2")
    environment = "fanout.pages.rendering.environment"
    options = {"environment": environment, "loader": ChoiceLoader([folder, FunctionLoader(_load)])}
    backend = "django.template.backends.jinja2.Jinja2"
    settings.TEMPLATES = [{"BACKEND": backend, "OPTIONS": options}]
    settings.MIDDLEWARE = MIDDLEWARE
    settings.ROOT_URLCONF = __name__
    settings.LOGIN_REDIRECT_URL = "/"
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["alpha", "beta"], __name__

    def call(
        alpha: str = "", beta: str = "", *, personal: bool = False, required: bool = False
    ) -> None:
        get_service.cache_clear()  # every breaker is closed
        last_good.clear()
        settings.FANOUT_URLS = {"alpha": f"{fakes}/alpha/?{alpha}", "beta": f"{fakes}/beta/?{beta}"}
        monkeypatch.setattr(Alpha, "personal", personal)
        monkeypatch.setattr(Alpha, "required", required)
        monkeypatch.setattr(Beta, "timeout", 0.2 if beta in ENDLESS else 30.0)

    call()
    return call


def _load(name: str) -> str:
    """Some HTML for any template, in place of the project's."""
    return SECTION if name.startswith("sections/") else PAGE


@pytest.fixture(params=VIEWS)
def style(request: pytest.FixtureRequest) -> str:
    """Every style that this project has."""
    return str(request.param)


@pytest.fixture(params=["asgi", "wsgi"])
def get(request: pytest.FixtureRequest, client: Client, async_client: AsyncClient) -> Get:
    """Get the page of a style, whole, as an ASGI server does and as a WSGI server does."""

    async def aget(address: str) -> Any:
        response: Any = await async_client.get(address)
        if response.streaming:
            response.streaming_content = [part async for part in response]
        return response

    def get(style: str) -> Any:
        address = reverse(style)
        return client.get(address) if request.param == "wsgi" else async_to_sync(aget)(address)

    return get


@pytest.fixture
def viewer(client: Client, async_client: AsyncClient, db: None) -> Any:
    """A user, of whatever model, who is logged in."""
    model = get_user_model()
    user = model(**{model.USERNAME_FIELD: "viewer"})
    user.set_password("a long password")
    user.save()
    client.force_login(user)
    async_client.force_login(user)
    return user
