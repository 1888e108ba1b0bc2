"""A streamed page sends its shell at once, and each section when its service has answered."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from threading import Event, Semaphore
from typing import Any
from unittest.mock import AsyncMock, Mock

import httpx
import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ImproperlyConfigured
from django.test import AsyncClient, AsyncRequestFactory, Client
from django.urls import reverse
from pytest_django import Settings

from engine.conftest import Script, serve
from fanout.calls.transport import pool
from fanout.pages.page import Page
from fanout.pages.response import PageResponse
from fanout.pages.streaming import StreamedPageResponse
from fanout.serving.entries import get_asgi_application
from homepage import views

PATH = reverse("compare-stream")
HOSTILE = "</h2></section></template><script>alert('&')</script><!-- sections -->"


class Gate:
    """Services that answer when a test lets them."""

    def __init__(self) -> None:
        """Nobody has called, and nobody gets an answer."""
        self.address = ""
        self.calls = Semaphore(0)
        self.open: dict[str, Event] = {"alpha": Event(), "beta": Event()}

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Answer when the gate of the service is open; nobody waits for ever."""
        name = scope["path"].strip("/")
        self.calls.release()
        await asyncio.to_thread(self.open[name].wait, 20)
        body = json.dumps({"title": f"{name}, at last", "items": [{"title": HOSTILE}]}).encode()
        await send({"type": "http.response.start", "status": 200, "headers": []})
        await send({"type": "http.response.body", "body": body})

    async def wait_for_calls(self) -> None:
        """Wait until both services were called."""
        for _ in self.open:
            assert await asyncio.to_thread(self.calls.acquire, timeout=20)


@pytest.fixture
def gate(two_services: Callable[..., None], settings: Settings) -> Iterator[Gate]:
    """What `alpha` and `beta` wait at."""
    gate = Gate()
    with serve(gate, lifespan="off") as gate.address:
        settings.FANOUT_URLS = {name: f"{gate.address}/{name}/" for name in gate.open}
        try:
            yield gate
        finally:
            for event in gate.open.values():
                event.set()


async def stream(client: AsyncClient) -> tuple[StreamedPageResponse, AsyncIterator[str]]:
    """The response and its parts."""
    response: Any = await client.get(PATH)
    assert isinstance(response, StreamedPageResponse)

    async def decode() -> AsyncIterator[str]:
        async for part in response:
            yield part.decode()

    return response, decode()


def get(client: AsyncClient) -> tuple[StreamedPageResponse, list[str]]:
    """The response and all of its parts."""

    async def read() -> tuple[StreamedPageResponse, list[str]]:
        response, parts = await stream(client)
        return response, [part async for part in parts]

    return async_to_sync(read)()


def test_sections_come_in_the_order_of_the_answers(async_client: AsyncClient, gate: Gate) -> None:
    async def read() -> None:
        response, parts = await stream(async_client)
        shell = await anext(parts)
        assert "<h1>" in shell
        assert not gate.calls.acquire(blocking=False)  # it does not even wait for a call to begin
        for name in ("beta", "alpha"):
            gate.open[name].set()
            section = await anext(parts)
            assert section.strip().startswith(f'<section id="section-{name}" slot="{name}"')
            assert f"{name}, at last" in section
        assert "</html>" in section  # nothing is left to wait for
        assert await anext(parts, None) is None
        assert [section.name for section in response.page.sections] == ["alpha", "beta"]
        assert response.page.complete

    async_to_sync(read)()


def test_all_services_are_called_at_once(
    async_client: AsyncClient, two_services: Callable[..., None]
) -> None:
    two_services(alpha="barrier=2&wait=20", beta="barrier=2&wait=20")
    assert get(async_client)[0].page.complete


def test_a_visitor_sees_the_shell_before_any_service_has_answered(gate: Gate) -> None:
    with (
        serve(get_asgi_application()) as site,
        httpx.stream("GET", site + PATH, timeout=20) as response,
    ):
        chunks = response.iter_text()
        page = ""
        while 'class="waiting"' not in page:
            page += next(chunks)
        assert "at last" not in page
        for event in gate.open.values():
            event.set()
        assert "".join(chunks).count("at last") == 2


def test_required_services_are_awaited_before_the_first_byte(
    async_client: AsyncClient, gate: Gate, settings: Settings
) -> None:
    settings.OPTIONS["beta"]["required"] = True

    async def read() -> None:
        response = asyncio.create_task(stream(async_client))
        await gate.wait_for_calls()
        assert not response.done()
        gate.open["beta"].set()
        _, parts = await response
        assert "beta, at last" in await anext(parts)
        gate.open["alpha"].set()
        assert "alpha, at last" in await anext(parts)

    async_to_sync(read)()


def test_without_a_required_service_the_status_is_503(
    async_client: AsyncClient, two_services: Callable[..., None], settings: Settings
) -> None:
    two_services(beta="fault=status:500")
    settings.OPTIONS["beta"]["required"] = True
    response, parts = get(async_client)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    assert 'id="section-beta" slot="beta" class="failed"' in parts[0]
    assert "try again in a moment" in parts[0]
    assert 'id="section-alpha" slot="alpha" class="ok"' in "".join(parts)


def test_headers_promise_nothing_that_is_not_known_yet(
    async_client: AsyncClient, two_services: Callable[..., None]
) -> None:
    response, _ = get(async_client)
    assert response.headers["Cache-Control"] == "no-store, private"
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.headers["Vary"] == "Accept, Cookie"
    for header in ("X-Fanout-Complete", "Server-Timing", "Content-Length"):
        assert header not in response.headers


def test_timings_come_last_where_styles_are_compared(
    async_client: AsyncClient, two_services: Callable[..., None], settings: Settings
) -> None:
    two_services(beta="fault=status:500")
    end = get(async_client)[1][-1]
    assert "</html><!-- Server-Timing: alpha;dur=" in end
    assert ";desc=failed, total;dur=" in end
    settings.FANOUT_COMPARE = False
    assert get(async_client)[1][-1].endswith("</html>")


class Shadow(HTMLParser):
    """The elements of a page's shadow root, and the slots that elements outside ask for."""

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.inside = False
        self.shadow: list[str] = []
        self.slots: list[str | None] = []
        self.asked: list[str | None] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element."""
        if self.inside:
            self.shadow.append(tag)
            self.slots += [dict(attrs).get("name")]
        elif "slot" in dict(attrs):
            self.asked.append(dict(attrs)["slot"])
        self.inside |= tag == "template"

    def handle_endtag(self, tag: str) -> None:
        """Leave the shadow root at its end."""
        self.inside &= tag != "template"


def test_the_shadow_root_has_slots_alone_one_for_all_that_comes(
    async_client: AsyncClient, gate: Gate
) -> None:
    for event in gate.open.values():
        event.set()
    page = Shadow("".join(get(async_client)[1]))
    assert set(page.shadow) == {"slot"}
    assert page.slots == [None, "alpha", "alpha-waiting", "beta", "beta-waiting"]
    assert sorted(filter(None, page.asked)) == sorted(filter(None, page.slots))


def test_what_a_service_says_is_shown_as_text(async_client: AsyncClient, gate: Gate) -> None:
    for event in gate.open.values():
        event.set()
    html = "".join(get(async_client)[1])
    assert "<script" not in html
    assert html.count("&lt;script&gt;alert(&#39;&amp;&#39;)") == 2


@pytest.mark.parametrize("moment", ["waiting", "sending"])
def test_whoever_goes_away_stops_the_calls(
    async_client: AsyncClient, gate: Gate, transport: str, moment: str
) -> None:
    async def leave() -> None:
        async with pool():  # as a server has it: the calls are on this loop
            before = asyncio.all_tasks()
            response: Any = await async_client.get(PATH)
            parts = aiter(response)
            await anext(parts)
            section = asyncio.ensure_future(anext(parts))
            await gate.wait_for_calls()
            if moment == "sending":
                gate.open["beta"].set()
                await section
                await parts.aclose()
            else:
                section.cancel()
                await asyncio.wait([section])
            assert asyncio.all_tasks() == before

    async_to_sync(leave)()


def test_middleware_that_compresses_leaves_it_whole(
    two_services: Callable[..., None], settings: Settings
) -> None:
    settings.MIDDLEWARE = ["django.middleware.gzip.GZipMiddleware", *settings.MIDDLEWARE]
    with serve(get_asgi_application()) as site:
        response = httpx.get(site + PATH, headers={"Accept-Encoding": "gzip"}, timeout=20)
    assert "Content-Encoding" not in response.headers  # so a proxy may compress it
    assert response.text.count("<section id=") == 2


def test_head_asks_no_service(gate: Gate) -> None:
    with serve(get_asgi_application()) as site:
        assert httpx.head(site + PATH, timeout=20).status_code == 200
    assert not gate.calls.acquire(blocking=False)


def test_under_wsgi_it_is_sync(client: Client, two_services: Callable[..., None]) -> None:
    response = client.get(PATH)
    assert isinstance(response, PageResponse)
    assert response.page.style == "sync"
    assert response.page.complete


@pytest.mark.django_db(transaction=True)
def test_the_viewer_gets_a_form_to_log_out(
    async_client: AsyncClient, script: Script, admin_user: Any
) -> None:
    async_to_sync(async_client.aforce_login)(admin_user)
    _, [shell, *_] = get(async_client)
    assert "csrfmiddlewaretoken" in shell
    assert async_client.cookies[settings.CSRF_COOKIE_NAME]


def test_a_template_that_fails_costs_its_own_section_in_development_too(
    async_client: AsyncClient,
    two_services: Callable[..., None],
    settings: Settings,
    templates: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    settings.DEBUG = True
    template = templates / "sections" / "alpha.html"
    template.parent.mkdir()
    template.write_text("{{ 1 / 0 }}", encoding="utf-8")
    response, _ = get(async_client)
    assert [section.state for section in response.page.sections] == ["failed", "ok"]
    assert "alpha has a template that fails" in caplog.messages


def test_a_page_needs_a_place_for_its_sections(
    async_client: AsyncClient, script: Script, templates: Path
) -> None:
    (templates / "home.html").write_text("<p>Own</p>", encoding="utf-8")
    with pytest.raises(ImproperlyConfigured, match="no block named sections"):
        get(async_client)


OWN = """
{% extends ("home.html" if viewer else "home.html") %}
{% import "own_macros.html" as own %}
{% set greeting = "Good day" %}
{% block sections %}{{ greeting }}{{ own.mark() }}{{ super() }}{% endblock %}
"""


def test_a_template_that_extends_imports_and_sets_is_as_in_gather(
    two_services: Callable[..., None], templates: Path
) -> None:
    (templates / "own.html").write_text(OWN, encoding="utf-8")
    macros = "{% macro mark() %}<mark>own</mark>{% endmacro %}"
    (templates / "own_macros.html").write_text(macros, encoding="utf-8")
    request: Any = AsyncRequestFactory().get("/")
    request.user = AnonymousUser()
    page = Page("own.html")
    response: Any = async_to_sync(_stream)(request, page)
    assert "Good day<mark>own</mark>" in response
    assert response.count("<section id=") == 2


async def _stream(request: Any, page: Page) -> str:
    request.auser = AsyncMock(return_value=AnonymousUser())
    response: Any = await views.stream(request, page)
    return "".join([part.decode() async for part in response])


def test_what_a_footer_asks_of_middleware_is_in_the_headers(
    async_client: AsyncClient, two_services: Callable[..., None], templates: Path
) -> None:
    footer = "{% extends 'home.html' %}{% block footer %}{{ csrf_input }}{% endblock %}"
    (templates / "own.html").write_text(footer, encoding="utf-8")
    request: Any = AsyncRequestFactory().get("/")
    request.user = AnonymousUser()
    request.auser = AsyncMock(return_value=AnonymousUser())
    response: Any = async_to_sync(views.stream)(request, Page("own.html"))
    assert response.streaming
    assert request.META["CSRF_COOKIE_NEEDS_UPDATE"]  # before any part is sent


@pytest.mark.parametrize(
    ("asks", "beta", "times", "ends"),
    [
        ("", "", 1, ""),
        ("{{ page.missing | length }}{{ page.nothing }}", "", 1, "0"),
        ("{{ page.missing | length }}", "fault=status:500", 2, "1"),
        ("{{ page.complete }}", "fault=status:500", 2, "False"),
        ("{{ page.sections[0].duration > 0 }}", "", 2, "True"),
    ],
)
def test_the_end_is_made_again_if_it_asks_for_what_has_changed(
    two_services: Callable[..., None],
    templates: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: Settings,
    asks: str,
    beta: str,
    times: int,
    ends: str,
) -> None:
    settings.FANOUT_COMPARE = False
    two_services(beta=beta)
    footer = "{% extends 'base.html' %}{% block main %}{% block sections %}{% endblock %}"
    footer += f"{{% endblock %}}{{% block footer %}}<b>{asks}</b>{{% endblock %}}"
    (templates / "own.html").write_text(footer, encoding="utf-8")
    render = Mock(side_effect=StreamedPageResponse._render)
    monkeypatch.setattr(StreamedPageResponse, "_render", lambda response: render(response))
    request: Any = AsyncRequestFactory().get("/")
    request.user = AnonymousUser()
    assert f"<b>{ends}</b>" in async_to_sync(_stream)(request, Page("own.html"))
    assert render.call_count == times
