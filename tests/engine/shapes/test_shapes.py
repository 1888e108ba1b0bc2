"""Well-known APIs: a short class is enough for each, and every style shows what they say."""

import ast
import time
from collections.abc import Mapping
from inspect import getsource
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings
from starlette.applications import Starlette

from engine.conftest import Get
from engine.shapes import guarded, services
from engine.shapes.conftest import PATHS, SECRETS
from fanout.calls.section import Section
from fanout.calls.service import find_problems, get_classes

SHOWN = {
    "books": [("Dune", "https://books.example.com/1"), ("Emma", "https://books.example.com/2")],
    "issues": [("Found another", "https://github.com/octo/shop/issues/1349")],
    "articles": [
        ("Why we read", "https://example.com/articles/1"),
        ("Why we write", "https://example.com/articles/2"),
    ],
    "novels": [
        ("Dune", "https://books.example.com/dune"),
        ("Ulysses", "https://books.example.com/ulysses"),
    ],
    "posts": [
        ("Dune", "https://books.example.com/dune"),
        ("Ulysses", "https://books.example.com/ulysses"),
    ],
    "offers": [("Dune", "https://books.example.com/dune"), ("How to read", "/guides/read")],
    "products": [("Gold Plan", "https://shop.example.com/gold"), ("Silver Plan", None)],
    "orders": [
        ("Order 1", "https://shop.example.com/orders/1"),
        ("Order 2", "https://shop.example.com/orders/2"),
    ],
    "people": [("O'Neil", "/people/scottoneil")],
    "news": [
        ("Herring & poems", "https://harbour.example.com/news/herring"),
        ("The shop is closed on Monday.", ""),
    ],
    "blog": [
        ("New shelves", "https://blog.example.org/2005/shelves"),
        ("Old shelves", "https://blog.example.org/2005/old"),
    ],
    "player": [],
    "breaches": [],
    "messages": [("Who has the key?", ""), ("It is under the mat.", "")],
    "releases": [("Low Tide", "https://open.spotify.com/album/2up3OPMp9Tb4dAKM2erWXQ")],
}
WHERE = "engine.shapes.services"


def get_sections(get: Get, style: str) -> Mapping[str, Section]:
    """The sections of a page, by name."""
    return {section.name: section for section in get(style).page.sections}


def list_items(section: Section) -> list[tuple[Any, Any]]:
    """The titles and links of a section."""
    return [(item["title"], item.get("url", "")) for item in section.items]


@pytest.mark.usefixtures("apis")
def test_a_page_shows_every_api(get: Get, style: str) -> None:
    response = get(style)
    sections = {section.name: section for section in response.page.sections}
    assert {name: section.error for name, section in sections.items()} == dict.fromkeys(PATHS, "")
    assert {name: list_items(section) for name, section in sections.items()} == SHOWN
    assert {section.state for section in sections.values()} == {"ok"}
    said = {name: section.status for name, section in sections.items() if section.status != 200}
    assert said == {"player": 204, "breaches": 404}
    assert {name for name, section in sections.items() if section.empty} == {"player", "breaches"}
    assert response.page.complete
    assert sections["issues"].data["more"] is True
    assert sections["novels"].data["partial"] is True
    assert sections["news"].title == "Harbour News"
    html = response.getvalue().decode()
    assert 'href="https://open.spotify.com/album/2up3OPMp9Tb4dAKM2erWXQ"' in html
    assert "Herring &amp; poems" in html


@pytest.mark.usefixtures("apis")
def test_what_may_be_empty_is_shown_when_there_is_something(
    get: Get, style: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PLAYER_TOKEN", guarded.PLAYING)
    nobody, somebody = "nobody@example.com", "account-exists@hibp-integration-tests.com"
    address = settings.FANOUT_URLS["breaches"].replace(nobody, somebody)
    settings.FANOUT_URLS = {**settings.FANOUT_URLS, "breaches": address}
    sections = get_sections(get, style)
    assert [item["title"] for item in sections["player"].items] == ["Sea Song"]
    assert [item["title"] for item in sections["breaches"].items] == ["Adobe"]
    assert not sections["player"].empty
    assert not sections["breaches"].empty


def test_what_an_api_refuses_is_a_failed_section_with_a_sentence(
    get: Get,
    style: str,
    apis: Starlette,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    for variable in ("STRIPE_KEY", "SLACK_TOKEN", "RELEASES_SECRET"):
        monkeypatch.setenv(variable, "wrong-and-secret")
    monkeypatch.delenv("ALGOLIA_KEY")
    monkeypatch.setattr(services.Novels, "query", services.Novels.query.replace("title", "name"))
    urls = {name: url for name, url in settings.FANOUT_URLS.items() if name != "people"}
    urls["books"] += "?page=9"
    urls["news"] = urls["news"].replace("news.rss", "bomb.rss")
    settings.FANOUT_URLS = urls
    settings.FANOUT_SERVICES = [*urls]
    response = get(style)
    failed = {section.name: section for section in response.page.sections if section.error}
    assert {name: (section.error, section.status) for name, section in failed.items()} == {
        "books": ("answered with status 404", 404),
        "novels": (f"{WHERE}.Novels.read: KeyError 'data'", 200),
        "offers": (f"{WHERE}.Offers.request: ALGOLIA_KEY is not set", None),
        "products": ("answered with status 401", 401),
        "news": (f"{WHERE}.News.read: EntitiesForbidden", 200),
        "messages": (f"{WHERE}.Messages.read: KeyError 'messages'", 200),
        "releases": ("gets no token: 127.0.0.1 says 401", None),
    }
    assert all(section.state == "failed" and not section.items for section in failed.values())
    assert "wrong-and-secret" not in caplog.text + response.getvalue().decode()


def test_a_token_is_asked_for_once(
    get: Get, style: str, apis: Starlette, settings: Settings
) -> None:
    settings.FANOUT_SERVICES = ["releases"]
    for _ in range(3):
        assert get_sections(get, style)["releases"].state == "ok"
    assert len(apis.state.tokens) == 1


def test_a_token_that_ends_at_once_is_asked_for_at_each_call(
    get: Get, style: str, apis: Starlette, settings: Settings
) -> None:
    settings.FANOUT_SERVICES = ["releases"]
    apis.state.expires_in = 0
    for _ in range(3):
        assert get_sections(get, style)["releases"].state == "ok"
    assert len(apis.state.tokens) == 3


def test_a_token_that_is_refused_before_its_end_is_asked_for_again(
    get: Get, style: str, apis: Starlette, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.FANOUT_SERVICES = ["releases"]
    assert get_sections(get, style)["releases"].state == "ok"
    apis.state.valid.clear()
    later = SimpleNamespace(monotonic=lambda: time.monotonic() + 60)
    monkeypatch.setattr("fanout.calls.auth.time", later)
    assert get_sections(get, style)["releases"].state == "ok"
    assert len(apis.state.tokens) == 2


def test_a_class_takes_twelve_lines_at_most_and_no_excuse() -> None:
    source = getsource(services)
    assert max(map(len, source.splitlines())) <= 100
    classes = [node for node in ast.parse(source).body if isinstance(node, ast.ClassDef)]
    lines = {cls.name: (cls.end_lineno or 0) - cls.lineno + 1 for cls in classes}
    assert {name: count for name, count in lines.items() if count > 12} == {}
    assert len(lines) == len(PATHS) == 15
    assert not any(excuse in source for excuse in ("type: ignore", "noqa", "Any", "fmt:"))


def test_the_system_checks_have_nothing_to_say_of_the_classes() -> None:
    classes = get_classes(WHERE)
    assert {cls.name for cls in classes} == {*PATHS} == {*SHOWN}
    assert [problem for cls in classes for problem in find_problems(cls)] == []


def test_no_secret_stands_in_a_class() -> None:
    assert not any(value in getsource(services) for value in SECRETS.values())
