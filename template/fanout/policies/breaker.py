"""A breaker: it leaves a service alone for a while if it is not well, then tries one call."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock
from typing import Literal

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

    @contextmanager
    def guard(
        self,
        patience: float,
        judge: Callable[[BaseException], Verdict] = lambda _: "unwell",
        describe: Callable[[BaseException], str] = repr,
    ) -> Iterator[None]:
        """Make a call in the block, and learn from how it ends. Raises Paused instead if open.

        One that `judge` finds `late` is a failure only if the service had `patience` seconds for it.
        """
        with self._lock:
            state = self.state
            if state == "open":
                raise Paused(f"is not called for a while: {self._reason}")
            self._probing = self._probing or state == "half-open"
        start = self._clock()
        try:
            yield
        except BaseException as error:
            verdict = judge(error)
            if verdict == "well":
                self._succeed()
            elif verdict == "unwell" or (verdict == "late" and self._clock() - start >= patience):
                self._fail(describe(error), error.pause if isinstance(error, Unwell) else 0.0)
            raise
        else:
            self._succeed()
        finally:
            if state == "half-open":
                self._probing = False

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
