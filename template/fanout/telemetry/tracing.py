"""What OpenTelemetry is told: a span for every request and for every call, and metrics per service.

Imported only if telemetry is on. Names are those of https://opentelemetry.io/docs/specs/semconv/
where there are any; what could say who a visitor is stays out of them.
"""

import sys
import traceback
from collections.abc import Iterable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from functools import cache
from typing import Any

import httpx
from django.core.signals import got_request_exception
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.generic import View
from opentelemetry import metrics, trace
from opentelemetry.metrics import CallbackOptions, Observation
from opentelemetry.trace import Span, SpanKind, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fanout.calls.answer import Answer, Body
from fanout.calls.call import SAID, TIMEOUTS, Call, Section
from fanout.calls.service import Service, services
from fanout.calls.visit import Visit
from fanout.policies.breaker import Paused
from fanout.serving import wsgi
from fanout.serving.handler import Handler, Receive, Send
from fanout.telemetry import sdk

BREAKER_STATES = ("closed", "half-open", "open")  # as the numbers 0, 1 and 2
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)  # seconds

_tracer, _meter = trace.get_tracer("fanout"), metrics.get_meter("fanout")
_trace_context = TraceContextTextMapPropagator()


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
        super().__init__(service, visit)
        name, attributes = f"GET {service.name}", _describe(service)
        self._span = _tracer.start_span(name, kind=SpanKind.CLIENT, attributes=attributes)
        self._context = trace.set_span_in_context(self._span)
        self.headers = visit.headers.copy()
        _trace_context.inject(self.headers, self._context)
        self._source = "shared"  # with the page that calls, unless this one does
        self._status = 0

    def find_fresh(self) -> Answer | None:
        answer = super().find_fresh()
        self._source = "kept" if answer else self._source
        return answer

    @contextmanager
    def guard(self, turn: Future[None]) -> Iterator[None]:
        self._source = "own"
        with super().guard(turn):
            yield

    def receive(self, response: httpx.Response) -> Body:
        self._status = response.status_code
        return super().receive(response)

    def spend_retry(self, error: Exception) -> bool:
        again = super().spend_retry(error)
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
        own = isinstance(error, SAID) and not isinstance(error, Paused)
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
        labels = {"fanout.service": self.service.name, "fanout.source": self._source}
        labels["fanout.state"] = state
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
        sdk.start()
        with _serve(request) as span:
            response = super().get_response(request)
            _end_request(span, request, response)
            return response


@cache
def _describe(service: Service) -> dict[str, str | int]:
    """Where a service is, without what of its URL may be secret."""
    about: dict[str, str | int] = {"http.request.method": "GET"}
    with suppress(httpx.InvalidURL):
        url = service.address.copy_with(username="", password="", query=None)
        about |= {"url.full": str(url), "server.address": url.host}
        about["server.port"] = url.port or {"http": 80, "https": 443}[url.scheme]
    return about


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
