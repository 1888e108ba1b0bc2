"""One call of a service for one page: what is sent, what is kept, and the section that comes of it."""

import logging
import time
from asyncio import CancelledError
from collections.abc import Hashable
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import replace
from functools import partial

import httpx
from django.conf import settings

from fanout.calls.answer import Answer, Reply, make_empty, readings
from fanout.calls.body import BadStatus, Body, check_status, keep_headers
from fanout.calls.headers import REQUEST_ID, read_directives
from fanout.calls.last_good import Key, get_lifetimes, last_good, make_done
from fanout.calls.mistake import BadAnswer, Mistake
from fanout.calls.request import Talk, prepare
from fanout.calls.section import GONE, Section, State
from fanout.calls.service import MASKED, Service
from fanout.calls.transport.message import Incoming, Message, WentAway, get_header
from fanout.calls.visit import Visit
from fanout.policies.breaker import Paused, Unwell, Verdict
from fanout.policies.bulkhead import AT_ONCE, Full
from fanout.policies.deadline import NEARLY, SHARE

TIMEOUTS = (TimeoutError, httpx.TimeoutException)
SAID = (BadAnswer, Unwell, Paused, Full)  # errors whose messages are sentences of ours
logger = logging.getLogger("fanout")


class Call:
    """What the sync and the async way of calling share: everything but the waiting."""

    def __init__(self, service: Service, visit: Visit) -> None:
        """Begin a call that may take `seconds`; the first one of a page may take `most`."""
        self.seconds = visit.deadline.budget(service.timeout)
        self.most = min(service.timeout, SHARE * visit.deadline.seconds)
        self.service, self.headers = service, visit.headers
        self.message: Message
        self.key: Key | None = None  # what makes calls the same
        self._status: int | None = None
        self.again = False  # whether this is a second try, which gets a connection of its own
        self._control = ""
        self._visit = visit
        self._start = visit.deadline.elapsed()

    def find_known(self) -> Answer | None:
        """The answer that makes a call needless, if there is one. Raises what `prepare` does."""
        message = prepare(self.service, self._visit)
        if message is None:
            return make_empty(None, time.time())
        self.message = message
        if not message.digest:
            return None
        self.key = (self.service.name, message.digest)
        return last_good.find(self.key, self.service)

    @property
    def flight(self) -> Hashable:
        """Equal for calls that may be one; None for one that is like no other, or short of time."""
        alone = not self.service.coalesce or self.seconds < NEARLY * self.most
        # What is shared is what this class reads in the answer.
        return None if alone or not self.key else (type(self.service), self.key)

    def begin(self) -> Talk:
        """Say what is to be sent, anew for a second try. Raises BadAnswer."""
        if not self.again:
            self.service.retries.deposit()
        more = [(name.encode(), value.encode()) for name, value in self.headers.items()]
        self._talk = Talk(self.service, self.message, more)
        return self._talk

    def get_left(self) -> float:
        """Seconds that the call still has. Raises TimeoutError if there are none."""
        if (left := self.seconds - self._elapsed()) <= 0:
            raise TimeoutError
        return left

    def guard(self, turn: Future[None]) -> AbstractContextManager[None]:
        """Count the call in the block of this, and learn from how it ends. Raises Full or Paused."""
        if turn is not AT_ONCE and not turn.done():
            raise Full(f"has {self.service.concurrency} calls in flight already")
        return self.service.breaker.guard(NEARLY * self.most, judge, self._describe)

    def receive(self, incoming: Incoming, talk: Talk) -> Body:
        """The body of an answer, still empty; redirects are not followed. Raises BadAnswer or Unwell."""
        if not talk.errand:
            self._status = incoming.status
            self._control = get_header(incoming, b"cache-control")
            self._age = get_header(incoming, b"age") if self._control else ""
            check_status(incoming, self.service.empty)
        return Body(incoming, self.service.max_bytes)

    def take(self, incoming: Incoming, body: Body, talk: Talk) -> Reply:
        """What came, whole. Raises BadAnswer."""
        headers = keep_headers(incoming.headers, cookies=bool(talk.errand))
        reply = Reply(incoming.status, headers, body.finish())
        if talk.errand:
            talk.go_on(reply.make_response())
        elif self.service.secrets:
            mask = partial(self.service.mask, least=MASKED)
            masked = tuple((name, mask(value)) for name, value in headers)
            reply = reply._replace(headers=masked, body=mask(reply.body))
        return reply

    def spend_retry(self, error: Exception) -> bool:
        """Take a second try from the budget, if one can help and has time enough. Whether it did.

        One costs nothing after a used connection that ended in silence.
        """
        if isinstance(error, BadAnswer):
            error.status = self._status
        broken = isinstance(error, httpx.NetworkError | httpx.RemoteProtocolError)
        if not broken and not (isinstance(error, BadStatus) and error.passing):
            return False
        safe = self._talk.message.method in ("GET", "HEAD")
        if self.again or not (safe if self.service.retry is None else self.service.retry):
            return False
        self.again = True
        if isinstance(error, WentAway):
            return True
        return self._elapsed() <= self.seconds / 2 and self.service.retries.withdraw()

    def keep(self, reply: Reply) -> Answer:
        """The answer, which may now be the last good one. Raises BadAnswer."""
        said = read_directives(self._control)
        storable = "no-store" not in said
        answer = readings.read(self.service, reply, time.time(), self.key if storable else None)
        if self.key and reply.status in GONE:
            last_good.drop(self.key)
        elif self.key and storable and any(lifetimes := self._get_lifetimes(said)):
            last_good.keep(self.key, reply, *lifetimes)
        return answer

    def recall(self, error: Exception) -> Future[Answer | None]:
        """An older answer in place of an error, if there is one and it is not too old."""
        gone = isinstance(error, BadAnswer) and error.status in GONE
        if self.key and gone:
            last_good.drop(self.key)
        elif self.key and (self.service.stale_for or not self.service.says("stale_for")):
            return last_good.recall(self.key, self.service)
        return make_done(None)

    def succeed(self, answer: Answer) -> Section:
        """The section of an answer."""
        return self._make_section("ok", answer)

    def fail(self, error: Exception, older: Future[Answer | None]) -> Section:
        """The section after `error`, with an older answer if there is one; logs one line."""
        answer = older.result() if older.done() else None
        section = self._make_section("stale" if answer else "failed", answer, self._describe(error))
        section = replace(section, status=getattr(error, "status", None))
        extra = {key: getattr(section, key) for key in ("state", "error", "duration", "age")}
        extra |= {"service": section.name, "request_id": self.headers[REQUEST_ID]}
        known = (*SAID, *TIMEOUTS, httpx.HTTPError, httpx.InvalidURL)
        trace = None if isinstance(error, known) else error
        hint = ": uv run manage.py services says more" if settings.DEBUG else ""
        line = f"{section.name} {section.error} ({section.state}){hint}"
        if isinstance(error, Mistake):
            error.args = (section.error,)  # masked in the traceback, too
            self.service.mistakes[error.kind] += 1
            times = self.service.mistakes[error.kind]
            line, trace = (line, error) if times == 1 else (f"{line}, {times} times", None)
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
            error=error,
            status=answer.status if answer else None,
            age=answer.age if answer else 0.0,
            data=answer.data if answer else {},
            html=answer.html if answer else {},
        )

    def _elapsed(self) -> float:
        return self._visit.deadline.elapsed() - self._start

    def _get_lifetimes(self, said: dict[str, float]) -> tuple[float, float]:
        if "private" in said and not self._is_for_viewer():
            return 0.0, 0.0
        return get_lifetimes(self.service, said, self._age)

    def _is_for_viewer(self) -> bool:
        """Whether the request says who the viewer is: without one, there would be another."""
        if not self._visit.viewer:
            return False
        try:
            other = prepare(self.service, replace(self._visit, viewer=None))
        except Exception:
            return True
        return not other or other.digest != self.message.digest

    def _describe(self, error: BaseException) -> str:
        said = self.service.mask(self._explain(error).encode(errors="replace")).decode()
        return " ".join(said.split())[:300]

    def _explain(self, error: BaseException) -> str:
        match error:
            case _ if isinstance(error, SAID):
                return str(error)
            case TimeoutError() | httpx.TimeoutException() | CancelledError():
                return f"did not answer within {min(self.seconds, self._elapsed()):.2f} s"
            case httpx.ConnectError():
                return f"could not be reached: {error}"
            case httpx.NetworkError() | httpx.RemoteProtocolError():
                return f"broke off: {str(error) or type(error).__name__}"
            case httpx.LocalProtocolError():
                return f"could not be called: {error}"
            case _:
                return f"could not be called: {type(error).__name__}"


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
