"""The APIs on a real socket, and a homepage that shows all of them."""

from collections.abc import Iterator

import pytest
from pytest_django import Settings
from starlette.applications import Starlette

from engine.conftest import serve
from engine.shapes import guarded, plain, posted
from engine.shapes.server import create_app, reset
from fanout import Service

PATHS = {
    "books": "/api/books/",
    "issues": "/repos/octo/shop/issues",
    "articles": "/articles?include=author",
    "novels": "/graphql",
    "posts": "/books/_search",
    "offers": "/1/indexes/*/queries",
    "products": "/v1/products",
    "orders": "/orders",
    "people": "/TripPinRESTierService/People",
    "news": "/news.rss",
    "blog": "/blog.atom",
    "player": "/v1/me/player",
    "breaches": "/api/v3/breachedaccount/nobody@example.com",
    "messages": "/api/conversations.history?channel=C012AB3CD",
    "releases": "/v1/browse/new-releases",
}
SECRETS = {
    "BOOKS_KEY": plain.TOKEN,
    "ALGOLIA_KEY": posted.SEARCH_KEY,
    "STRIPE_KEY": guarded.STRIPE_KEY,
    "PLAYER_TOKEN": guarded.SILENT,
    "BREACHES_KEY": guarded.BREACHES_KEY,
    "SLACK_TOKEN": guarded.SLACK_TOKEN,
    "RELEASES_SECRET": guarded.CLIENT_SECRET,
}


@pytest.fixture(scope="session")
def _apis() -> Iterator[tuple[Starlette, str]]:
    app = create_app()
    with serve(app, lifespan="off", timeout_keep_alive=75) as address:
        yield app, address


@pytest.fixture
def address(_apis: tuple[Starlette, str]) -> str:
    """Where the APIs are."""
    return _apis[1]


@pytest.fixture
def apis(
    _apis: tuple[Starlette, str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> Starlette:
    """The APIs, behind the services of the homepage: those of services.py, with right secrets."""
    app, address = _apis
    reset(app)
    settings.OPTIONS = {}
    settings.FANOUT_CLASSES = "engine.shapes.services"
    settings.FANOUT_SERVICES = [*PATHS]
    settings.FANOUT_URLS = {name: f"{address}{path}" for name, path in PATHS.items()}
    monkeypatch.setattr(Service, "timeout", 30.0)
    for variable, value in SECRETS.items():
        monkeypatch.setenv(variable, value)
    return app
