"""A breaker: it leaves a service alone for a while after repeated failures, then tries one call."""

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

FAILURES = 5  # in a row
logger = logging.getLogger("fanout")


class Paused(Exception):
    """The service was not called; the message says for how long it will not be, and why."""


class Breaker:
    """Closed while all is well; open after FAILURES in a row; half-open when one call may probe."""

    def __init__(
        self, name: str, seconds: float, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """Open for `seconds`, where 0 is never; `name` is for the log."""
        self._name = name
        self._seconds = seconds
        self._clock = clock
        self._failures = 0
        self._reason = ""
        self._until = 0.0
        self._probing = False
        self._lock = Lock()

    @property
    def state(self) -> str:
        """What a call would find now: `closed`, `open` or `half-open`."""
        if self._failures < FAILURES or not self._seconds:
            return "closed"
        return "open" if self._probing or self._clock() < self._until else "half-open"

    @contextmanager
    def guard(
        self,
        patience: float,
        describe: Callable[[BaseException], str] = repr,
        timeouts: tuple[type[Exception], ...] = (TimeoutError,),
    ) -> Iterator[None]:
        """Make a call in the block, and learn from how it ends. Raises Paused instead if open.

        A call that ended without an answer, in one of `timeouts` or with its page, counts as a failure
        only if the service had `patience` seconds for it. `describe` says what went wrong.
        """
        with self._lock:
            state = self.state
            if state == "open":
                raise Paused(f"is not called after {self._failures} failures: {self._reason}")
            self._probing = self._probing or state == "half-open"
        start = self._clock()
        try:
            yield
        except BaseException as error:
            answered = isinstance(error, Exception) and not isinstance(error, timeouts)
            if answered or self._clock() - start >= patience:
                self._fail(describe(error))
            raise
        else:
            self._succeed()
        finally:
            if state == "half-open":
                self._probing = False

    def _fail(self, reason: str) -> None:
        with self._lock:
            self._failures += 1
            self._reason = reason
            self._until = self._clock() + self._seconds
            if self._failures == FAILURES and self._seconds:
                logger.warning("%s is paused for %g s: %s", self._name, self._seconds, reason)

    def _succeed(self) -> None:
        with self._lock:
            if self.state != "closed":
                logger.warning("%s is back", self._name)
            self._failures = 0
