"""A retry budget: a second try for one call in five at most, so that none is pushed over."""

import time
from collections.abc import Callable
from threading import Lock

RATIO = 0.2  # retries per call, as in Finagle
FLOOR = 0.1  # retries per second, whatever the calls
MOST = 10.0  # retries that can be saved up: calls of long ago do not count


class RetryBudget:
    """Every call puts in RATIO of a retry, every second FLOOR of one; a retry takes one out."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._at = clock, clock()
        self._balance = 1.0
        self._lock = Lock()

    def deposit(self) -> None:
        with self._lock:
            self._balance += RATIO

    def withdraw(self) -> bool:
        """Take out one retry. Whether there was one."""
        with self._lock:
            now = self._clock()
            self._balance, self._at = min(MOST, self._balance + FLOOR * (now - self._at)), now
            self._balance -= (enough := self._balance >= 1)
            return enough
