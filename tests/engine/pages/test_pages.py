"""Pages beside the homepage: what they show, and with which status."""

import asyncio
from collections.abc import Iterator
from datetime import date
from html import escape
from pathlib import Path
from threading import Event
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.http import HttpRequest, HttpResponse
from django.test import AsyncClient, Client
from pytest_django import Settings

from engine.conftest import make_class, serve
from engine.pages import conftest
from engine.pages.conftest import Ask, Backend, read
from engine.pages.services import Alpha, Beta, Gamma, Profile
from fakes.app import create_app
from fakes.catalogue import get_answer
from fanout import Service
from fanout.calls.transport import pool
from fanout.pages.page import Page, check_pages
from fanout.policies.breaker import FAILURES
from fanout.serving.checks import refuse_unready
from homepage.services import Book
from homepage.views import BOOK, HOME

MISSING = "<p>Nobody has that.</p>"


def list_states(response: Any) -> list[tuple[str, str]]:
    """Its sections and their states."""
    return [(section.name, section.state) for section in response.page.sections]


# What a page shows.


def test_a_page_shows_services_by_class_and_by_name_in_its_own_order(
    ask: Ask, style: str, backend: Backend
) -> None:
    response = ask(style, Page("home.html", "alpha", Beta, "plain", Profile))
    assert response.status_code == 200
    shown = ["alpha", "beta", "plain", "profile"]  # which is asked before alpha
    assert list_states(response) == [(name, "ok") for name in shown]
    assert sorted(backend.names) == shown
    html = read(response)
    places = [html.index(f'<section id="section-{name}"') for name in shown]
    assert response.streaming or places == sorted(places)


def test_a_service_that_is_listed_twice_is_shown_once(
    ask: Ask, style: str, backend: Backend
) -> None:
    response = ask(style, Page("home.html", Beta, "beta", Beta))
    assert list_states(response) == [("beta", "ok")]
    assert backend.names == ["beta"]


def test_the_arguments_in_the_path_reach_the_request(
    ask: Ask, style: str, backend: Backend
) -> None:
    ask(style, Page("home.html", Beta), "1984")
    assert dict(backend.find("beta").query_params) == {"isbn": "1984"}


def test_so_do_those_before_an_include(ask: Ask, style: str, backend: Backend) -> None:
    ask(style, Page("home.html", Beta), "sea/9")
    assert dict(backend.find("beta").query_params) == {"shop": "sea", "isbn": "9"}


@pytest.mark.parametrize(
    ("required", "status"), [(None, 503), ([], 200), (["gamma"], 200), ([Beta], 503)]
)
def test_a_page_says_what_it_requires_in_place_of_the_classes(
    ask: Ask,
    style: str,
    backend: Backend,
    monkeypatch: pytest.MonkeyPatch,
    required: Any,
    status: int,
) -> None:
    monkeypatch.setattr(Beta, "required", True)
    backend.says["beta"] = 500
    response = ask(style, Page("home.html", Beta, Gamma, required=required))
    assert response.status_code == status
    assert list_states(response) == [("beta", "failed"), ("gamma", "ok")]


def test_a_service_has_one_breaker_whatever_the_page(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Beta, "break_for", 600.0)
    backend.says["beta"] = 500
    for _ in range(FAILURES):
        ask(style, Page("home.html", Beta, Gamma))
    asked = backend.names.count("beta")
    for page in (Page("home.html", "beta", Profile), HOME):
        sections = {section.name: section for section in ask(style, page).page.sections}
        assert sections["beta"].error.startswith("is not called for a while")
    assert backend.names.count("beta") == asked


def test_an_answer_that_one_page_got_stands_in_on_another(
    ask: Ask, style: str, backend: Backend
) -> None:
    ask(style, Page("home.html", Beta, Gamma))
    backend.says["beta"] = 500
    response = ask(style, Page("home.html", Profile, "beta"))
    assert list_states(response) == [("profile", "ok"), ("beta", "stale")]
    assert "beta speaks" in read(response)


def test_a_page_has_its_request_id_and_its_deadline(
    ask: Ask, style: str, backend: Backend, settings: Settings
) -> None:
    settings.FANOUT_DEADLINE = 0.5
    backend.gates["beta"] = Event()
    page = Page("home.html", Beta, required=[])
    response = ask(style, page, headers={"X-Request-ID": "from-the-proxy"})
    assert response.headers["X-Request-ID"] == "from-the-proxy"
    assert backend.find("beta").headers["X-Request-ID"] == "from-the-proxy"
    [section] = response.page.sections
    assert section.error.startswith("did not answer within 0.")


def test_a_page_may_have_many_services(
    ask: Ask, style: str, backend: Backend, settings: Settings
) -> None:
    names = [f"s{number}" for number in range(32)]
    classes = [
        make_class(Beta, name=name, after=tuple(names[:number]) if number % 8 == 7 else ())
        for number, name in enumerate(names)
    ]
    settings.FANOUT_URLS |= {name: f"{backend.address}/{name}/" for name in names}
    response = ask(style, Page("home.html", *reversed(classes)))
    assert list_states(response) == [(name, "ok") for name in reversed(names)]
    assert len(backend.find("s31").query_params) == 32  # those that it comes after, and the path


# The page of a book.


@pytest.fixture
def bookshop(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fakes of the homepage's services, and of the one that knows books."""
    names = [*settings.FANOUT_SERVICES, "book"]
    monkeypatch.setattr(Book, "timeout", 30.0)
    with serve(create_app(dict.fromkeys(names, 0))) as address:
        settings.FAKES_URL = address
        yield


@pytest.mark.usefixtures("bookshop")
def test_the_page_of_a_book_shows_it(ask: Ask, style: str) -> None:
    response = ask(style, BOOK)
    assert response.status_code == 200
    [book, *others] = response.page.sections
    assert (book.name, book.state) == ("book", "ok")
    assert [section.state for section in others] == ["ok"] * len(others)
    assert f"<title>{escape(book.title)}" in read(response)


@pytest.mark.usefixtures("bookshop")
def test_books_of_the_homepage_lead_to_pages_of_theirs(client: Client) -> None:
    items = [
        item
        for name in ("promo", "recco")
        for item in get_answer(name, "1", date(2026, 1, 1))["items"]
    ]
    for item in items:
        response: Any = client.get(item["url"])
        assert response.status_code == 200
    assert response.page.sections[0].title == items[-1]["title"]


@pytest.mark.usefixtures("bookshop")
def test_an_unknown_book_is_a_404(ask: Ask, style: str) -> None:
    response = ask(style, BOOK, "no-such-book")
    assert response.status_code == 404
    assert "Missing right now" not in read(response)


def test_without_its_address_the_page_of_a_book_is_a_404_in_production(
    ask: Ask, style: str, settings: Settings
) -> None:
    settings.DEBUG, settings.FAKES_URL = False, ""
    response = ask(style, BOOK)
    assert response.status_code == 404
    assert "Retry-After" not in response.headers
    accepts = {"Accept": "application/json"}
    assert ask(style, BOOK, headers=accepts).json()["sections"]["book"]["status"] == 404


# The status.


@pytest.fixture
def missing(templates: Path) -> None:
    """A page of the site's own where there is nothing."""
    (templates / "404.html").write_text(MISSING, encoding="utf-8")


@pytest.mark.usefixtures("missing")
@pytest.mark.parametrize("status", [404, 410])
def test_what_a_required_service_says_is_gone_is_gone(
    ask: Ask, style: str, backend: Backend, status: int
) -> None:
    backend.says["beta"] = status
    response = ask(style, Page("home.html", Gamma, Beta, required=[Beta]))
    assert response.status_code == status
    assert read(response) == MISSING
    assert response.headers["Vary"] == "Accept, Cookie"
    assert response.headers["Cache-Control"] == "no-store, private"
    assert response.headers["X-Fanout-Complete"] == "false"
    assert response.headers["Content-Type"].startswith("text/html")
    assert response.headers["X-Request-ID"]
    assert "Retry-After" not in response.headers


@pytest.mark.usefixtures("missing")
def test_so_it_is_for_who_asks_for_the_headers_alone(
    ask: Ask, style: str, backend: Backend
) -> None:
    backend.says["beta"] = 404
    response = ask(style, Page("home.html", Beta, required=[Beta]), method="head")
    assert response.status_code == 404
    assert read(response) == ""


def test_in_development_it_is_djangos_page(
    ask: Ask, style: str, backend: Backend, settings: Settings
) -> None:
    settings.DEBUG = True
    backend.says["beta"] = 404
    response = ask(style, Page("home.html", Beta, required=[Beta]))
    assert response.status_code == 404
    html = read(response)
    assert "Page not found" in html
    assert "A required service says that there is nothing." in html


@pytest.mark.django_db
def test_the_sites_page_may_ask_the_database(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def count_users(request: HttpRequest, exception: Exception) -> HttpResponse:
        return HttpResponse(f"None of our {get_user_model().objects.count()} readers has that.")

    monkeypatch.setattr(conftest, "page_not_found", count_users)
    backend.says["beta"] = 404
    response = ask(style, Page("home.html", Beta, required=[Beta]))
    assert read(response) == "None of our 0 readers has that."


@pytest.mark.parametrize("status", [404, 410])
def test_what_is_not_required_may_be_gone(
    ask: Ask, style: str, backend: Backend, status: int
) -> None:
    backend.says["beta"] = status
    response = ask(style, Page("home.html", Beta, Gamma))
    assert response.status_code == 200
    assert list_states(response) == [("beta", "failed"), ("gamma", "ok")]


def test_a_status_that_says_that_there_is_nothing_to_show_is_no_missing_page(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Beta, "empty", (404,))
    backend.says["beta"] = 404
    response = ask(style, Page("home.html", Beta, required=[Beta]))
    assert response.status_code == 200
    assert response.page.sections[0].empty


def test_if_its_template_fails_nothing_is_there_but_the_page_was(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch, templates: Path
) -> None:
    write(templates, "sections/beta.html", "{{ section.items[0].title }}")
    monkeypatch.setattr(Beta, "empty", (404,))
    backend.says["beta"] = 404
    response = ask(style, Page("home.html", Beta, Gamma, required=[Beta]))
    assert response.status_code == 503


@pytest.mark.parametrize("listed", [[Beta, Gamma], [Gamma, Beta]])
def test_a_page_that_is_gone_is_gone_whatever_else_is_missing(
    ask: Ask, style: str, backend: Backend, listed: Any
) -> None:
    backend.says |= {"beta": 404, "gamma": 500}
    response = ask(style, Page("home.html", *listed, required=[*listed]))
    assert response.status_code == 404
    assert "Retry-After" not in response.headers


def test_what_is_gone_is_never_shown_again(ask: Ask, style: str, backend: Backend) -> None:
    page = Page("home.html", Beta, Gamma, required=[Beta])
    statuses = []
    for says in ({"title": "Here", "items": []}, 500, 404, 500):
        backend.says["beta"] = says
        statuses.append(ask(style, page).status_code)
    assert statuses == [200, 200, 404, 503]


def test_a_streamed_page_that_is_gone_ends_the_other_calls(
    async_client: AsyncClient, backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = conftest.__name__
    page = Page("home.html", Alpha, Beta, Profile, required=[Beta])
    monkeypatch.setitem(conftest.SHOWN, "page", page)
    backend.says["beta"], backend.gates["profile"] = 404, Event()

    async def get() -> None:
        async with pool():  # as a server has it: the calls are on this loop
            before = asyncio.all_tasks()
            response: Any = await async_client.get("/stream/9/")
            assert response.status_code == 404
            assert asyncio.all_tasks() == before

    async_to_sync(get)()
    assert "alpha" not in backend.names


# A template for what failed.


def write(templates: Path, name: str, html: str) -> None:
    """Write a template."""
    (templates / name).parent.mkdir(exist_ok=True)
    (templates / name).write_text(html, encoding="utf-8")


@pytest.fixture
def fallback(templates: Path) -> None:
    """A template for when beta failed."""
    html = "<p>No {{ section.title }}: {{ section.status }}, {{ section.items | length }}</p>"
    write(templates, "sections/beta.failed.html", html)


@pytest.mark.usefixtures("fallback")
def test_a_section_that_failed_is_shown_by_its_template_for_that(
    ask: Ask, style: str, backend: Backend
) -> None:
    backend.says |= {"beta": 404, "gamma": 500}
    response = ask(style, Page("home.html", Beta, Gamma, Profile))
    html = read(response)
    assert "<p>No Beta: 404, 0</p>" in html
    assert html.count("We could not load this just now") == 1  # gamma's
    assert list_states(response) == [("beta", "failed"), ("gamma", "failed"), ("profile", "ok")]


@pytest.mark.usefixtures("fallback")
def test_so_is_one_whose_template_fails(
    ask: Ask, style: str, backend: Backend, templates: Path
) -> None:
    write(templates, "sections/beta.html", "{{ section.data.price * 2 }}")
    html = read(ask(style, Page("home.html", Beta, Gamma)))
    assert "<p>No beta speaks: None, 0</p>" in html


@pytest.mark.usefixtures("fallback")
def test_one_that_is_stale_has_not_failed(ask: Ask, style: str, backend: Backend) -> None:
    page = Page("home.html", Beta, Gamma)
    ask(style, page)
    backend.says["beta"] = 500
    html = read(ask(style, page))
    assert "<p>No " not in html
    assert "beta speaks" in html


@pytest.mark.parametrize("html", ["{{ section.data.price * 2 }}", "{% if %}"])
def test_a_template_for_failures_that_fails_costs_nothing_else(
    ask: Ask, style: str, backend: Backend, templates: Path, html: str
) -> None:
    write(templates, "sections/beta.failed.html", html)
    backend.says["beta"] = 500
    response = ask(style, Page("home.html", Beta, Gamma))
    assert response.status_code == 200
    assert list_states(response) == [("beta", "failed"), ("gamma", "ok")]
    assert read(response).count("We could not load this just now") == 1


# What `manage.py check` says.


def find_errors(page: Page) -> list[str]:
    """What is wrong with this page."""
    errors = [message.msg for message in check_pages() if message.id == "fanout.E007"]
    return [error for error in errors if f"he page {page.template} " in error]


@pytest.mark.usefixtures("backend")
def test_a_page_that_lists_what_is_no_service_is_an_error() -> None:
    page = Page("own.html", "beta", "betta")
    there = "alpha, beta, gamma, profile"
    assert find_errors(page) == [
        f"The page own.html lists 'betta', which is no service; there are {there}."
    ]
    with pytest.raises(ImproperlyConfigured, match="'betta', which is no service"):
        refuse_unready()


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("required", [["gamma"], [Gamma]])
def test_so_is_one_that_requires_what_it_does_not_list(required: Any) -> None:
    page = Page("own.html", Beta, required=required)
    assert find_errors(page) == ["The page own.html requires 'gamma', which it does not list."]


@pytest.mark.usefixtures("backend")
def test_required_services_are_a_list() -> None:
    page = Page("own.html", Beta, required="beta")
    errors = [f"The page own.html requires {name!r}, which it does not list." for name in "abet"]
    assert find_errors(page) == errors


@pytest.mark.usefixtures("backend")
def test_so_are_services_whose_parents_it_does_not_list() -> None:
    page = Page("own.html", Alpha)
    assert find_errors(page) == [
        "On the page own.html 'alpha' needs 'profile', which the page does not list."
    ]


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize(
    ("after", "circle"),
    [
        ({Beta: ("beta",)}, {"beta"}),
        ({Beta: ("gamma",), Gamma: ("beta",)}, {"beta", "gamma"}),
        ({Beta: ("profile",), Profile: ("alpha",)}, {"alpha", "profile"}),
    ],
)
def test_so_are_services_that_wait_for_each_other(
    monkeypatch: pytest.MonkeyPatch, after: dict[type[Service], tuple[str, ...]], circle: set[str]
) -> None:
    for cls, needed in after.items():
        monkeypatch.setattr(cls, "after", needed)
    page = Page("own.html", Alpha, Beta, Gamma, Profile)
    [error] = find_errors(page)
    start = "On the page own.html services wait for each other: "
    assert error.startswith(start)
    names = error.removeprefix(start).removesuffix(".").split(", ")
    assert (names[0], set(names)) == (names[-1], circle)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("after", ["profile", None, ("profile", 1)])
def test_options_that_are_no_names_are_said_once(
    monkeypatch: pytest.MonkeyPatch, after: Any
) -> None:
    monkeypatch.setattr(Alpha, "after", after)
    page = Page("own.html", Alpha, Profile)
    [error] = [message for message in run_checks() if message.is_serious()]
    assert error.id == "fanout.E004"
    assert "'after' is a tuple of names of services" in error.msg
    assert find_errors(page) == []


@pytest.mark.usefixtures("backend")
def test_a_class_that_no_page_lists_is_a_warning() -> None:
    messages = [message for message in check_pages() if message.id == "fanout.W001"]
    assert [message.msg for message in messages] == [
        f"engine.pages.services.{cls} is of the service {cls.lower()!r}, which no page lists."
        for cls in ("Profile", "Alpha")  # the homepage lists the others
    ]
    assert (
        messages[0].hint
        == "The homepage lists beta, gamma: update it, put the class on a page, or delete it."
    )
    page = Page("own.html", "alpha", Profile)
    assert not find_errors(page)
    assert not check_pages()


def test_without_pages_or_classes_there_is_nothing_to_check(settings: Settings) -> None:
    settings.ROOT_URLCONF = "engine.no_such_module"
    assert check_pages() == []


@pytest.mark.usefixtures("backend")
def test_a_class_of_one_page_alone_is_checked_too() -> None:
    class _Other(Service):
        name = "beta"
        timeout: Any = "long"

    page = Page("own.html", _Other, "gamma")
    [error] = [message.msg for message in check_pages() if message.is_serious()]
    assert error.endswith(
        "_Other: 'timeout' is a number of seconds above 0, up to 3600, not 'long'."
    )
    _Other.timeout = 2.0
    assert find_errors(page) == []
    assert next(service.timeout for service in page.sections) == 2.0


@pytest.mark.usefixtures("backend")
def test_a_class_that_nobody_would_find_is_an_error() -> None:
    class Elsewhere(Service):
        pass

    [error] = find_errors(Page("own.html", Elsewhere))
    assert error.startswith("The page own.html lists 'elsewhere', which is no service; there are ")
