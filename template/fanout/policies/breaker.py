"""A breaker: it leaves a service alone for a while if it is not well, then tries one call."""

import logging
import time
from collections.abc import Callable
from threading import Lock
from typing import Any, Literal

FAILURES = 5  # in a row
LONGEST = 60.0  # seconds of a pause that the service itself asks for
Verdict = Literal["well", "unwell", "late", "unknown"]  # what the end of a call tells
Clock = Callable[[], float]
logger = logging.getLogger("fanout")


class Paused(Exception):
    """The service was not called; the message says why it will not be for a while."""


class Unwell(Exception):
    """The service says that it is not well, and for how many seconds it wants no calls, if it does."""

    def __init__(self, message: str, pause: float = 0.0) -> None:
        super().__init__(message)
        self.pause = min(pause, LONGEST)


class Breaker:
    """Open after FAILURES in a row, or when the service says so; half-open when one call may probe."""

    def __init__(self, name: str, seconds: float, clock: Clock = time.monotonic) -> None:
        """Open for `seconds`, where 0 is never; `name` is for the log."""
        self._name, self._seconds, self._clock = name, seconds, clock
        self._failures = 0
        self._reason = ""
        self._until = 0.0
        self._closed, self._probing = True, False
        self._lock = Lock()

    @property
    def state(self) -> str:
        """What a call would find now: `closed`, `open` or `half-open`."""
        if self._closed:
            return "closed"
        return "open" if self._probing or self._clock() < self._until else "half-open"

    def guard(
        self,
        patience: float,
        judge: Callable[[BaseException], Verdict] = lambda _: "unwell",
        describe: Callable[[BaseException], str] = repr,
    ) -> "_Guard":
        """Make a call in the block of this, and learn from how it ends. Raises Paused instead if open.

        One that `judge` finds `late` is a failure only if the service had `patience` seconds for it.
        """
        return _Guard(self, patience, judge, describe)

    def _fail(self, reason: str, pause: float) -> None:
        with self._lock:
            self._failures += 1
            self._reason = reason
            if not self._seconds or (self._closed and self._failures < FAILURES and not pause):
                return
            seconds = pause or self._seconds
            self._until = max(self._until, self._clock() + seconds)
            if self._closed:
                logger.warning("%s is paused for %g s: %s", self._name, seconds, reason)
            self._closed = False

    def _succeed(self) -> None:
        with self._lock:
            if not self._closed:
                logger.warning("%s is back", self._name)
            self._closed, self._failures = True, 0


class _Guard:
    """What `guard` gives: as a generator, it would take three times as long."""

    def __init__(self, breaker: Breaker, patience: float, judge: Any, describe: Any) -> None:
        self._breaker, self._patience = breaker, patience
        self._judge, self._describe = judge, describe

    def __enter__(self) -> None:
        breaker, self._probing = self._breaker, False
        if not breaker._closed:
            with breaker._lock:
                if breaker.state == "open":
                    raise Paused(f"is not called for a while: {breaker._reason}")
                self._probing = not breaker._closed
                breaker._probing |= self._probing
        self._start = breaker._clock()

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        breaker, verdict = self._breaker, self._judge(error) if error else "well"
        late = verdict == "late" and breaker._clock() - self._start >= self._patience
        if verdict == "well" and breaker._failures:  # an open one has some
            breaker._succeed()
        elif error and (verdict == "unwell" or late):
            pause = error.pause if isinstance(error, Unwell) else 0.0
            breaker._fail(self._describe(error), pause)
        if self._probing:
            breaker._probing = False
