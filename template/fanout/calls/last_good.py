"""The last good answer of each service: reused while it is fresh, shown when a call fails.

It is kept in a bounded map of this process. If the processes share a cache, threads write it through
to that, and read it from there, but only after a failure: a page that has all it needs neither asks
the cache nor waits for it.
"""

import json
import time
from collections import OrderedDict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from hashlib import sha256
from threading import BoundedSemaphore, Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import caches

from fanout.calls.answer import Answer, BadAnswer, readings
from fanout.policies.breaker import Breaker

Key = tuple[str, str, str]  # the service's name and URL, and the viewer's id if it is personal
CACHE_SECONDS = 0.25  # the most that a page waits for the cache
MAX_ANSWERS = 10_000
MAX_BYTES = 32 * 1024 * 1024  # and what `max_bytes` may be, so that one answer has room


class JsonSerializer:
    """What the cache `fanout` in CACHES does with values; Redis counts with whole numbers as they are.

    Django's own would run what somebody else has written there: a pickle is a program.
    """

    def dumps(self, value: object) -> bytes:
        """Text for a value of lists, numbers and texts."""
        return json.dumps(value, ensure_ascii=False).encode()

    def loads(self, data: bytes) -> Any:
        """The value. Raises ValueError, or RecursionError."""
        return json.loads(data)


def is_shared() -> bool:
    """Whether other processes see what this one writes."""
    return not str(settings.CACHES["fanout"]["BACKEND"]).endswith(".LocMemCache")


class _Kept(NamedTuple):
    body: bytes
    at: float  # when the service said so, as in `time.time()`
    written: float  # when the cache last got one of these


class LastGood:
    """At most MAX_ANSWERS with MAX_BYTES in all; the one not renewed for longest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[Key, _Kept] = OrderedDict()
        self._bytes = 0
        self._lock = Lock()
        self._breaker = Breaker("the cache", 5.0)
        self._threads = ThreadPoolExecutor(2, "fanout-cache")
        self._places = BoundedSemaphore(32)

    def keep(self, key: Key, body: bytes, stale_for: float) -> None:
        """Keep a good answer; write it through if none was for a quarter of `stale_for` seconds."""
        now = time.time()
        with self._lock:
            written = self._kept[key].written if key in self._kept else 0.0
            due = stale_for > 0 and not 0 <= now - written < stale_for / 4 and is_shared()
            value = (now, body.decode("latin-1")) if due else None
            if due and self._start(caches["fanout"].set, _name(key), value, stale_for):
                written = now
            self._put(key, _Kept(body, now, written))

    def find(self, key: Key, seconds: float) -> Answer | None:
        """The answer that this process kept, unless it is older than `seconds`."""
        with self._lock:
            kept = self._kept.get(key)
        with suppress(BadAnswer):  # nested so deep that it was read only with more stack left
            if kept and 0 <= time.time() - kept.at < seconds:  # below 0 if the clock was set back
                return readings.read(kept.body, kept.at)
        return None

    def recall(self, key: Key, seconds: float) -> Future[Answer | None]:
        """What `find` says, after a look into the cache if it says nothing; never an exception."""
        answer = self.find(key, seconds)
        if answer or not seconds or not is_shared():
            return _done(answer)
        return self._start(self._read, key, seconds) or _done(None)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes = 0

    def _read(self, key: Key, seconds: float) -> Answer | None:
        match caches["fanout"].get(_name(key)):
            case [float(at), str(text)] if readings.read(
                body := text.encode("latin-1", "replace"), at
            ):
                at = min(time.time(), at)  # another machine's clock may be ahead
                with self._lock:
                    if key not in self._kept or self._kept[key].at < at:
                        self._put(key, _Kept(body, at, at))
        return self.find(key, seconds)

    def _put(self, key: Key, kept: _Kept) -> None:
        old = self._kept.pop(key, None)
        self._kept[key] = kept
        self._bytes += len(kept.body) - (len(old.body) if old else 0)
        while self._bytes > MAX_BYTES or len(self._kept) > MAX_ANSWERS:
            _, oldest = self._kept.popitem(last=False)
            self._bytes -= len(oldest.body)

    def _start(self, function: Callable[..., Any], *arguments: Any) -> Future[Any] | None:
        """Run `function` in a thread, unless too much waits; errors are None, the breaker logs them."""

        def run() -> Any:
            with suppress(Exception), self._breaker.guard(0.0):
                return function(*arguments)

        if not self._places.acquire(blocking=False):
            return None
        future = self._threads.submit(run)
        future.add_done_callback(lambda _: self._places.release())
        return future


def _done(answer: Answer | None) -> Future[Answer | None]:
    future: Future[Answer | None] = Future()
    future.set_result(answer)
    return future


def _name(key: Key) -> str:
    """The key in the cache: of a length and in characters that every cache takes."""
    return f"fanout:{key[0]}:{sha256(repr(key).encode()).hexdigest()}"


last_good = LastGood()
