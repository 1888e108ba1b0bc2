"""The ASGI handler: no thread for a page that needs none, and all that Django promises."""

import asyncio
import inspect
import logging
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import IO, Any

import pytest
from asgiref.sync import SyncToAsync
from django.conf import settings
from django.core import signals
from django.core.handlers.asgi import ASGIHandler
from django.db import connections
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.multipartparser import MultiPartParserError
from django.test import RequestFactory
from django.urls import path, reverse
from django.views.decorators.csrf import csrf_exempt
from pytest_django import Settings

from config import base
from fanout.serving import handler as module
from fanout.serving.handler import IDLE, Handler, WSGIHandler
from fanout.serving.middleware import FORMS

TOKEN = "a" * 32
FORM = f"csrfmiddlewaretoken={TOKEN}&q=%C3%A9".encode()
# For text, for something else, for nothing; and one in which half a character is a character.
CHARSETS = ["utf-16", "iso-8859-1", "idna", "rot13", "undefined", "utf-7"]


def test_what_the_handler_relies_on_is_there() -> None:
    for name, parameters in {
        "read_body": ["self", "receive"],
        "create_request": ["self", "scope", "body_file"],
        "run_get_response": ["self", "request"],
        "send_response": ["self", "response", "send"],
        "listen_for_disconnect": ["self", "receive"],
    }.items():
        assert list(inspect.signature(getattr(ASGIHandler, name)).parameters) == parameters
    for signal in (signals.request_started, signals.request_finished):
        sync, others = signal._live_receivers(Handler)
        assert [r for r in (*sync, *others) if r.__module__.startswith("django.")]
        assert {r for r in (*sync, *others) if r.__module__.startswith("django.")} <= IDLE
    assert SyncToAsync.thread_sensitive_context.get(None) is None
    assert not SyncToAsync.context_to_thread_executor


@pytest.mark.parametrize(("status", "length"), [(204, []), (304, []), (200, ["3"])])
def test_only_what_may_have_a_body_has_its_length(status: int, length: list[str]) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(Handler().send_response(HttpResponse(b"abc" * bool(length), status=status), send))
    said = {name.lower(): value.decode() for name, value in sent[0]["headers"]}
    assert [said[name] for name in [b"content-length"] if name in said] == length


def plain(request: HttpRequest) -> HttpResponse:
    """A view in a thread, which tells how long the body is and in which thread it was read."""
    return HttpResponse(f"{len(request.body)} {threading.get_ident()}")


async def quick(request: HttpRequest) -> HttpResponse:
    """A view on the event loop."""
    return HttpResponse(f"{len(request.body)} {threading.get_ident()}")


@csrf_exempt
def told_in(request: HttpRequest) -> HttpResponse:
    """A view that tells what it was asked, in the query and in a form."""
    return HttpResponse(f"{request.GET['q']} {request.POST.get('q')} {len(request.body)}")


async def where(request: HttpRequest) -> HttpResponse:
    """A view that tells where the site says it is."""
    return HttpResponse(reverse("where"))


async def endless(request: HttpRequest) -> HttpResponse:
    """A view that tells when it is cancelled."""
    request.scope["begun"].set()  # type: ignore[attr-defined]
    try:
        await asyncio.Event().wait()
    finally:
        request.scope["cancelled"].append(True)  # type: ignore[attr-defined]
    raise AssertionError


async def stream(request: HttpRequest) -> StreamingHttpResponse:
    """A view that streams."""

    async def parts() -> Any:
        yield b"a"
        yield b"b"

    return StreamingHttpResponse(parts())


urlpatterns = [
    path("plain/", plain),
    path("quick/", quick),
    path("told-in/", told_in),
    path("where/", where, name="where"),
    path("endless/", endless),
    path("stream/", stream),
]


@pytest.fixture
def handler(settings: Settings) -> Handler:
    """The handler, with the template's middleware and the views above."""
    settings.ROOT_URLCONF = __name__
    settings.MIDDLEWARE = base.MIDDLEWARE
    return Handler()


async def ask(
    handler: Handler, path: str, body: tuple[bytes, ...] = (b"",), **scope: Any
) -> tuple[int, bytes]:
    """The status and the content of a page; the body of the request comes in pieces."""
    messages = [{"type": "http.request", "body": part, "more_body": True} for part in body]
    messages[-1]["more_body"] = False
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop(0)

    async def send(message: Any) -> None:
        sent.append(message)

    await handler(make_scope(path, **scope), receive, send)
    return sent[0]["status"], b"".join(
        message["body"] for message in sent[1:] if message.get("body")
    )


def make_scope(path: str, **scope: Any) -> dict[str, Any]:
    """The scope of a request."""
    headers = [(b"host", b"127.0.0.1")]
    return {"type": "http", "method": "GET", "path": path, "headers": headers, **scope}


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What goes to a thread, and every thread that starts."""
    hops: list[Any] = []
    call, start = SyncToAsync.__call__, threading.Thread.start

    async def count_call(self: Any, *args: Any, **options: Any) -> Any:
        hops.append(self.func)
        return await call(self, *args, **options)

    def count_start(self: Any) -> None:
        hops.append(self)
        start(self)

    monkeypatch.setattr(SyncToAsync, "__call__", count_call)
    monkeypatch.setattr(threading.Thread, "start", count_start)
    return hops


@pytest.mark.parametrize("style", ["naive", "gather", "stream"])
def test_an_anonymous_page_takes_no_thread(
    settings: Settings, style: str, hops: list[Any], two_services: Callable[..., None]
) -> None:
    settings.MIDDLEWARE = base.MIDDLEWARE
    for options in settings.OPTIONS.values():
        options["stale_for"] = 0
    handler = Handler()

    async def live() -> None:
        connections["default"]  # ready, but not connected
        await ask(handler, f"/compare/{style}/")
        hops.clear()
        assert (await ask(handler, f"/compare/{style}/"))[0] == 200

    asyncio.run(live())
    assert hops == []


def test_a_plain_view_takes_one(handler: Handler, hops: list[Any]) -> None:
    status, content = asyncio.run(ask(handler, "/plain/"))
    assert (status, content.split()[0]) == (200, b"0")
    assert [hop.__name__ for hop in hops if not isinstance(hop, threading.Thread)] == [
        "plain",
        "close",
    ]


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[tuple[Signal, int]]]:
    """Which signals were sent, and in which thread, to a receiver that counts as Django's own."""
    told = []

    def receiver(signal: Signal, **_: Any) -> None:
        told.append((signal, threading.get_ident()))

    monkeypatch.setattr(module, "IDLE", {*IDLE, receiver})
    both = (signals.request_started, signals.request_finished)
    for signal in both:
        signal.connect(receiver)
    yield told
    for signal in both:
        signal.disconnect(receiver)


def test_the_thread_of_a_view_is_told_of_the_end(
    handler: Handler, told: list[tuple[Signal, int]]
) -> None:
    _, content = asyncio.run(ask(handler, "/plain/"))
    assert told == [(signals.request_finished, int(content.split()[1]))]


def test_nothing_is_closed_on_the_loop_while_a_connection_is_open_there(
    handler: Handler, told: list[tuple[Signal, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        module,
        "connections",
        SimpleNamespace(all=lambda **_: [SimpleNamespace(connection=object())]),
    )
    asyncio.run(ask(handler, "/stream/"))
    assert [signal for signal, _ in told] == [signals.request_started, signals.request_finished]
    assert threading.get_ident() not in [thread for _, thread in told]


@pytest.mark.parametrize("path", ["/plain/", "/quick/", "/stream/"])
@pytest.mark.parametrize("kind", ["plain", "async"])
def test_everybody_elses_receivers_are_called(handler: Handler, path: str, kind: str) -> None:
    told = []

    def receiver(signal: Signal, sender: type, **_: Any) -> None:
        told.append((signal, sender))

    async def async_receiver(**named: Any) -> None:
        receiver(**named)

    chosen: Any = receiver if kind == "plain" else async_receiver
    both = (signals.request_started, signals.request_finished)
    for signal in both:
        signal.connect(chosen)
    try:
        assert asyncio.run(ask(handler, path))[0] == 200
    finally:
        for signal in both:
            signal.disconnect(chosen)
    assert told == [(signal, Handler) for signal in both]


@pytest.mark.parametrize("body", [(b"abc",), (b"", b"abc"), (b"a", b"b", b"c")])
@pytest.mark.parametrize("view", ["plain", "quick"])
def test_a_body_is_read(handler: Handler, view: str, body: tuple[bytes, ...]) -> None:
    handler._view_middleware = []  # type: ignore[attr-defined]  # no token of CSRF
    _, content = asyncio.run(ask(handler, f"/{view}/", body, method="POST"))
    assert content.split()[0] == b"3"


def test_a_body_that_nobody_gets_is_closed(
    handler: Handler, monkeypatch: pytest.MonkeyPatch
) -> None:
    bodies: list[IO[bytes]] = []
    read_body = handler.read_body

    async def keep_body(receive: Any) -> IO[bytes]:
        bodies.append(await read_body(receive))
        return bodies[0]

    monkeypatch.setattr(handler, "read_body", keep_body)
    asyncio.run(ask(handler, "/quick/", (b"abc",), query_string=b"\xff"))
    assert bodies[0].closed


def test_a_site_may_be_below_a_path(handler: Handler) -> None:
    _, content = asyncio.run(ask(handler, "/shop/where/", root_path="/shop"))
    assert content == b"/shop/where/"


def test_a_stream_is_sent(handler: Handler) -> None:
    assert asyncio.run(ask(handler, "/stream/")) == (200, b"ab")


def test_a_request_that_cannot_be_read_is_an_error(handler: Handler) -> None:
    assert asyncio.run(ask(handler, "/quick/", query_string=b"\xff"))[0] == 400


def ask_in(interface: str, path: str, content_type: str, body: bytes) -> tuple[int, str]:
    """What is answered to what a browser with a token of CSRF sends."""
    cookie = f"{settings.CSRF_COOKIE_NAME}={TOKEN}"
    if interface == "wsgi":
        browser = RequestFactory(SERVER_NAME="127.0.0.1", HTTP_COOKIE=cookie)
        environ = browser.generic("POST", path, body).environ | {"CONTENT_TYPE": content_type}
        started: list[Any] = []
        handler: Any = WSGIHandler()
        answer = asyncio.to_thread(handler, environ, lambda *line: started.extend(line))
        parts = asyncio.run(answer)  # in a thread that is not the test's, as in servers
        return int(started[0][:3]), b"".join(parts).decode()
    path, _, query = path.partition("?")
    headers = [
        *((b"host", b"127.0.0.1"), (b"cookie", cookie.encode())),
        (b"content-type", content_type.encode("latin-1")),
    ]
    scope = {"method": "POST", "query_string": query.encode(), "headers": headers}
    status, content = asyncio.run(ask(Handler(), path, (body,), **scope))
    return status, content.decode()


@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("charset", [*CHARSETS, "nonsense", "\xe9", "utf-8; x*=nonsense''%00"])
@pytest.mark.parametrize("kind", FORMS)
@pytest.mark.parametrize("path", ["/plain/", "/told-in/?q=%C3%A9", "/nothing/"])
def test_a_form_in_another_charset_is_refused_without_a_traceback(
    interface: str, path: str, kind: str, charset: str, caplog: pytest.LogCaptureFixture
) -> None:
    status, content = ask_in(interface, path, f"{kind}; boundary=b; charset={charset}", FORM)
    assert (status, content) == (400, "A form has to be UTF-8.")
    assert [record.levelno for record in caplog.records] == [logging.WARNING]
    assert not caplog.records[0].exc_info


@pytest.mark.usefixtures("handler")
def test_a_part_of_a_form_in_no_charset_is_no_error_of_the_site(interface: str) -> None:
    part = b"Content-Disposition: form-data; name=a; filename*=nonsense''%41"
    body = b"--b\r\n" + part + b"\r\n\r\nabc\r\n--b--\r\n"
    assert ask_in(interface, "/plain/", f"{FORMS[1]}; boundary=b", body)[0] in (400, 403)


def test_so_it_is_with_a_django_that_does_not_know_that(monkeypatch: pytest.MonkeyPatch) -> None:
    def parse(*arguments: Any) -> Any:
        raise LookupError("unknown encoding: nonsense")

    monkeypatch.setattr(HttpRequest, "parse_file_upload", parse)
    with pytest.raises(MultiPartParserError, match="A part is in unknown encoding: nonsense"):
        module.Utf8Request().parse_file_upload({}, None)


@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "utf8"])
def test_a_form_in_utf_8_may_say_so(interface: str, charset: str) -> None:
    kind = f"{FORMS[0]}; charset={charset}"
    assert ask_in(interface, "/plain/", kind, FORM)[0] == 200
    assert ask_in(interface, "/told-in/?q=a", kind, FORM) == (200, f"a \xe9 {len(FORM)}")


@pytest.mark.usefixtures("handler")
@pytest.mark.parametrize("charset", CHARSETS)
def test_the_charset_of_another_content_is_not_that_of_the_query(
    interface: str, charset: str
) -> None:
    kind = f"text/plain; charset={charset}"
    assert ask_in(interface, "/told-in/?q=%C3%A9%2B2AA-", kind, b"abc") == (200, "\xe9+2AA- None 3")


def test_a_visitor_who_goes_away_ends_the_view(
    handler: Handler, told: list[tuple[Signal, int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def live() -> list[bool]:
        begun, cancelled = asyncio.Event(), list[bool]()
        messages = [{"type": "http.request"}]

        async def receive() -> dict[str, Any]:
            if messages:
                return messages.pop()
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: Any) -> None:
            raise AssertionError(message)

        await handler(make_scope("/endless/", begun=begun, cancelled=cancelled), receive, send)
        return cancelled

    assert asyncio.run(live()) == [True]
    monkeypatch.setattr(module, "IDLE", IDLE)
    assert asyncio.run(live()) == [True]
    assert [signal for signal, _ in told] == [signals.request_started, signals.request_finished]


def test_one_who_goes_away_before_the_body_is_there_gets_nothing(handler: Handler) -> None:
    async def receive() -> dict[str, Any]:
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        raise AssertionError(message)

    asyncio.run(handler(make_scope("/quick/"), receive, send))


def test_errors_in_sending_are_raised(handler: Handler) -> None:
    messages = [{"type": "http.request"}]

    async def receive() -> dict[str, Any]:
        if not messages:
            await asyncio.Event().wait()
        return messages.pop()

    async def send(message: Any) -> None:
        raise OSError("gone") from ZeroDivisionError()

    with pytest.raises(OSError, match="gone") as caught:
        asyncio.run(handler(make_scope("/quick/"), receive, send))
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_only_http_is_handled(handler: Handler) -> None:
    with pytest.raises(ValueError, match="not websocket"):
        asyncio.run(ask(handler, "/", type="websocket"))
