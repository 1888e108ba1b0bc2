"""JSON of every page for who asks for it, with what HTML has."""

from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from html import unescape
from types import MappingProxyType
from typing import Any
from uuid import UUID

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, RequestFactory
from pytest_django import Settings

from engine.pages import conftest
from engine.pages.conftest import Ask, Backend, read
from engine.pages.services import Alpha, Gamma, Profile
from fanout import Secret
from fanout.pages.page import Page
from fanout.pages.response import wants_json

WANTED = {"Accept": "application/json"}
PAGE = Page("home.html", Alpha, Gamma, Profile)


def nest(depth: int) -> list[Any]:
    """A list of lists of lists."""
    nested: list[Any] = []
    for _ in range(depth):
        nested = [nested]
    return nested


def test_a_page_is_json_for_who_asks_for_that(ask: Ask, style: str, backend: Backend) -> None:
    items = [{"title": "Éclair <b>", "price": 1.5}]
    backend.says["gamma"] = {"title": "Gamma's", "items": items, "more": {"deep": None}}
    response = ask(style, PAGE, headers=WANTED)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["Vary"] == "Accept, Cookie"
    assert response.headers["X-Fanout-Complete"] == "true"
    assert response.headers["Cache-Control"] == "private"
    assert response.headers["Server-Timing"].startswith("alpha;dur=")
    page = response.json()
    assert page["complete"] is True
    assert list(page["sections"]) == ["alpha", "gamma", "profile"]
    assert page["sections"]["gamma"] == {
        "state": "ok",
        "status": 200,
        "age": page["sections"]["gamma"]["age"],
        "title": "Gamma's",
        "items": items,
        "more": {"deep": None},
    }


@pytest.mark.parametrize(
    ("says", "required", "status"),
    [(500, [], 200), (500, [Gamma], 503), (404, [Gamma], 404), (410, [Gamma], 410)],
)
def test_its_status_is_that_of_html(
    ask: Ask, style: str, backend: Backend, says: int, required: Any, status: int
) -> None:
    backend.says["gamma"] = says
    page = Page("home.html", Gamma, Profile, required=required)
    shown, told = ask(style, page), ask(style, page, headers=WANTED)
    assert (shown.status_code, told.status_code) == (status, status)
    assert told.json()["complete"] is False
    sections = told.json()["sections"]
    assert sections["gamma"] == {
        "state": "failed",
        "status": says,
        "age": 0.0,
        "title": "Gamma",
        "items": [],
    }
    assert sections["profile"]["state"] == "ok"
    assert told.headers.get("Retry-After") == ("5" if status == 503 else None)


def test_a_stale_section_says_so(ask: Ask, style: str, backend: Backend) -> None:
    ask(style, PAGE, headers=WANTED)
    backend.says["gamma"] = 500
    section = ask(style, PAGE, headers=WANTED).json()["sections"]["gamma"]
    assert (section["state"], section["status"]) == ("stale", 500)
    assert section["title"] == "gamma speaks"


def test_a_head_of_json_has_no_body(ask: Ask, style: str, backend: Backend) -> None:
    response = ask(style, PAGE, method="head", headers=WANTED)
    assert response.headers["Content-Type"] == "application/json"
    assert read(response) == ""


def test_what_a_service_calls_like_the_engine_is_the_engines(
    ask: Ask, style: str, backend: Backend
) -> None:
    own = {"state": "?", "status": "?", "age": "?", "sections": "?", "complete": "?"}
    backend.says["gamma"] = {"title": "Gamma's", "items": [], **own}
    section = ask(style, PAGE, headers=WANTED).json()["sections"]["gamma"]
    assert (section["state"], section["status"]) == ("ok", 200)
    assert (section["sections"], section["complete"]) == ("?", "?")


def test_a_page_whose_html_cannot_be_made_has_json(
    async_client: AsyncClient, backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = conftest.__name__
    monkeypatch.setitem(conftest.SHOWN, "page", Page("no-such.html", Gamma))
    response: Any = async_to_sync(async_client.get)("/stream/9/", headers=WANTED)
    assert response.json()["complete"] is True


# What `read` may give.


class _Own:
    """Something that only its class knows."""

    def __str__(self) -> str:
        return "\ud800"


class _Broken(Mapping[str, object]):
    """An object that cannot be looked at."""

    def __getitem__(self, key: str) -> object:
        raise KeyError(key)

    def __iter__(self) -> Any:
        raise LookupError

    def __len__(self) -> int:
        return 1


def give(monkeypatch: pytest.MonkeyPatch, value: object) -> None:
    """Let `read` of gamma find this."""
    answer = {"title": "Gamma's", "items": [], "value": value}
    monkeypatch.setattr(Gamma, "read", lambda self, response: answer)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (Decimal("12.50"), "12.50"),
        (datetime(2026, 1, 2, 3, 4, tzinfo=UTC), "2026-01-02T03:04:00Z"),
        (date(2026, 1, 2), "2026-01-02"),
        (UUID(int=0), "00000000-0000-0000-0000-000000000000"),
        (MappingProxyType({"a": MappingProxyType({"b": 1})}), {"a": {"b": 1}}),
        ((1, (2, 3)), [1, [2, 3]]),
        ({2: "two", None: 0, True: 1.0}, {"2": "two", "null": 0, "true": 1.0}),
        ("</script>\u2028\x00", "</script>\u2028\x00"),
        (nest(50), nest(50)),
    ],
)
def test_what_json_has_words_for_is_said(
    ask: Ask, backend: Backend, monkeypatch: pytest.MonkeyPatch, value: object, said: object
) -> None:
    give(monkeypatch, value)
    response = ask("gather", PAGE, headers=WANTED)
    assert response.json()["complete"] is True
    assert response.json()["sections"]["gamma"]["value"] == said


UNSPEAKABLE = [
    float("nan"),
    float("-inf"),
    {1, 2},
    object(),
    b"bytes",
    _Own(),
    _Broken(),
    {("a", "b"): 1},
    time(1, tzinfo=UTC),
    10**5000,
    nest(100_000),
    "\ud800",
    MappingProxyType({"a": ["\ud800"]}),
]


@pytest.mark.parametrize("value", UNSPEAKABLE, ids=[type(value).__name__ for value in UNSPEAKABLE])
def test_what_it_has_none_for_costs_its_own_section(
    ask: Ask, backend: Backend, monkeypatch: pytest.MonkeyPatch, value: object
) -> None:
    give(monkeypatch, value)
    response = ask("gather", PAGE, headers=WANTED)
    assert response.status_code == 200
    assert response.headers["X-Fanout-Complete"] == "false"
    page = response.json()
    states = {name: section["state"] for name, section in page["sections"].items()}
    assert states == {"alpha": "ok", "gamma": "failed", "profile": "ok"}
    assert "value" not in page["sections"]["gamma"]


@pytest.mark.parametrize("where", ["title", "item"])
def test_text_that_is_not_unicode_costs_its_own_section_in_html_too(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    answer: dict[str, object] = {"title": "\ud800", "items": []}
    if where == "item":
        answer = {"title": "", "items": [MappingProxyType({"title": "\ud800"})]}
    monkeypatch.setattr(Gamma, "read", lambda self, response: answer)
    response = ask(style, PAGE)
    assert "alpha speaks" in read(response)
    states = {section.name: section.state for section in response.page.sections}
    assert states == {"alpha": "ok", "gamma": "failed", "profile": "ok"}


def test_in_development_it_is_an_error_page(
    backend: Backend, ask: Ask, style: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.DEBUG = True
    give(monkeypatch, object())
    with pytest.raises(TypeError, match="not JSON serializable"):
        ask(style, PAGE, headers=WANTED)


def test_secrets_in_answers_are_masked_as_in_html(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GAMMA_KEY", 'gamma"s key')
    monkeypatch.setattr(Gamma, "key", Secret("GAMMA_KEY"), raising=False)
    backend.says["gamma"] = {"title": 'You sent gamma"s key', "items": []}
    page = Page("home.html", Gamma)
    for headers in ({}, WANTED):
        html = unescape(read(ask(style, page, headers=headers)))
        assert "You sent ***" in html
        assert "s key" not in html


# Who gets it.

CHROME = (
    "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;"
    "q=0.8,application/signed-exchange;v=b3;q=0.7"
)


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, False),
        ("", False),
        # Browsers: Chrome, Firefox and Safari, what their pages load, and fetch().
        (CHROME, False),
        ("text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8", False),
        ("text/html, application/xhtml+xml, image/jxr, */*", False),
        ("image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8", False),
        ("text/css,*/*;q=0.1", False),
        ("*/*", False),
        ("application/json,*/*;q=0.5", True),  # import … with { type: "json" }
        # Programs.
        ("application/json", True),
        ("application/json, text/plain, */*", True),  # axios
        ("application/json, text/javascript, */*; q=0.01", True),  # jQuery
        ("application/json; charset=utf-8", True),
        ("Application/JSON", True),
        ("text/html;q=0.9, application/json", True),
        ("application/json;q=0.9, text/html; q=0.8", True),
        ("application/json ; v=1 ; q=0.9 , text/html;q=0.95", False),
        # Who wants both gets what is for people.
        ("application/json, text/html", False),
        ("text/html, application/json", False),
        # No, thank you.
        ("application/json;q=0", False),
        ("application/json;q=0.0, */*", False),
        ("application/json;q=0.000,text/html;q=0", False),
        # Others, and nothing.
        ("application/json-seq", False),
        ("application/vnd.api+json", False),
        ("application/*", False),
        ("text/html;a=application/json", False),
        ("xapplication/json", False),
        # Broken.
        ("application/json;q=much", True),
        ("application/json;q=", True),
        ("application/json;;;,,,", True),
        (",;=/", False),
        ("application/json;q*=bogus'en'%41", True),
        ("application/json;x=" + "a" * 20_000, True),
        ("application/json;q=nan", True),
        ("application/json;q=٣", True),
        (", " * 20_000, False),
        ("application/json" + "; " * 20_000, True),
    ],
)
def test_browsers_never_get_it_by_accident(
    rf: RequestFactory, accept: str | None, wanted: bool
) -> None:
    headers = {} if accept is None else {"Accept": accept}
    assert wants_json(rf.get("/", headers=headers)) is wanted


@pytest.mark.parametrize("headers", [{}, {"Accept": CHROME}, {"Accept": "*/*"}])
def test_caches_keep_html_and_json_apart(
    ask: Ask, style: str, backend: Backend, headers: dict[str, str]
) -> None:
    response = ask(style, PAGE, headers=headers)
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["Vary"] == "Accept, Cookie"
