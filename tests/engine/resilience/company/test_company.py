"""Pages are whole, and visitors are who they are, in the company of what others add, under any server."""

import re
from collections.abc import Iterator
from threading import Event
from typing import Any

import httpx
import pytest
from asgiref.sync import async_to_sync, sync_to_async
from django.core.checks import run_checks
from django.urls import reverse
from pytest_django import Settings
from starlette.responses import JSONResponse

from engine.commands import find_free_ports
from engine.conftest import Script, serve
from engine.resilience.company import settings as company
from engine.resilience.programs import Start, wait_for
from engine.visitors import make_user
from fanout.serving.entries import get_asgi_application, get_wsgi_application

SITE = "http://127.0.0.1"
SESSIONS = "django.contrib.sessions.backends"


def add(first: str = "", last: str = "", **settings: Any) -> dict[str, Any]:
    """Settings with this middleware before and after what there is."""
    return {"MIDDLEWARE": [*filter(None, [first, *company.FEW, last])], **settings}


# What is set, and the header by which it is known to be at work.
COMPANY = {
    "all": ({"DEBUG": True}, "ETag"),
    "allauth": (add(), "X-Frame-Options"),
    "debug-toolbar": (add(company.TOOLBAR, DEBUG=True), "djdt-request-id"),
    "corsheaders": (add(company.CORS), "Access-Control-Allow-Origin"),
    "languages": (add("", company.LOCALE), "Content-Language"),
    "gzip": (add(company.GZIP), "Content-Encoding"),
    "conditional": (add(company.CONDITIONAL), "ETag"),
    "site cache": (add(company.UPDATE, company.FETCH), "Vary"),
    "CSRF in sessions": (add(CSRF_USE_SESSIONS=True), "Vary"),
    "cached sessions": (add(SESSION_ENGINE=f"{SESSIONS}.cached_db"), "Vary"),
    "sessions in cookies": (add(SESSION_ENGINE=f"{SESSIONS}.signed_cookies"), "Vary"),
}


def visit(interface: str) -> Any:
    """A new visitor with cookies: what sends their requests to the entry of an interface."""
    if interface == "wsgi":
        wsgi = httpx.WSGITransport(get_wsgi_application())
        return httpx.Client(transport=wsgi, base_url=SITE).request
    site: Any = get_asgi_application()
    asgi = httpx.ASGITransport(site)
    return async_to_sync(httpx.AsyncClient(transport=asgi, base_url=SITE).request)


def log_in(ask: Any, name: str) -> None:
    """Fill the form in, as a browser does."""
    path = reverse("login")
    [token] = re.findall('name="csrfmiddlewaretoken" value="(.*?)"', ask("GET", path).text)
    form = {"username": name, "password": "secret", "csrfmiddlewaretoken": token}
    assert ask("POST", path, data=form).headers["Location"] == reverse("home")


def assert_whole(page: httpx.Response, answer: str, text: str = "") -> None:
    """All is there, and nothing is old."""
    text = text or page.text
    assert page.status_code == 200
    assert page.headers.get("X-Fanout-Complete", "true") == "true"
    assert ";desc=failed" not in text  # where a streamed page says it
    assert text.count("<section id=") == 2
    assert answer in text
    assert "</html>" in text


@pytest.mark.django_db(transaction=True)
@pytest.mark.parametrize("style", ["gather", "stream"])
@pytest.mark.parametrize("row", COMPANY)
def test_a_page_is_whole_and_for_its_visitor_in_any_company(
    interface: str, style: str, row: str, script: Script, settings: Settings
) -> None:
    changes, mark = COMPANY[row]
    for name, value in changes.items():
        setattr(settings, name, value)
    settings.OPTIONS["beta"]["personal"] = True
    user = str(make_user("ann", "secret").pk)
    assert len(user) == 36  # a UUID
    nobody, ann = visit(interface), visit(interface)
    log_in(ann, "ann")
    for ask, viewer in [(nobody, None), (ann, user)] * 2:
        origin = {"Origin": "http://else.test"}
        page = ask("GET", reverse(f"compare-{style}"), headers=origin)
        assert_whole(page, f"Answer {len(script.calls)}")
        assert script.calls[-1].query_params.get("user") == viewer
        assert (reverse("logout") in page.text) == bool(viewer)
        assert viewer or "X-Fanout-Complete" not in page.headers or mark in page.headers
    assert any(event.get("transaction") == f"/compare/{style}/" for event in company.sent)


def test_sentry_is_no_reason_to_go_back_to_djangos_handler() -> None:
    assert "fanout.W002" not in [message.id for message in run_checks()]


ASGI, WSGI = "config.asgi:application", "config.wsgi:application"
SERVERS = {
    "uvicorn": f"uvicorn {ASGI} --port",
    "granian": f"granian {ASGI} --interface asgi --port",
    "hypercorn": f"hypercorn {ASGI} --bind",
    "daphne": f"daphne {ASGI} --port",
    "gunicorn": f"gunicorn {ASGI} --worker-class asgi --bind",
    "granian, WSGI": f"granian {WSGI} --interface wsgi --port",
    "gunicorn, WSGI": f"gunicorn {WSGI} --bind",
}


@pytest.fixture(scope="session")
def gate() -> Iterator[tuple[str, Event]]:
    """The address of services, which answer once the event is set."""
    opened = Event()

    async def answer(scope: Any, receive: Any, send: Any) -> None:
        await sync_to_async(opened.wait, thread_sensitive=False)(60)
        await JSONResponse({"items": [], "title": "Salt Roads"})(scope, receive, send)

    with serve(answer, lifespan="off") as address:
        yield address, opened


@pytest.mark.parametrize("name", SERVERS)
def test_any_server_sends_pages_whole_and_streams_at_once(
    name: str, gate: tuple[str, Event], start: Start
) -> None:
    address, opened = gate
    command, port = SERVERS[name].split(), str(find_free_ports())
    place = f"127.0.0.1:{port}"
    settings = {"DJANGO_SETTINGS_MODULE": company.__name__, "WEB_CONCURRENCY": "1"}
    at = place if command[-1] == "--bind" else port
    server = start("python", "-m", *command, at, **settings, FAKES_URL=address)
    wait_for(f"http://{place}/livez")
    opened.set()
    assert_whole(httpx.get(f"http://{place}/compare/gather/", timeout=60), "Salt Roads")
    if ASGI in command:
        opened.clear()
    with httpx.stream("GET", f"http://{place}/compare/stream/", timeout=60) as page:
        parts = page.iter_text()
        shell = next(parts)
        opened.set()
        assert_whole(page, "Salt Roads", shell + "".join(parts))
    server.terminate()  # whoever is killed leaves its workers behind
    server.wait(60)
