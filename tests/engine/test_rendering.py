"""The HTML of a section is made once for equal answers to a request, if its template has nothing else to say."""

from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf.urls.i18n import i18n_patterns
from django.contrib.auth.models import AnonymousUser
from django.http import HttpRequest, HttpResponse
from django.template import engines
from django.test import RequestFactory
from django.urls import clear_url_caches, path, set_script_prefix, set_urlconf
from django.utils.translation import override
from jinja2 import DebugUndefined, DictLoader, Environment, StrictUndefined, UndefinedError
from markupsafe import Markup
from pytest_django import Settings

from engine.conftest import make_service
from engine.visitors import make_reply
from fanout.calls.answer import readings
from fanout.calls.section import Section
from fanout.pages.rendering import environment as get_environment
from fanout.pages.rendering import is_stable, render_section, show_section


@pytest.fixture
def request_(rf: RequestFactory) -> HttpRequest:
    """A visitor's request."""
    request = rf.get("/")
    request.user = AnonymousUser()
    return request


@pytest.fixture(params=[False, True], ids=["production", "auto reload"])
def write(request: pytest.FixtureRequest, settings: Settings, templates: Path) -> Any:
    """Write alpha's template, in a project whose templates are reloaded or not."""
    jinja2: dict[str, Any] = settings.TEMPLATES[0]
    options = {**jinja2["OPTIONS"], "auto_reload": request.param}
    settings.TEMPLATES = [{**jinja2, "OPTIONS": options}]
    folder = templates / "sections"
    folder.mkdir()

    def write(html: str) -> None:
        (folder / "alpha.html").write_text(html, encoding="utf-8")

    return write


PLAIN = make_service("alpha", "")


def make_section(n: int, name: str = "alpha") -> Section:
    """The section of an answer that says `n`."""
    answer = readings.read(PLAIN, make_reply(b'{"items": [], "n": %d}' % n), 0.0, key=n)
    return Section(
        name=name,
        title="Title",
        state="ok",
        start=0.0,
        duration=0.0,
        data=answer.data,
        html=answer.html,
    )


def test_an_answer_that_comes_again_is_rendered_once(write: Any, request_: HttpRequest) -> None:
    write("{{ section.title }}{{ section.data.n }}")
    first = render_section(make_section(1), request_)
    assert first == "Title1"
    assert render_section(make_section(1), request_) is first
    assert render_section(make_section(2), request_) == "Title2"


def test_a_failed_section_that_json_cannot_say_is_null(request_: HttpRequest) -> None:
    title: Any = {1}
    section = replace(make_section(1), state="failed", title=title)
    assert show_section(section, request_, as_json=True) == (section, "null")


def test_each_section_has_its_own_html(write: Any, request_: HttpRequest) -> None:
    write("alpha's")
    alpha = render_section(make_section(3), request_)
    beta = render_section(make_section(3, "beta"), request_)
    gamma = render_section(make_section(3, "gamma"), request_)
    assert alpha == "alpha's"
    assert 'id="section-beta-title"' in beta
    assert 'id="section-gamma-title"' in gamma


def test_a_template_that_looks_at_the_visitor_is_rendered_every_time(
    write: Any, request_: HttpRequest
) -> None:
    write("{{ request.path }}{{ section.data.n }}")
    assert render_section(make_section(4), request_) == "/4"
    request_.path = "/elsewhere"
    assert render_section(make_section(4), request_) == "/elsewhere4"


def test_so_is_one_that_looks_at_the_call(write: Any, request_: HttpRequest) -> None:
    write("{{ section.age }}")
    section = make_section(5)
    assert render_section(section, request_) == "0.0"
    assert render_section(replace(section, age=1.0), request_) == "1.0"


def test_a_template_that_changes_is_read_again_only_in_development(
    write: Any, request_: HttpRequest
) -> None:
    engine: Any = engines["jinja2"]
    default = render_section(make_section(6), request_)
    write("{{ section.data.n }}")
    html = render_section(make_section(6), request_)
    assert html == ("6" if engine.env.auto_reload else default)


@pytest.mark.parametrize(
    ("source", "stable"),
    [
        ("{{ section.title }}", True),
        (
            "{% for item in section.items %}{{ item.title | upper }}{{ loop.index }}{% endfor %}",
            True,
        ),
        ("{% set banners = section.items[:4] %}{{ banners | length }}", True),
        ("{{ section.data.extra.deep }}", True),
        ("{{ section.state }}", False),
        ("{{ section.duration }}", False),
        ('{{ section["age"] }}', False),
        ("{{ section }}", False),
        ("{% set copy = section %}{{ copy.age }}", False),
        ("{{ viewer }}", False),
        ("{{ csrf_input }}", False),
        ("{{ range(3) }}", False),
        ("{{ section.items | random }}", False),
        ("{{ section.title | shout }}", False),
        ("{{ section.title | lower }}", False),
        ('{% include "other.html" %}', False),
        ('{% extends "other.html" %}', False),
        ('{% import "other.html" as other %}{{ section.title }}', False),
        ("{% include section.title %}", False),
        ("{% if section.title is string %}1{% endif %}", True),
        ("{% if section.title is sale %}1{% endif %}", False),
        ('{{ section.items | map(attribute="title") | join }}', False),
        ('{{ section.items | map("shout") | join }}', False),
        ('{{ section.items | select("sale") | list }}', False),
        ("{{ self }}{{ section.title }}", False),
    ],
)
def test_what_is_stable(source: str, stable: bool) -> None:
    environment = Environment(loader=DictLoader({"alpha.html": source}), autoescape=True)
    environment.filters["shout"] = str.upper
    environment.filters["lower"] = lambda text: text  # not Jinja's
    environment.tests["sale"] = lambda value: bool(value)
    template, look = environment.get_template("alpha.html"), is_stable.__wrapped__
    assert look(template) is stable
    environment.finalize = str
    assert not look(template)
    environment.finalize = None
    environment.add_extension("jinja2.ext.i18n")
    assert not look(template)


OPTIONS: list[dict[str, Any]] = [
    {"autoescape": True},
    {"autoescape": False},
    {"autoescape": True, "finalize": lambda value: value or "-"},
    {"autoescape": True, "enable_async": True},
    {"autoescape": True, "extensions": ["jinja2.ext.do"]},
    *({"autoescape": True, "undefined": kind} for kind in (StrictUndefined, DebugUndefined)),
]
MAKERS: list[Any] = [get_environment, Environment]
IDS = ("escaped", "not escaped", "finalize", "async", "extended", "strict", "debug")


@pytest.mark.parametrize("options", OPTIONS, ids=IDS)
@pytest.mark.parametrize(
    "source",
    [
        *("{{ data.title }}", "{{ data.nothing }}", "{{ data.title.upper() }}", "{{ data.n }}"),
        *("{{ data.items() | length }}", '{{ data["items"] }}', "{{ data.deep.deeper.deepest }}"),
        *("{{ data.page.status }}", "{{ data.page.nothing }}", "{{ data.nothing is defined }}"),
        *("{{ data.safe }}{{ data.safe ~ data.title }}", "{{ data.title | safe }}", "{{ 1 }}"),
        "{% for row in data.rows if row.on %}{{ row.name }}{{ loop.index }}{% else %}-{% endfor %}",
        "{% for row in data.rows recursive %}{{ row.name }}{{ loop(row.rows or ()) }}{% endfor %}",
        "{% macro m(row, more=data.n) %}{{ row.name }}{{ more }}{% endmacro %}{{ m(data.deep) }}",
        "{% set more %}<b>{{ data.title }}</b>{% endset %}{{ more }}{{ data.n if data.n else 1 }}",
        "{% autoescape data.n > 1 %}{{ data.title }}{{ data.safe }}{% endautoescape %}",
        "{% filter upper %}{{ data.title }}{{ data.deep.name }}{% endfilter %}",
        "{{ data.rows | map(attribute='name') | join(data.title) }}",
    ],
)
def test_a_template_makes_what_it_makes_in_jinja(source: str, options: dict[str, Any]) -> None:
    rows = [{"name": "<i>", "on": True, "rows": [{"name": "&"}]}, {"name": Markup("<u>")}]
    data = {"title": "<b>One</b>", "items": "here", "n": 3, "safe": Markup("<hr>"), "rows": rows}
    data |= {"page": SimpleNamespace(status=200), "deep": {"name": "'", "deeper": {"deepest": ">"}}}
    ours, jinjas = [_render(make(**options), source, data) for make in MAKERS]
    assert ours == jinjas


def _render(environment: Environment, source: str, data: object) -> str:
    """What comes of it, or what is said against it."""
    try:
        return environment.from_string(source).render(data=data)
    except UndefinedError as error:
        return str(error)


def test_what_is_missing_is_named_as_in_jinja() -> None:
    for environment in (get_environment(), Environment(autoescape=True)):
        template = environment.from_string("{{ data.nothing.more }}")
        with pytest.raises(UndefinedError, match="'dict object' has no attribute 'nothing'"):
            template.render(data={})


urlpatterns = i18n_patterns(path("here/", lambda _: HttpResponse(), name="home"))


def test_an_address_is_that_of_this_page() -> None:
    url: Any = get_environment().globals["url"]
    assert url("home") == "/"
    try:
        set_script_prefix("/shop/")
        assert url("home") == "/shop/"
    finally:
        set_script_prefix("/")
    try:
        set_urlconf(__name__)
        for language in ("de", "fr"):
            with override(language):
                assert url("home") == f"/{language}/here/"
    finally:
        set_urlconf(None)
    assert url("book", kwargs={"isbn": "9"}) == url("book", None, ["9"]) == "/books/9/"
    assert url(viewname="home") == "/"


def test_an_address_is_made_anew_with_new_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    url: Any = get_environment().globals["url"]
    try:
        set_urlconf(__name__)
        assert url("home") == "/en-us/here/"
        monkeypatch.setattr(
            f"{__name__}.urlpatterns", [path("there/", lambda _: HttpResponse(), name="home")]
        )
        clear_url_caches()
        assert url("home") == "/there/"
    finally:
        set_urlconf(None)
        clear_url_caches()


def test_a_heading_that_is_not_the_answers_makes_another_section(
    write: Any, request_: HttpRequest
) -> None:
    write("{{ section.title }}")
    section = make_section(8)
    german = replace(section, title="Neuigkeiten")
    shown = [render_section(one, request_) for one in (section, german, section)]
    assert shown == ["Title", "Neuigkeiten", "Title"]
