"""The fault matrix: whatever beta does, alpha is shown, and the page is there in time.

Beta is asked by GET, as plain services are, and by POST.
"""

import socket
import time
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from engine.conftest import Get
from engine.resilience.behaviours import BEHAVIOURS, BODY, HEAD, Connection, run_upstream
from fanout import Service, Visit

DEADLINE = 5.0
TIMEOUT = 0.3

getaddrinfo = socket.getaddrinfo


class Executable(HTMLParser):
    """Collects everything in a page that a browser would run."""

    def __init__(self, html: str) -> None:
        """Read a page."""
        super().__init__()
        self.found: list[str] = []
        self.feed(html)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        """Look at one tag."""
        if tag in ("script", "iframe", "object", "embed", "svg", "style"):
            self.found.append(tag)
        for name, value in attributes:
            scheme = (value or "").strip().lower().partition(":")[0]
            if name.startswith("on") or scheme in ("javascript", "vbscript"):
                self.found.append(f"{tag} {name}={value}")


def post(service: Service, visit: Visit) -> httpx.Request:
    """A question that takes a body."""
    body = {"query": "query Books($language: String) { books }", "language": visit.language}
    return httpx.Request("POST", service.url, json=body)


METHODS: dict[str, dict[str, Any]] = {"GET": {}, "POST": {"request": post}}
Ask = Callable[..., None]


@pytest.fixture(params=["GET asgi", "POST wsgi"])
def way(request: pytest.FixtureRequest) -> list[str]:
    """How beta is asked, and how the site is served; it takes minutes, so not each with each."""
    return str(request.param).split()


@pytest.fixture
def method(way: list[str]) -> str:
    """Either way to ask."""
    return way[0]


@pytest.fixture
def interface(way: list[str]) -> str:
    """Either way to serve the site."""
    return way[1]


@pytest.fixture
def ask(
    get: Get,
    style: str,
    method: str,
    two_services: Callable[..., None],
    settings: Settings,
    record_property: Callable[[str, object], None],
) -> Ask:
    """Get the page with beta at an address, and see that nothing but beta's section suffers."""

    def ask(url: str, state: str, **options: Any) -> None:
        settings.FANOUT_DEADLINE = DEADLINE
        settings.OPTIONS["beta"] = {"timeout": TIMEOUT, **METHODS[method], **options}
        settings.FANOUT_URLS["beta"] = url
        start = time.monotonic()
        response = get(style)
        took = time.monotonic() - start
        record_property("seconds", took)
        alpha, beta = response.page.sections
        assert alpha.state == "ok"
        assert beta.state == state, beta.error
        assert bool(beta.error) == (state == "failed")
        assert response.status_code == 200
        complete = "true" if state == "ok" else "false"
        assert response.headers.get("X-Fanout-Complete", complete) == complete  # streamed: not said
        assert took < DEADLINE
        html = response.getvalue().decode()
        assert alpha.title in html
        assert Executable(html).found == []

    return ask


@pytest.mark.parametrize("behaviour", BEHAVIOURS)
def test_only_its_own_section_suffers(ask: Ask, behaviour: str) -> None:
    talk, state = BEHAVIOURS[behaviour]
    with run_upstream(talk) as port:
        ask(f"http://127.0.0.1:{port}/", state)


@pytest.mark.parametrize(("retry", "again"), [(None, "GET"), (False, ""), (True, "GET POST")])
def test_only_what_may_be_repeated_is_asked_again(
    ask: Ask, method: str, retry: bool | None, again: str
) -> None:
    requests: list[bytes] = []

    def talk(connection: Connection) -> None:
        requests.append(connection.read())
        if len(requests) == 1:
            connection.reset()
        else:
            connection.send(HEAD + BODY)

    with run_upstream(talk) as port:
        state = "ok" if method in again else "failed"
        ask(f"http://127.0.0.1:{port}/", state, timeout=30.0, retry=retry)
    assert requests == [requests[0]] * (2 if method in again else 1)
    assert requests[0].startswith(f"{method} / HTTP/1.1\r\n".encode())
    assert requests[0].endswith(b'"language":"en-us"}' if method == "POST" else b"\r\n\r\n")


@pytest.mark.parametrize(
    "behaviour", ["hang before the headers", "closed instead of an answer", "HTTP/1.0"]
)
def test_tls_to_a_plain_port(ask: Ask, behaviour: str) -> None:
    with run_upstream(BEHAVIOURS[behaviour][0]) as port:
        ask(f"https://127.0.0.1:{port}/", "failed")


@pytest.mark.usefixtures("transport")
def test_nobody_listens(ask: Ask) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        port = sock.getsockname()[1]
    ask(f"http://127.0.0.1:{port}/", "failed")


def test_a_host_without_an_address(ask: Ask, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(host: Any, *arguments: Any, **options: Any) -> Any:
        if host in ("beta.test", b"beta.test"):
            raise socket.gaierror(socket.EAI_NONAME, "Name or service not known")
        return getaddrinfo(host, *arguments, **options)

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    ask("http://beta.test/", "failed")


@pytest.mark.parametrize(
    "url", ["", "beta", "http://", "http://[::1", "file:///etc/passwd", "ws://beta/"]
)
def test_an_address_that_cannot_be_called(ask: Ask, url: str) -> None:
    ask(url, "failed")
