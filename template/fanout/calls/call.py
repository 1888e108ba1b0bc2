"""One call of a service for one page: what is sent, what is kept, and the section that comes of it."""

import logging
import time
from asyncio import CancelledError
from collections.abc import Hashable, Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import httpx
from django.conf import settings

from fanout.calls.answer import Answer, BadAnswer, Body, read_retry_after, readings
from fanout.calls.headers import REQUEST_ID
from fanout.calls.last_good import last_good
from fanout.calls.service import Service
from fanout.calls.visit import Visit
from fanout.policies.breaker import Paused, Unwell, Verdict
from fanout.policies.bulkhead import Full
from fanout.policies.deadline import NEARLY, SHARE

MAX_HEADERS = 100  # of an answer
TIMEOUTS = (TimeoutError, httpx.TimeoutException)
SAID = (BadAnswer, Unwell, Paused, Full)  # errors whose messages are sentences of ours
State = Literal["ok", "stale", "failed"]
logger = logging.getLogger("fanout")


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The outcome of one call; times are in seconds, `start` counts from the page's beginning."""

    name: str  # the service's
    title: str  # the heading
    state: State
    start: float
    duration: float
    required: bool = False
    error: str = ""  # why the call failed: for logs and developers, not for visitors
    age: float = 0.0  # of the answer
    data: Mapping[str, Any] = field(default_factory=dict)  # the answer, as `read_answer` left it
    html: dict[Hashable, str] = field(default_factory=dict, repr=False, compare=False)  # of `data`

    @property
    def items(self) -> list[dict[str, Any]]:
        """What to show, each with a `title`; none for a failed section."""
        items: list[dict[str, Any]] = self.data.get("items", [])
        return items


class Unavailable(Unwell):
    """The service, or the gateway before it, is not there right now."""


class Call:
    """What the sync and the async way of calling share: everything but the waiting."""

    def __init__(self, service: Service, visit: Visit) -> None:
        """Begin a call that may take `seconds`; the first one of a page may take `most`."""
        self.seconds = visit.deadline.budget(service.timeout)
        self.most = min(service.timeout, SHARE * settings.FANOUT_DEADLINE)
        self.headers = visit.headers
        self.service = service
        self._user = str(visit.viewer.pk) if visit.viewer and service.personal else ""
        self.key = (service.name, service.url, self._user)
        alone = not service.coalesce or self.seconds < NEARLY * self.most
        self.flight: Hashable = object() if alone else self.key  # equal if they may be one call
        self._storable = True
        self._deadline = visit.deadline
        self._start = visit.deadline.elapsed()

    def make_request(self) -> httpx.Request:
        """What to send, in the time that is left. Raises InvalidURL, or TimeoutError if none is.

        Only a personal service learns who the viewer is.
        """
        left = self.seconds - self._elapsed()
        if left <= 0:
            raise TimeoutError
        url = self.service.address
        if self._user:
            url = url.copy_merge_params({"user": self._user})
        timeout = dict.fromkeys(("connect", "read", "write", "pool"), left)
        request = httpx.Request("GET", url, headers=self.headers, extensions={"timeout": timeout})
        if "tracestate" in self.headers and self.flight is self.key:
            del request.headers["tracestate"]  # a visitor's, and others get the answer too
        if url.userinfo:
            next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
        return request

    def find_fresh(self) -> Answer | None:
        """The answer that makes a call needless, if there is one."""
        return last_good.find(self.key, self.service.cache_for)

    @contextmanager
    def guard(self, turn: Future[None]) -> Iterator[None]:
        """Count the call in the block, and learn from how it ends. Raises Full or Paused."""
        if not turn.done():
            raise Full(f"has {self.service.concurrency} calls in flight already")
        with self.service.breaker.guard(NEARLY * self.most, judge, self._describe):
            self.service.retries.deposit()
            yield

    def receive(self, response: httpx.Response) -> Body:
        """The body of a 2xx, still empty; redirects are not followed. Raises BadAnswer or Unwell."""
        if len(response.headers.raw) > MAX_HEADERS:
            raise BadAnswer(f"answered with more than {MAX_HEADERS} headers")
        if response.http_version not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadAnswer(f"answered with {response.http_version}")
        if not response.is_success:
            raise _refuse(response)
        headers = response.headers
        self._storable = "no-store" not in headers.get("cache-control", "").lower()
        return Body(headers.get("content-encoding", ""), self.service.max_bytes)

    def spend_retry(self, error: Exception) -> bool:
        """Take a second try from the budget, if one can help and has time enough. Whether it did."""
        return (
            self.service.retry
            and isinstance(error, Unavailable | httpx.NetworkError | httpx.RemoteProtocolError)
            and self._elapsed() <= self.seconds / 2
            and self.service.retries.withdraw()
        )

    def keep(self, body: Body) -> Answer:
        """The answer in a whole body, which may now be the last good one. Raises BadAnswer."""
        content = body.finish()
        answer = readings.read(content, time.time(), storable=self._storable)
        if self._storable and (self.service.stale_for or self.service.cache_for):
            last_good.keep(self.key, content, self.service.stale_for)
        return answer

    def succeed(self, answer: Answer) -> Section:
        """The section of an answer."""
        return self._make_section("ok", answer)

    def fail(self, error: Exception, older: Future[Answer | None]) -> Section:
        """The section after `error`, with an older answer if there is one; logs one line."""
        answer = older.result() if older.done() else None
        section = self._make_section("stale" if answer else "failed", answer, self._describe(error))
        extra = {key: getattr(section, key) for key in ("state", "error", "duration", "age")}
        extra |= {"service": section.name, "request_id": self.headers[REQUEST_ID]}
        known = (*SAID, *TIMEOUTS, httpx.HTTPError, httpx.InvalidURL)
        trace = None if isinstance(error, known) else error
        line = f"{section.name} {section.error} ({section.state})"
        logger.warning("%s", line, extra=extra, exc_info=trace)
        return section

    def abandon(self) -> None:
        """End without a section: nobody waits for it any more."""

    def _make_section(self, state: State, answer: Answer | None, error: str = "") -> Section:
        return Section(
            name=self.service.name,
            title=(answer and answer.data["title"]) or self.service.title,
            state=state,
            start=self._start,
            duration=self._elapsed(),
            required=self.service.required,
            error=error,
            age=answer.age if answer else 0.0,
            data=answer.data if answer else {},
            html=answer.html if answer else {},
        )

    def _elapsed(self) -> float:
        return self._deadline.elapsed() - self._start

    def _describe(self, error: BaseException) -> str:
        match error:
            case _ if isinstance(error, SAID):
                return str(error)
            case TimeoutError() | httpx.TimeoutException() | CancelledError():
                return f"did not answer within {min(self.seconds, self._elapsed()):.2f} s"
            case httpx.ConnectError():
                return f"could not be reached: {error}"
            case httpx.NetworkError() | httpx.RemoteProtocolError():
                return f"broke off: {str(error) or type(error).__name__}"
            case _:
                return f"could not be called: {type(error).__name__}: {error}"


def judge(error: BaseException) -> Verdict:
    """What the error of a call tells of the service: any answer but `Unwell` shows that it lives."""
    match error:
        case BadAnswer():
            return "well"
        case TimeoutError() | httpx.TimeoutException() | CancelledError():
            return "late"
        case Unwell() | httpx.NetworkError() | httpx.RemoteProtocolError():
            return "unwell"
        case _:
            return "unknown"


def _refuse(response: httpx.Response) -> Exception:
    """The error for an answer that is no success."""
    status, pause = response.status_code, 0.0
    message = f"answered with status {status}"
    if status in (429, 503):
        pause = read_retry_after(response.headers.get("retry-after", ""))
    if status in (502, 503, 504) and not pause:
        return Unavailable(message)
    return Unwell(message, pause) if status >= 500 or status == 429 else BadAnswer(message)
