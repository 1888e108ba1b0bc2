"""The deadline of a page, and the share of it that one call gets."""

import math
import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

NEARLY = 0.9  # of the most time a call may have: enough to tell something about the service
SHARE = 0.85  # of what is left: the rest is for putting the page together, as in KrakenD
_end: ContextVar[float] = ContextVar("end", default=math.inf)


class Deadline:
    """The most that one page may take, counted from now."""

    def __init__(self, seconds: float) -> None:
        self.seconds, self._start = seconds, time.monotonic()

    def elapsed(self) -> float:
        """Seconds since the page began."""
        return time.monotonic() - self._start

    def budget(self, timeout: float) -> float:
        """Seconds that a call may take which starts now: `timeout`, or less if little is left."""
        return max(0.0, min(timeout, SHARE * (self.seconds - self.elapsed())))


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let all waits in the block take `seconds` in all, also those that go on in a thread."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def time_left() -> float:
    """Seconds until the `time_limit` is over, negative after it; infinite outside of any."""
    return _end.get() - time.monotonic()
