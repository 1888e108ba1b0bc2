"""What a service's answer means: read once from hostile bytes, and safe to show."""

import time
from collections import OrderedDict
from collections.abc import Hashable, Mapping
from dataclasses import dataclass, field
from threading import Lock
from typing import Any, NamedTuple

import httpx

from fanout.calls.mistake import BadAnswer, call, name
from fanout.calls.section import check_section, read_json
from fanout.calls.service import Service

MAX_VALUES = 50_000  # of an answer; in memory each takes up to 80 bytes more than its text
OVERHEAD = 2048  # bytes that an answer takes at least
MAX_READ = 128 * 1024 * 1024  # bytes that all read answers of this process and their HTML may take
MOST_READ = 1000  # of them: more that never come again are in the way of what does
_PLAIN = bytes(set(range(256)) - set(b"{[<,:"))  # what begins no value in JSON, XML or CSV
_REQUEST = httpx.Request("GET", "")  # nobody's: what `read` gives depends on the answer alone


class Reply(NamedTuple):
    """What came, unpacked: this is kept, and can be read at any time."""

    status: int
    headers: tuple[tuple[bytes, bytes], ...]  # but for cookies and those that tell the time
    body: bytes

    def make_response(self) -> httpx.Response:
        """The same, as httpx has it. Who asked is not in it: `read` knows the answer alone."""
        more: Any = {"headers": self.headers, "content": self.body, "request": _REQUEST}
        return httpx.Response(self.status, **more)


@dataclass(slots=True)  # a frozen one takes twice as long to make
class Answer:
    """What a service said, and when; whoever shares it only reads it."""

    status: int | None  # None if there was no need to ask
    data: Mapping[str, Any]
    at: float  # seconds, as in `time.time()`, which all processes and machines share
    html: dict[Hashable, str] = field(default_factory=dict, compare=False)  # made of `data`

    @property
    def age(self) -> float:
        """Seconds since then; none if another machine's clock is ahead."""
        return max(0.0, time.time() - self.at)


def make_empty(status: int | None, at: float) -> Answer:
    """An answer with nothing to show."""
    return Answer(status, {"title": "", "items": []}, at)


class Readings:
    """The last answer to each request, read: if it comes again it is not read again.

    MOST_READ, or as many as fit into MAX_READ; the one that did not come for longest goes first.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[Hashable, tuple[Reply | bytes, Answer, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def read(self, service: Service, reply: Reply, at: float, key: Hashable = None) -> Answer:
        """The answer that `reply` was at that time, as `service` reads it. Raises BadAnswer.

        `key` tells the request from all others; without one, nothing is kept.
        """
        if reply.status in service.empty:
            return make_empty(reply.status, at)
        if not 200 <= reply.status < 300:  # kept when it was in `empty`
            raise BadAnswer(f"answered with status {reply.status}")
        key, came = key and (service, key), reply if service.reads else reply.body
        known, answer, weight = self._known.get(key, (None, None, 0))
        if answer and known == came:
            self._keep(key, came, answer, weight)
            return Answer(reply.status, answer.data, at, answer.html)
        values = len(reply.body.translate(None, _PLAIN))
        if values > MAX_VALUES:
            raise BadAnswer(f"answered with more than {MAX_VALUES} values")
        if service.reads:
            data = call(service, "read", reply.make_response())
            data = check_section(data, f"{name(service, 'read')} gives")
        else:
            data = check_section(read_json(reply.body), "answered with", parsed=True)
        answer = Answer(reply.status, data, at)
        weight = 20 * len(reply.body) + 80 * values  # at worst: 4 bytes a character, 16 if escaped
        weight += OVERHEAD + sum([120 + len(name) + len(value) for name, value in reply.headers])
        if key and weight <= MAX_READ:
            self._keep(key, came, answer, weight)
        return answer

    def _keep(self, key: Hashable, came: Reply | bytes, answer: Answer, weight: int) -> None:
        with self._lock:
            _, _, freed = self._known.pop(key, (None, None, 0))
            self._known[key] = (came, answer, weight)
            self._weight += weight - freed
            while self._weight > MAX_READ or len(self._known) > MOST_READ:
                _, (_, _, freed) = self._known.popitem(last=False)
                self._weight -= freed


readings = Readings()
