"""One trace for a page and its calls, metrics per service, and nobody's name in them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import suppress
from types import ModuleType
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.http.response import HttpResponseBase
from django.urls import path, reverse
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import Histogram, MeterProvider
from opentelemetry.sdk.metrics.export import AggregationTemporality, InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode
from pytest_django import Settings

from engine.conftest import Script, make_service, serve
from engine.visitors import ask_wsgi, make_visit
from fanout import telemetry
from fanout.calls import fetch
from fanout.calls.fetch import afetch
from fanout.calls.section import Section
from fanout.calls.service import Service, services
from fanout.calls.transport import HttpxTransport, pool
from fanout.policies.breaker import FAILURES
from fanout.serving.entries import get_asgi_application, get_wsgi_application
from fanout.telemetry import tracing

TRACE_ID, PARENT_ID = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACE = f"00-{TRACE_ID}-{PARENT_ID}-01"


class Told:
    """What OpenTelemetry was told since the test began."""

    def __init__(self) -> None:
        """Set up this process, which OpenTelemetry allows once."""
        self._spans = InMemorySpanExporter()
        provider = TracerProvider()
        provider.add_span_processor(SimpleSpanProcessor(self._spans))
        trace.set_tracer_provider(provider)
        self._reader = InMemoryMetricReader({Histogram: AggregationTemporality.DELTA})
        metrics.set_meter_provider(MeterProvider([self._reader]))

    def forget(self) -> None:
        """Begin anew."""
        self._spans.clear()
        self._reader.get_metrics_data()

    def find(self, name: str) -> list[ReadableSpan]:
        """The spans of that name that have ended."""
        return [span for span in self._spans.get_finished_spans() if span.name == name]

    def read_all(self) -> str:
        """All that is known of all spans."""
        return "".join(span.to_json() for span in self._spans.get_finished_spans())

    def measure(self, name: str) -> list[Any]:
        """The data points of a metric."""
        read: Any = self._reader.get_metrics_data()
        [scope] = read.resource_metrics[0].scope_metrics
        [metric] = [metric for metric in scope.metrics if metric.name == name]
        return list(metric.data.data_points)


@pytest.fixture(scope="module")
def _told() -> Told:
    return Told()


@pytest.fixture
def told(_told: Told, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    """Telemetry is on, and tells the test."""
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    telemetry.load_tracing.cache_clear()
    _told.forget()
    yield _told
    telemetry.load_tracing.cache_clear()


@pytest.fixture
def options(script: Script, settings: Settings) -> dict[str, Any]:
    """The options of `beta`, which a test may change."""
    options: dict[str, Any] = settings.OPTIONS["beta"]
    return options


def visit_page(path: str) -> httpx.Response:
    """Get a page from a server, which has ended then."""
    with serve(get_asgi_application()) as address:
        return httpx.get(address + path, headers={"traceparent": TRACE})


def visit_under_wsgi(path: str, method: str = "GET") -> httpx.Response:
    """The same under WSGI."""
    [response] = ask_wsgi(get_wsgi_application(), path, method=method, HTTP_TRACEPARENT=TRACE)
    return response


@pytest.mark.parametrize("visit", [visit_page, visit_under_wsgi])
def test_a_page_and_its_calls_are_one_trace(
    told: Told, script: Script, style: str, visit: Callable[[str], httpx.Response]
) -> None:
    route = reverse(f"compare-{style}")
    assert visit(route).status_code == 200
    [page] = told.find(f"GET {route}")
    assert page.kind is SpanKind.SERVER
    assert page.parent
    assert f"{page.context.trace_id:032x} {page.parent.span_id:016x}" == f"{TRACE_ID} {PARENT_ID}"
    assert page.attributes == {
        "http.request.method": "GET",
        "url.path": route,
        "url.scheme": "http",
        "http.route": route,
        "http.response.status_code": 200,
    }
    for service in services():
        [call] = told.find(f"GET {service.name}")
        assert call.kind is SpanKind.CLIENT
        assert call.parent
        assert call.parent.span_id == page.context.span_id
        assert page.start_time
        assert page.end_time
        assert call.start_time
        assert call.end_time
        assert page.start_time <= call.start_time <= call.end_time <= page.end_time
        assert call.status.status_code is StatusCode.UNSET
        assert call.attributes == {
            "http.request.method": "GET",
            "url.full": str(service.url.copy_with(query=None)),
            "server.address": "127.0.0.1",
            "server.port": service.url.port,
            "http.response.status_code": 200,
            "fanout.service": service.name,
            "fanout.state": "ok",
            "fanout.source": "own",
        }
    [received] = script.calls
    [call] = told.find("GET beta")
    assert received.headers["traceparent"] == f"00-{TRACE_ID}-{call.context.span_id:016x}-01"


def test_a_second_try_is_an_event(told: Told, script: Script, style: str) -> None:
    script.statuses = [503]
    visit_page(reverse(f"compare-{style}"))
    [call] = told.find("GET beta")
    [event] = call.events
    assert event.name == "retry"
    assert event.attributes == {"error.type": "503"}
    assert call.attributes
    assert call.attributes["http.response.status_code"] == 200
    assert "error.type" not in call.attributes
    assert len(script.calls) == 2


def test_a_second_try_that_breaks_off_has_no_status(
    told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(_: httpx.Request) -> httpx.Response:
        if answers:
            return answers.pop()
        raise httpx.ReadError("")

    answers = [httpx.Response(503, extensions={"http_version": b"HTTP/1.1"})]
    transport = HttpxTransport(httpx.MockTransport(answer))
    monkeypatch.setattr(fetch, "get_transport", lambda: transport)
    call_once(make_service("beta", "http://beta/"))
    [call] = told.find("GET beta")
    assert call.attributes
    assert call.attributes["error.type"] == "ReadError"
    assert "http.response.status_code" not in call.attributes


@pytest.mark.parametrize("state", ["stale", "failed"])
def test_a_failed_call_says_why(told: Told, script: Script, style: str, state: str) -> None:
    script.statuses = [200, 500] if state == "stale" else [500]
    for _ in list(script.statuses):
        visit_page(reverse(f"compare-{style}"))
    call = told.find("GET beta")[-1]
    assert call.attributes
    assert call.attributes["fanout.state"] == state
    assert call.attributes["error.type"] == "500"
    assert call.status.status_code is StatusCode.ERROR
    assert call.status.description == "answered with status 500"


def test_a_timeout_has_one_name(told: Told, two_services: Callable[..., None], style: str) -> None:
    two_services(beta="fault=hang")
    visit_page(reverse(f"compare-{style}"))
    [call] = told.find("GET beta")
    assert (call.attributes or {})["error.type"] == call.status.description == "timeout"


MESSAGE = "no answer from http://beta/?user=987654321"


def raise_at_once(_: HttpRequest) -> HttpResponse:
    """A view that fails."""
    raise LookupError(MESSAGE)


def raise_later(_: HttpRequest) -> StreamingHttpResponse:
    """A view that fails while its page is sent."""

    async def stream() -> AsyncIterator[str]:
        yield "begun"
        raise LookupError(MESSAGE)

    return StreamingHttpResponse(stream())


@pytest.mark.parametrize(
    ("visit", "view", "error_type"),
    [
        (visit_page, raise_at_once, "500"),
        (visit_under_wsgi, raise_at_once, "500"),
        (visit_page, raise_later, "LookupError"),
    ],
)
def test_what_a_view_raises_is_an_event_without_its_message(
    told: Told,
    settings: Settings,
    visit: Callable[[str], httpx.Response],
    view: Callable[[HttpRequest], HttpResponseBase],
    error_type: str,
) -> None:
    conf: Any = ModuleType("conf")
    conf.urlpatterns = [path("broken/", view)]
    settings.ROOT_URLCONF = conf
    with suppress(httpx.RemoteProtocolError):
        assert visit("/broken/").status_code == 500
    [page] = told.find("GET /broken/")
    assert (page.attributes or {})["error.type"] == error_type
    assert page.status.status_code is StatusCode.ERROR
    [event] = page.events
    assert event.name == "exception"
    assert event.attributes
    assert event.attributes["exception.type"] == "builtins.LookupError"
    assert "raise LookupError(MESSAGE)" in str(event.attributes["exception.stacktrace"])
    assert "987654321" not in told.read_all()


def test_a_page_without_what_it_needs_is_an_error(
    told: Told, script: Script, options: dict[str, Any]
) -> None:
    options["required"] = True
    script.statuses = [500]
    assert visit_page("/").status_code == 503
    [page] = told.find("GET /")
    assert page.attributes
    assert page.attributes["error.type"] == "503"
    assert page.status.status_code is StatusCode.ERROR


def test_metrics_say_what_calls_took_and_how_they_ended(
    told: Told, script: Script, style: str
) -> None:
    script.statuses = [200, 500]
    for _ in range(2):
        visit_page(reverse(f"compare-{style}"))
    measured = told.measure("fanout.call.duration")
    labels = ("fanout.service", "fanout.state", "fanout.source", "error.type")
    assert {tuple(map(p.attributes.get, labels)): p.count for p in measured} == {
        ("alpha", "ok", "own", None): 2,
        ("beta", "ok", "own", None): 1,
        ("beta", "stale", "own", "500"): 1,
    }
    assert {name for point in measured for name in point.attributes} == set(labels)
    assert all(0 < point.sum < 60 for point in measured)


def test_a_paused_service_is_seen(told: Told, script: Script, options: dict[str, Any]) -> None:
    options["break_for"] = 3600
    script.statuses = [500] * FAILURES
    assert {p.attributes["fanout.service"]: p.value for p in told.measure("fanout.breaker.state")}[
        "beta"
    ] == 0
    for _ in range(FAILURES + 1):
        visit_under_wsgi("/")
    call = told.find("GET beta")[-1]
    assert call.attributes
    assert call.attributes["error.type"] == "Paused"
    assert "http.response.status_code" not in call.attributes
    assert call.status.description == "Paused"
    assert len(script.calls) == FAILURES
    assert {p.attributes["fanout.service"]: p.value for p in told.measure("fanout.breaker.state")}[
        "beta"
    ] == 2


def test_services_of_other_pages_are_seen_too(
    told: Told, script: Script, settings: Settings
) -> None:
    settings.FANOUT_CLASSES = "homepage.services"
    seen = {p.attributes["fanout.service"] for p in told.measure("fanout.breaker.state")}
    assert {"alpha", "beta", "book"} <= seen


def test_a_full_bulkhead_is_seen(told: Told, script: Script) -> None:
    service = make_service("beta", script.address, concurrency=1, timeout=0.1)
    service.bulkhead.enter()
    assert call_once(service).error == "has 1 calls in flight already"
    [call] = told.find("GET beta")
    assert call.attributes
    assert call.attributes["error.type"] == "Full"
    assert call.status.description == "has 1 calls in flight already"


@pytest.mark.parametrize("url", ["nothing", "http://", "http://127.0.0.1:1/", "{}/?fault=drop"])
def test_nobody_is_in_a_span(told: Told, script: Script, settings: Settings, url: str) -> None:
    viewer = get_user_model()(pk=987654321)
    url = url.format("http://somebody:password@127.0.0.1:1") + "?key=hidden"
    for _ in range(FAILURES + 1):
        section = call_once(make_service("beta", url, personal=True), viewer)
        assert section.state == "failed"
    script.statuses = [500]
    service = make_service("beta", f"{script.address}/?key=hidden", personal=True)
    assert call_once(service, viewer).error
    assert script.calls[0].query_params["user"] == "987654321"
    assert len(told.find("GET beta")) == FAILURES + 2
    assert not [word for word in ("987654321", "hidden", "somebody") if word in told.read_all()]


def call_once(service: Service, viewer: Any = None) -> Section:
    """Call a service, without a page."""
    return fetch.fetch(service, make_visit(viewer))


@pytest.mark.parametrize("cache_for", [0, 3600])
def test_a_page_that_needs_no_call_of_its_own_says_so(
    told: Told, script: Script, cache_for: float
) -> None:
    service = make_service("beta", f"{script.address}/", cache_for=cache_for)

    async def call_twice() -> None:
        visit = make_visit()
        async with pool():  # else calls that begin on another loop may be over before the next
            if cache_for:
                await afetch(service, visit)
                await afetch(service, visit)
            else:
                await asyncio.gather(*[afetch(service, visit) for _ in range(2)])

    asyncio.run(call_twice())
    sources = [str((span.attributes or {})["fanout.source"]) for span in told.find("GET beta")]
    assert sorted(sources) == (["kept", "own"] if cache_for else ["own", "shared"])
    assert len(script.calls) == 1


def test_a_call_that_goes_on_without_its_page_has_a_span_that_ended(
    told: Told, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    service = make_service("alpha", "http://alpha/")
    answers = [httpx.Response(200, json={"items": []}), httpx.Response(503)]

    async def leave() -> None:
        called, go_on = asyncio.Event(), asyncio.Event()

        async def answer(_: httpx.Request) -> httpx.Response:
            called.set()
            await go_on.wait()
            return answers.pop()

        transport = HttpxTransport(httpx.MockTransport(answer))
        monkeypatch.setattr(fetch, "get_transport", lambda: transport)
        async with pool():
            pages = [asyncio.create_task(afetch(service, make_visit())) for _ in range(2)]
            await called.wait()
            pages[0].cancel()
            await asyncio.wait(pages[:1])
            go_on.set()
            assert (await pages[1]).state == "ok"

    asyncio.run(leave())
    first, second = told.find("GET alpha")
    assert (first.attributes or {})["fanout.state"] == "abandoned"
    assert (second.attributes or {})["fanout.source"] == "shared"
    assert not first.events
    assert not answers
    assert not caplog.records


def test_a_visitor_who_goes_away_ends_the_span(
    told: Told, two_services: Callable[..., None]
) -> None:
    two_services(alpha="fault=hang")
    messages = [{"type": "http.request"}, {"type": "http.disconnect"}]

    async def receive() -> dict[str, Any]:
        return messages.pop(0)

    async def send(message: Any) -> None:
        raise AssertionError(message)

    scope: dict[str, Any] = {"type": "http", "method": "GET", "query_string": b""}
    scope |= {"path": reverse("compare-gather"), "headers": [(b"host", b"127.0.0.1")]}
    asyncio.run(tracing.TracedHandler()(scope, receive, send))
    # With Django's own middleware the visitor is gone before there is a route.
    [page] = told.find("GET /compare/gather/") or told.find("GET")
    assert "http.response.status_code" not in (page.attributes or {})


@pytest.mark.parametrize(
    ("method", "path", "name", "status"),
    [("GET", "/nowhere", "GET", 404), ("BREW", "/", "_OTHER /", 403)],
)
def test_visitors_make_no_names(told: Told, method: str, path: str, name: str, status: int) -> None:
    visit_under_wsgi(path, method)
    [page] = told.find(name)
    assert (page.attributes or {})["http.response.status_code"] == status
