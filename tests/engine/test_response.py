"""How a page is put together from its sections."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from django.contrib.auth.models import AnonymousUser
from django.template.loader import render_to_string
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from fanout.calls.section import Section
from fanout.calls.visit import get_visit
from fanout.pages.response import Outcome, PageResponse
from homepage.views import HOME

HOSTILE = "</h2><script>alert('&')</script>"


def make_section(name: str) -> Section:
    """A section with one hostile item."""
    return Section(
        name=name,
        title=HOSTILE,
        state="ok",
        start=0.0,
        duration=0.0,
        data={"items": [{"title": HOSTILE, "text": HOSTILE, "url": "/", "image": "/"}]},
    )


def respond(rf: RequestFactory, *sections: Section) -> PageResponse:
    """A page of these sections, or of alpha and beta."""
    request = rf.get("/")
    request.user = AnonymousUser()
    shown = sections or (make_section("alpha"), make_section("beta"))
    return PageResponse(get_visit(request), HOME, "sync", shown)


def test_what_a_service_says_is_shown_as_text(rf: RequestFactory) -> None:
    html = respond(rf).content.decode()
    assert "<script" not in html
    assert "&lt;script&gt;alert(&#39;&amp;&#39;)" in html


@pytest.mark.parametrize("context", [{}, {"viewer": None}, {"viewer": AnonymousUser()}])
def test_the_frame_of_any_page_lets_visitors_log_in(
    rf: RequestFactory, context: dict[str, object]
) -> None:
    html = render_to_string("base.html", context, rf.get("/"), using="jinja2")
    assert f'href="{reverse("login")}"' in html
    assert reverse("logout") not in html


@pytest.mark.parametrize(
    ("age", "shown"),
    [(0.9, "0 seconds"), (1.9, "1 second"), (119.9, "119 seconds"), (120.0, "2 minutes")],
)
def test_a_stale_section_says_how_old_it_is(rf: RequestFactory, age: float, shown: str) -> None:
    section = replace(make_section("alpha"), state="stale", age=age)
    assert f"As it was {shown} ago" in respond(rf, section).content.decode()


def test_a_page_without_sections_is_none() -> None:
    assert Outcome("sync", (), 0.0).status == 503


@pytest.fixture
def broken_template(templates: Path) -> None:
    """A template for alpha's section that fails."""
    template = templates / "sections" / "alpha.html"
    template.parent.mkdir()
    template.write_text("{{ section.data.price * 2 }}", encoding="utf-8")


@pytest.mark.usefixtures("broken_template")
def test_a_template_that_fails_costs_its_own_section(
    rf: RequestFactory, caplog: pytest.LogCaptureFixture
) -> None:
    response = respond(rf)
    assert [section.state for section in response.page.sections] == ["failed", "ok"]
    assert response.status_code == 200
    assert caplog.messages == ["alpha has a template that fails"]
    assert caplog.records[0].exc_info


@pytest.mark.usefixtures("broken_template")
def test_in_development_it_is_an_error_page(rf: RequestFactory, settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(Exception, match="'dict object' has no attribute 'price'"):
        respond(rf)


@pytest.mark.usefixtures("two_services")
@pytest.mark.parametrize("debug", [True, False])
def test_in_development_page_and_log_say_who_says_more(
    client: Client, settings: Settings, caplog: pytest.LogCaptureFixture, debug: bool
) -> None:
    settings.DEBUG = settings.FANOUT_COMPARE = debug
    settings.FAKES_URL = "http://fakes.test"
    settings.FANOUT_URLS = {"alpha": "", "beta": ""}
    html = client.get(reverse("home")).content.decode()
    assert html.count("manage.py services") == debug
    assert html.count('href="http://fakes.test/"') == debug
    [line, _] = (message for message in caplog.messages if "cannot be called" in message)
    hint = ": uv run manage.py services says more" if debug else ""
    assert line == f"alpha cannot be called: ALPHA_URL is not set (failed){hint}"


@pytest.mark.usefixtures("broken_template")
@pytest.mark.parametrize("accept", ["text/html", "application/json"])
def test_a_template_for_failures_that_fails_changes_no_status(
    client: Client,
    settings: Settings,
    templates: Path,
    two_services: Callable[..., None],
    accept: str,
) -> None:
    two_services(alpha="fault=status:404")
    settings.OPTIONS["alpha"]["required"] = True
    broken = templates / "sections" / "alpha.html"
    broken.rename(broken.with_name("alpha.failed.html"))
    assert client.get(reverse("home"), headers={"Accept": accept}).status_code == 404
