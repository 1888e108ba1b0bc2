"""The last good answer of each service: reused while it is fresh, shown when a call fails.

It is kept in a bounded map of this process. If the processes share a cache, threads write it through
to that, and read it from there, but only after a failure: a page that has all it needs neither asks
the cache nor waits for it.
"""

import json
import os
import time
from collections import Counter, OrderedDict, defaultdict
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor, wait
from contextlib import suppress
from threading import BoundedSemaphore, Lock
from typing import Any, NamedTuple

from django.conf import settings
from django.core.cache import caches

from fanout.calls.answer import OVERHEAD, Answer, Readings, Reply, readings
from fanout.calls.body import keep_headers
from fanout.calls.mistake import BadAnswer
from fanout.calls.service import MAX_BYTES, Service, get_service
from fanout.policies.breaker import Breaker

Key = tuple[str, str]  # the service's name, and the digest of the request
CACHE_SECONDS = 0.25  # the most that a page waits for the cache
MAX_KEPT = MAX_BYTES + 1024 * 1024  # bytes of all answers: the largest has room
MAX_FRESH = 3600.0  # seconds for which a service may ask that its answer saves calls
MAX_STALE = 24 * 3600.0  # seconds for which a service may ask that its answer is shown
_GONE = Reply(404, (), b"")


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


def load() -> None:
    """Load the cache's client, and connect this thread's: a page does not wait so long."""
    caches["fanout"].get("fanout")


def get_lifetimes(service: Service, said: dict[str, float], age: str) -> tuple[float, float]:
    """Seconds of being fresh, and of being stale at most: the class's, or else the answer's."""
    fresh, stale = service.cache_for, service.stale_for
    if said and not service.says("cache_for"):
        already = float(age) if age.isascii() and age.isdigit() else 0.0
        fresh = min(said.get("s-maxage", said.get("max-age", 0.0)) - already, MAX_FRESH)
        fresh = 0.0 if "no-cache" in said else max(0.0, fresh)
    if said and not service.says("stale_for"):
        stale = min(said.get("stale-if-error", stale), MAX_STALE)
        stale = 0.0 if "must-revalidate" in said or "proxy-revalidate" in said else stale
    return float(fresh), float(stale)


class _Kept(NamedTuple):
    reply: Reply
    at: float  # when the service said so, as in `time.time()`
    fresh_for: float  # seconds for which it makes a call needless
    stale_for: float  # seconds for which it may be shown if a call fails
    weight: int  # bytes, about
    written: float = 0.0  # when the cache last got one of these


class LastGood:
    """As many as fit into MAX_KEPT: of the service with most bytes, the one not renewed for longest goes."""

    def __init__(self) -> None:
        self._kept: dict[str, OrderedDict[Key, _Kept]] = defaultdict(OrderedDict)
        self._bytes: Counter[str] = Counter()
        self._lock = Lock()
        self._breaker = Breaker("the cache", 5.0)
        self._threads = ThreadPoolExecutor(2, "fanout-cache")
        self._places = BoundedSemaphore(32)

    def connect(self) -> None:
        """Let the threads connect before the first page; a cache that does not answer is not waited for."""
        wait(filter(None, [self._start(load) for _ in range(2)]), 5.0)

    def keep(self, key: Key, reply: Reply, fresh_for: float, stale_for: float) -> None:
        """Keep a good answer for so many seconds; write it through four times in `stale_for` at most."""
        now = time.time()
        with self._lock:
            written = old.written if (old := self._kept[key[0]].get(key)) else 0.0
            due = stale_for > 0 and not 0 <= now - written < stale_for / 4
            if due and (not is_shared() or self._start(_write, key, reply, now, stale_for)):
                written = now
            self._put(key, _Kept(reply, now, fresh_for, stale_for, _weigh(reply), written))

    def drop(self, key: Key) -> None:
        """Forget what was kept, here and in the cache."""
        with self._lock:
            self._put(key, _Kept(_GONE, time.time(), 0.0, 0.0, OVERHEAD))  # newer than the cache's
            self._kept[key[0]].move_to_end(key, last=False)  # goes before any good answer
        if is_shared():
            self._start(caches["fanout"].delete, _name(key))

    def find(self, key: Key, service: Service, *, stale: bool = False) -> Answer | None:
        """The answer that this process kept, if it is fresh, or at least not too `stale`."""
        kept = known.get(key) if (known := self._kept.get(key[0])) else None
        seconds = 0.0 if not kept else kept.stale_for if stale else kept.fresh_for
        if kept and seconds and 0 <= time.time() - kept.at < seconds:  # below 0 if set back
            with suppress(BadAnswer):  # nested so deep that it was read only with more stack left
                return readings.read(service, kept.reply, kept.at, key)
        return None

    def recall(self, key: Key, service: Service) -> Future[Answer | None]:
        """A stale one, after a look into the cache if there is none here; never an exception."""
        answer = self.find(key, service, stale=True)
        if answer or not is_shared():
            return make_done(answer)
        return self._start(self._read, key, service) or make_done(None)

    def clear(self) -> None:
        with self._lock:
            self._kept.clear()
            self._bytes.clear()

    def _read(self, key: Key, service: Service) -> Answer | None:
        value = caches["fanout"].get(_name(key))
        with suppress(BadAnswer, ValueError):  # of another program, or before a deploy
            match value:
                case [float(at), float(stale_for), int(status), list(headers), str(text)]:
                    pairs = [[str(part).encode("latin-1") for part in header] for header in headers]
                    own = keep_headers((name.lower(), value) for name, value in pairs)
                    reply = Reply(status, own, text.encode("latin-1"))
                    readings.read(service, reply, at, key)  # raises if it is none
                    at = min(time.time(), at)  # another machine's clock may be ahead
                    most = service.stale_for if service.says("stale_for") else MAX_STALE
                    with self._lock:
                        if not (old := self._kept[key[0]].get(key)) or old.at < at:
                            stale_for = min(stale_for, most)
                            self._put(key, _Kept(reply, at, 0.0, stale_for, _weigh(reply), at))
        return self.find(key, service, stale=True)

    def _put(self, key: Key, kept: _Kept) -> None:
        name, answers = key[0], self._kept[key[0]]
        old = answers.get(key)
        answers[key] = kept  # never away: `find` takes no lock
        answers.move_to_end(key)
        self._bytes[name] += (more := kept.weight - (old.weight if old else 0))
        while more > 0 and self._bytes.total() > MAX_KEPT:
            [(largest, _)] = self._bytes.most_common(1)
            _, oldest = self._kept[largest].popitem(last=False)
            self._bytes[largest] -= oldest.weight

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


def make_done(answer: Answer | None) -> Future[Answer | None]:
    """A future that need not be waited for."""
    future: Future[Answer | None] = Future()
    future.set_result(answer)
    return future


def _write(key: Key, reply: Reply, at: float, stale_for: float) -> None:
    headers = [[part.decode("latin-1") for part in header] for header in reply.headers]
    value = (at, stale_for, reply.status, headers, reply.body.decode("latin-1"))
    caches["fanout"].set(_name(key), value, stale_for)


def _weigh(reply: Reply) -> int:
    sizes = [len(name) + len(value) for name, value in reply.headers]
    return OVERHEAD + len(reply.body) + sum(sizes)


def _name(key: Key) -> str:
    """The key in the cache: of a length and in characters that every cache takes."""
    return f"fanout:{key[0]}:{key[1]}"


last_good = LastGood()


def _begin_anew() -> None:
    """In a forked child nobody is there who held a lock, and no thread takes what waits for one."""
    get_service.cache_clear()
    vars(readings).update(vars(Readings()))
    vars(last_good).update(vars(LastGood()))


getattr(os, "register_at_fork", dict)(after_in_child=_begin_anew)  # Windows has no forks
