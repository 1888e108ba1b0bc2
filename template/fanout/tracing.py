"""What OpenTelemetry is told: a span for every request and for every call, and metrics per service.

Imported only if telemetry is on. Names are those of https://opentelemetry.io/docs/specs/semconv/
where there are any; what could say who a visitor is stays out of them.
"""

import atexit
import logging
import os
import sys
import traceback
from collections.abc import Hashable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from functools import cache
from importlib.metadata import entry_points
from threading import Lock, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

import httpx
from django.conf import settings
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import View
from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fanout import fetch, wsgi
from fanout.answer import Answer, BadAnswer
from fanout.body import Body
from fanout.breaker import TIMEOUTS
from fanout.bulkhead import Full
from fanout.call import Call
from fanout.handler import Handler, Receive, Send
from fanout.section import Section
from fanout.service import Service, services
from fanout.telemetry import get_exporters
from fanout.visit import Visit

BREAKER_STATES = ("closed", "half-open", "open")  # as the numbers 0, 1 and 2
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)  # seconds
FLUSH = 2  # seconds: the most that a collector that does not answer delays the end of a server

logger = logging.getLogger("fanout")
_tracer, _meter = trace.get_tracer("fanout"), metrics.get_meter("fanout")
_trace_context = TraceContextTextMapPropagator()
_starting = Lock()
_providers: list[TracerProvider | MeterProvider] = []  # that this module has set up


def _observe_breakers(_: CallbackOptions) -> Iterable[Observation]:
    for service in services():
        state = BREAKER_STATES.index(service.breaker.state)
        yield Observation(state, {"fanout.service": service.name})


_meter.create_observable_gauge("fanout.breaker.state", [_observe_breakers], "1")
_duration = _meter.create_histogram(
    "fanout.call.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS
)


class TracedCall(Call):
    """A call with a client span, which is the parent of what the service does."""

    def __init__(self, service: Service, visit: Visit) -> None:
        """Begin both."""
        super().__init__(service, visit)
        name, attributes = f"GET {service.name}", _describe(service)
        self._span = _tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        self._context = trace.set_span_in_context(self._span)
        self.headers = visit.headers.copy()
        _trace_context.inject(self.headers, self._context)
        self._source = "kept"  # from an answer that is still fresh, unless more is asked for
        self._status = 0

    def find_flight(self) -> Hashable:
        self._source = "shared"  # with the page that calls, unless this one does
        return super().find_flight()

    @contextmanager
    def guard(self, turn: Future[None]) -> Iterator[None]:
        self._source = "own"
        with super().guard(turn):
            yield

    def receive(self, response: httpx.Response) -> Body:
        self._status = response.status_code
        return super().receive(response)

    def may_retry(self, error: Exception) -> bool:
        again = super().may_retry(error)
        if again and self._span.is_recording():  # its page may have gone
            self._span.add_event("retry", {"error.type": self._get_type(error)})
        self._status = 0 if again else self._status
        return again

    def succeed(self, answer: Answer) -> Section:
        section = super().succeed(answer)
        self._end(section.state, section.duration)
        return section

    def fail(self, error: Exception, older: Future[Answer | None]) -> Section:
        with trace.use_span(self._span):
            section = super().fail(error, older)
        # Only sentences of our own: others may hold the URL, and so the viewer.
        own = isinstance(error, BadAnswer | Full)
        self._span.set_status(StatusCode.ERROR, str(error) if own else self._get_type(error))
        self._end(section.state, section.duration, self._get_type(error))
        return section

    def abandon(self) -> None:
        self._end("abandoned", self._elapsed())

    def _get_type(self, error: Exception) -> str:
        if self._status >= 300:
            return str(self._status)
        return "timeout" if isinstance(error, TIMEOUTS) else type(error).__name__

    def _end(self, state: str, duration: float, error_type: str = "") -> None:
        labels = {"fanout.service": self.service.name, "fanout.state": state}
        labels |= {"fanout.source": self._source}
        labels |= {"error.type": error_type} if error_type else {}
        _duration.record(duration, labels, self._context)
        self._span.set_attributes(labels)
        if self._status:
            self._span.set_attribute("http.response.status_code", self._status)
        self._span.end()


class TracedHandler(Handler):
    """Handles requests under ASGI, each in a server span until all of the response is sent."""

    async def respond(self, request: Any, receive: Receive, send: Send) -> HttpResponseBase | None:
        with _serve(request) as span:
            response = await super().respond(request, receive, send)
            _end_request(span, request, response)
            return response


class TracedWSGIHandler(wsgi.Handler):
    """The same under WSGI. Servers fork after they have imported this, so it starts as late."""

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        start()
        with _serve(request) as span:
            response = super().get_response(request)
            _end_request(span, request, response)
            return response


@contextmanager
def run() -> Iterator[None]:
    """Trace during the block, then send what is left, for FLUSH seconds at most."""
    start()
    try:
        yield
    finally:
        end = monotonic() + FLUSH
        # The SDK waits for an exporter as long as that takes, and once more when Python ends.
        threads = [Thread(target=provider.shutdown, daemon=True) for provider in _providers]
        for provider, thread in zip(_providers, threads, strict=True):
            atexit.unregister(provider.shutdown)
            thread.start()
        for thread in threads:
            thread.join(max(0, end - monotonic()))
        if any(thread.is_alive() for thread in threads):
            logger.warning("The collector did not take the last traces or metrics in %s s", FLUSH)


def start() -> None:
    """Trace from now on, and send to where OTEL_* variables say; once in a process."""
    with _starting:
        if fetch.make_call is not TracedCall:
            fetch.make_call = TracedCall
            try:
                _set_up()
            except Exception as error:
                logger.warning("OTEL_* variables are wrong, so not all is sent: %s", error)


def _set_up() -> None:
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return  # opentelemetry-instrument was here
    about = {"service.name": settings.FANOUT_TITLE, "service.instance.id": str(uuid4())}
    resource = Resource.create({**about, **OTELResourceDetector().detect().attributes})
    readers = [
        exporter if isinstance(exporter, MetricReader) else PeriodicExportingMetricReader(exporter)
        for exporter in _make_exporters("METRICS")
    ]
    _providers.append(meter_provider := MeterProvider(readers, resource))
    metrics.set_meter_provider(meter_provider)
    if exporters := _make_exporters("TRACES"):
        _providers.append(tracer_provider := TracerProvider(resource=resource))
        for exporter in exporters:
            tracer_provider.add_span_processor(BatchSpanProcessor(exporter))
        trace.set_tracer_provider(tracer_provider)


def _make_exporters(signal: str) -> list[Any]:
    """Of the classes that packages have for the names in the environment. Raises LookupError."""
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL")
    protocol = protocol or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    exporters = []
    for name in get_exporters(signal):
        name = f"otlp_proto_{protocol.split('/')[0]}" if name == "otlp" else name
        points = entry_points(group=f"opentelemetry_{signal.lower()}_exporter", name=name)
        if not points:
            raise LookupError(f"no package has an exporter {name} for {signal.lower()}")
        exporters.append(next(iter(points)).load()())
    return exporters


@cache
def _describe(service: Service) -> dict[str, str | int]:
    """Where a service is, without what of its URL may be secret."""
    try:
        url = service.address.copy_with(username="", password="", query=None)
    except httpx.InvalidURL:
        return {"http.request.method": "GET"}
    return {
        "http.request.method": "GET",
        "url.full": str(url),
        "server.address": url.host,
        "server.port": url.port or {"http": 80, "https": 443}[url.scheme],
    }


@contextmanager
def _serve(request: HttpRequest) -> Iterator[Span]:
    """A span for `request`, as a child of the visitor's."""
    method = _get_method(request)
    about = {"http.request.method": method, "url.path": request.path}
    about["url.scheme"] = str(request.scheme)
    parent = _trace_context.extract(request.headers)
    with _tracer.start_as_current_span(
        *(method, parent, SpanKind.SERVER, about),
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield span
        except Exception as error:  # while the page is sent: Django has answered all others
            _record_exception()
            _end_request(span, request, None)
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(StatusCode.ERROR)
            raise


def _record_exception(**_: Any) -> None:
    """Tell the span what is being handled, but not its message, which may hold a URL or a name."""
    error: Any = sys.exception()
    about = {"exception.type": f"{type(error).__module__}.{type(error).__qualname__}"}
    about["exception.stacktrace"] = "".join(traceback.format_tb(error.__traceback__))
    trace.get_current_span().add_event("exception", about)


got_request_exception.connect(_record_exception)


def _end_request(span: Span, request: HttpRequest, response: HttpResponseBase | None) -> None:
    if request.resolver_match:
        span.set_attribute("http.route", f"/{request.resolver_match.route}")
        span.update_name(f"{_get_method(request)} /{request.resolver_match.route}")
    if response:
        span.set_attribute("http.response.status_code", response.status_code)
        if response.status_code >= 500:
            span.set_attribute("error.type", str(response.status_code))
            span.set_status(StatusCode.ERROR)


def _get_method(request: HttpRequest) -> str:
    method = str(request.method)
    return method if method.lower() in View.http_method_names else "_OTHER"
