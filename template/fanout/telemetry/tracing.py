"""Spans and metrics, as in https://opentelemetry.io/docs/specs/semconv/; they name no visitor."""

import sys
import traceback
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager, suppress
from functools import cache
from typing import Any

from django.core.signals import got_request_exception
from django.dispatch import receiver
from django.http import HttpRequest
from django.views.generic import View
from opentelemetry import metrics, trace
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from fanout.calls.answer import Answer
from fanout.calls.call import SAID, TIMEOUTS, Call
from fanout.calls.mistake import BadAnswer, Mistake
from fanout.calls.section import Section
from fanout.calls.service import Service, services
from fanout.calls.visit import Visit
from fanout.policies.breaker import Paused
from fanout.serving.handler import Handler, Receive, Send, WSGIHandler
from fanout.telemetry import sdk

BREAKER_STATES = ("closed", "half-open", "open")  # as the numbers 0, 1 and 2
BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.075, 0.1, 0.25, 0.5, 0.75, 1, 2.5, 5, 7.5, 10)  # seconds
_tracer, _meter = trace.get_tracer("fanout"), metrics.get_meter("fanout")
_trace_context = TraceContextTextMapPropagator()


def _observe_breakers(_: metrics.CallbackOptions) -> Iterable[metrics.Observation]:
    for service in services(everywhere=True):
        state = BREAKER_STATES.index(service.breaker.state)
        yield metrics.Observation(state, {"fanout.service": service.name})


_meter.create_observable_gauge("fanout.breaker.state", [_observe_breakers], "1")
_duration = _meter.create_histogram(
    "fanout.call.duration", "s", explicit_bucket_boundaries_advisory=BUCKETS
)


class TracedCall(Call):
    """A call with a client span, which is the parent of what the service does."""

    def __init__(self, service: Service, visit: Visit) -> None:
        super().__init__(service, visit)
        name, attributes = f"GET {service.name}", _describe(service)
        self._span = _tracer.start_span(name, kind=trace.SpanKind.CLIENT, attributes=attributes)
        self._context = trace.set_span_in_context(self._span)
        self.headers = dict(visit.headers)
        _trace_context.inject(self.headers, self._context)
        self.headers.pop("tracestate", None)  # a visitor's, and others get the answer too
        self._source = "shared"  # with the page that calls, unless this one does

    def find_known(self) -> Answer | None:
        answer = super().find_known()
        if answer:
            self._source = "kept"
        elif (method := self.message.method) != "GET":
            self._span.update_name(f"{method} {self.service.name}")
            self._span.set_attribute("http.request.method", method)
        return answer

    def guard(self, turn: Future[None]) -> AbstractContextManager[None]:
        self._source = "own"
        return super().guard(turn)

    def spend_retry(self, error: Exception) -> bool:
        again = super().spend_retry(error)
        if again and self._span.is_recording():  # its page may have gone
            self._span.add_event("retry", {"error.type": self._get_type(error)})
        self._status = None if again else self._status
        return again

    def succeed(self, answer: Answer) -> Section:
        section = super().succeed(answer)
        self._end(section.state, section.duration)
        return section

    def fail(self, error: Exception, older: Future[Answer | None]) -> Section:
        with trace.use_span(self._span):
            section = super().fail(error, older)
        # Only sentences of our own: others may hold the URL, and so the viewer.
        own = isinstance(error, SAID) and not isinstance(error, Paused | Mistake)
        said = section.error if own else self._get_type(error)
        self._span.set_status(trace.StatusCode.ERROR, said)
        self._end(section.state, section.duration, **{"error.type": self._get_type(error)})
        return section

    def abandon(self) -> None:
        self._end("abandoned", self._elapsed())

    def _get_type(self, error: Exception) -> str:
        if self._status and self._status >= 300:
            return str(self._status)
        return "timeout" if isinstance(error, TIMEOUTS) else type(error).__name__

    def _end(self, state: str, duration: float, **more: str) -> None:
        labels = {"fanout.service": self.service.name, "fanout.source": self._source}
        labels |= {"fanout.state": state, **more}
        _duration.record(duration, labels, self._context)
        self._span.set_attributes(labels)
        if self._status:
            self._span.set_attribute("http.response.status_code", self._status)
        self._span.end()


class TracedHandler(Handler):
    """Handles requests under ASGI, each in a server span until all of the response is sent."""

    async def respond(self, request: Any, receive: Receive, send: Send) -> Any:
        with _serve(request) as end:
            return end(await super().respond(request, receive, send))


class TracedWSGIHandler(WSGIHandler):
    """The same under WSGI. Servers fork after they have imported this, so it starts as late."""

    def get_response(self, request: HttpRequest) -> Any:
        sdk.start()
        with _serve(request) as end:
            return end(super().get_response(request))


@cache
def _describe(service: Service) -> dict[str, str | int]:
    """Where a service is, without what of its URL may be secret."""
    about: dict[str, str | int] = {"http.request.method": "GET"}
    with suppress(BadAnswer):
        url = service.url.copy_with(username="", password="", query=None)
        about |= {"url.full": str(url), "server.address": url.host}
        about["server.port"] = url.port or {"http": 80, "https": 443}[url.scheme]
    return about


@contextmanager
def _serve(request: HttpRequest) -> Iterator[Callable[[Any], Any]]:
    """A span for `request`, as a child of the visitor's, and what to call with the response."""
    known = str(request.method).lower() in View.http_method_names
    method = str(request.method) if known else "_OTHER"
    parent = _trace_context.extract(request.headers)
    about = {"http.request.method": method, "url.path": request.path}
    about["url.scheme"] = str(request.scheme)
    options: Any = {"record_exception": False, "set_status_on_exception": False}
    options |= {"kind": trace.SpanKind.SERVER, "attributes": about}

    def end(response: Any) -> Any:
        if match := request.resolver_match:
            span.set_attribute("http.route", f"/{match.route}")
            span.update_name(f"{method} /{match.route}")
        if response:
            span.set_attribute("http.response.status_code", response.status_code)
        if response and response.status_code >= 500:
            span.set_attribute("error.type", str(response.status_code))
            span.set_status(trace.StatusCode.ERROR)
        return response

    with _tracer.start_as_current_span(method, parent, **options) as span:
        try:
            yield end
        except Exception as error:  # while the page is sent: Django has answered all others
            _record_exception()
            end(None)
            span.set_attribute("error.type", type(error).__name__)
            span.set_status(trace.StatusCode.ERROR)
            raise


@receiver(got_request_exception)
def _record_exception(**_: Any) -> None:
    """Tell the span what is being handled, but not its message, which may hold a URL or a name."""
    error: Any = sys.exception()
    about = {"exception.type": f"{type(error).__module__}.{type(error).__qualname__}"}
    about["exception.stacktrace"] = "".join(traceback.format_tb(error.__traceback__))
    trace.get_current_span().add_event("exception", about)
