"""A bulkhead: only so many calls of a service at once, so that a slow one cannot take everything."""

from collections import deque
from concurrent.futures import Future
from threading import Lock

AT_ONCE: Future[None] = Future()  # the turn of whoever need not wait: to ask one takes time
AT_ONCE.set_result(None)


class Full(Exception):
    """No place became free in time; the message says how many there are."""


class Bulkhead:
    """So many places in this process, for all its threads and event loops together."""

    def __init__(self, places: int) -> None:
        self._free = places
        self._queue: deque[Future[None]] = deque()
        self._lock = Lock()

    def enter(self) -> Future[None]:
        """A turn, which is done once it has a place; whatever comes of it, it has to `leave`."""
        with self._lock:
            if self._free:
                self._free -= 1
                return AT_ONCE
            turn: Future[None] = Future()
            self._queue.append(turn)
        return turn

    def leave(self, turn: Future[None]) -> None:
        """Stop waiting, or hand the place to the first who still waits for one."""
        with self._lock:
            if turn is not AT_ONCE and turn.cancel():
                return
            while self._queue:
                following = self._queue.popleft()
                if following.set_running_or_notify_cancel():
                    following.set_result(None)
                    return
            self._free += 1
