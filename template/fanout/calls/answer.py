"""What a service's answer means: read from hostile bytes, never more of them than the limit."""

import json
import math
import re
import time
import zlib
from collections import OrderedDict
from collections.abc import Hashable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any
from urllib.parse import urlsplit

STEP = 64 * 1024  # bytes that are read before others have a turn
MAX_CHUNKS = 10_000  # and one more for each KiB of the limit; each takes some 10 us
PACKING = 1024  # bytes that gzip may add to what it cannot make smaller
MAX_VALUES = 50_000  # of an answer; in memory each takes up to 80 bytes more than its text
MAX_ITEMS = 1000  # more would keep the template, and with it every other page, busy for too long
MAX_READ = 128 * 1024 * 1024  # bytes that all read answers of this process and their HTML may take
_PLAIN = bytes(set(range(256)) - set(b"{[<,:"))  # what begins no value in JSON, XML or CSV
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class BadAnswer(Exception):
    """A service answered, but not with a section; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, and when; whoever shares it only reads it."""

    data: Mapping[str, Any]
    at: float  # seconds, as in `time.time()`, which all processes and machines share
    html: dict[Hashable, str] = field(default_factory=dict, compare=False)  # made of `data`

    @property
    def age(self) -> float:
        """Seconds since then; none if another machine's clock is ahead."""
        return max(0.0, time.time() - self.at)


class Readings:
    """The answers that were read, by their bytes: one that comes again is not read again.

    There are as many as fit into MAX_READ; the one that did not come for longest goes first.
    """

    def __init__(self) -> None:
        self._known: OrderedDict[bytes, tuple[Answer, int]] = OrderedDict()
        self._weight = 0
        self._lock = Lock()

    def read(self, body: bytes, at: float, *, storable: bool = True) -> Answer:
        """The answer that `body` was at that time. Raises BadAnswer."""
        with self._lock:
            if body in self._known:
                self._known.move_to_end(body)
                known, _ = self._known[body]
                return Answer(known.data, at, known.html)
        values = len(body.translate(None, _PLAIN))
        if values > MAX_VALUES:
            raise BadAnswer(f"answered with more than {MAX_VALUES} values")
        answer = Answer(read_answer(body), at)
        weight = 20 * len(body) + 80 * values  # at the worst: 4 bytes a character, 16 if escaped
        if storable and weight <= MAX_READ:
            self._keep(body, answer, weight)
        return answer

    def clear(self) -> None:
        with self._lock:
            self._known.clear()
            self._weight = 0

    def _keep(self, body: bytes, answer: Answer, weight: int) -> None:
        with self._lock:
            if body not in self._known:  # another thread may have read it meanwhile
                self._known[body] = (answer, weight)
                self._weight += weight
            while self._weight > MAX_READ:
                _, (_, freed) = self._known.popitem(last=False)
                self._weight -= freed


readings = Readings()


class Body:
    """The body of a response, unpacked piece by piece; every method raises BadAnswer."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        """Expect a body in the content coding `coding` of at most `max_bytes`, unpacked."""
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise BadAnswer(f"answered with the content coding {coding[:20]!r}")
        self._gzip = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
        self._max_bytes = max_bytes
        self._bytes = bytearray()
        self._packed = self._chunks = self._work = 0

    def add(self, chunk: bytes) -> Iterator[None]:
        """Take the next chunk, step by step: after each step, others may have a turn.

        A step is STEP bytes or 64 chunks at most.
        """
        self._packed += len(chunk)
        self._chunks += 1
        self._work += STEP // 64
        if self._chunks > MAX_CHUNKS + self._max_bytes // 1024:
            raise BadAnswer(f"answered in more than {self._chunks - 1} chunks")
        while chunk:
            piece, rest = self._unpack(chunk)
            self._bytes += piece
            if max(len(self._bytes), self._packed - PACKING) > self._max_bytes:
                raise BadAnswer(f"answered with more than {self._max_bytes} bytes")
            self._work += max(len(piece), len(chunk) - len(rest))
            chunk = rest
            if self._work >= STEP:
                self._work = 0
                yield

    def finish(self) -> bytes:
        """All of it, unpacked."""
        if self._gzip and not self._gzip.eof:
            raise BadAnswer("answered with broken gzip: it ends too early")
        return bytes(self._bytes)

    def _unpack(self, chunk: bytes) -> tuple[bytes, bytes]:
        """The next STEP bytes of the body at most, and what is left of `chunk`."""
        chunk, rest = chunk[:STEP], chunk[STEP:]
        if not self._gzip:
            return chunk, rest
        try:
            piece = self._gzip.decompress(chunk, min(STEP, self._max_bytes + 1 - len(self._bytes)))
        except zlib.error as error:
            raise BadAnswer(f"answered with broken gzip: {error}") from None
        if self._gzip.unused_data:
            raise BadAnswer("answered with broken gzip: it goes on after its end")
        return piece, self._gzip.unconsumed_tail + rest


def read_answer(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, with items that are safe to show.

    There are `items`, maybe none, and a `title`, maybe empty. Every item has a `title`; its `text`,
    `url` and `image` are strings if they are there, and the last two are safe or empty. Unknown
    keys are left as they came. Raises BadAnswer.
    """
    try:
        data = json.loads(body.decode("utf-8-sig"), parse_float=_parse, parse_constant=_parse)
        if _SURROGATE.search(body):
            json.dumps(data, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise BadAnswer("answered with something that is not JSON") from error
    if not isinstance(data, dict):
        raise BadAnswer("answered with JSON that is not an object")
    if not isinstance(data.setdefault("title", ""), str):
        raise BadAnswer("answered with a title that is not text")
    if "items" not in data:
        raise BadAnswer("answered with an object without items")
    items = data["items"]
    if not isinstance(items, list) or not all(_is_item(item) for item in items):
        raise BadAnswer("answered with items that are not a list of titled objects")
    if len(items) > MAX_ITEMS:
        raise BadAnswer(f"answered with more than {MAX_ITEMS} items")
    for item in items:
        if not is_safe_link(item.get("url", "")):
            item["url"] = ""
        if not is_safe_image(item.get("image", "")):
            item["image"] = ""
    return data


def read_retry_after(value: str) -> float:
    """Seconds from now, 0 for none: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after."""
    if value.isascii() and value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0


def is_safe_link(url: str) -> bool:
    """Whether a browser may follow `url`: relative, or http(s), with nothing hidden in it."""
    try:
        return not _CONTROL.search(url) and urlsplit(url).scheme in ("", "http", "https")
    except ValueError:
        return False


def is_safe_image(url: str) -> bool:
    """Whether a browser may show `url`: a safe link, or a picture in the address itself."""
    return url.startswith("data:image/") or is_safe_link(url)


def _is_item(item: object) -> bool:
    return (
        isinstance(item, dict)
        and "title" in item
        and all(isinstance(item.get(key, ""), str) for key in ("title", "text", "url", "image"))
    )


def _parse(number: str) -> float:
    """A number, but not NaN, not Infinity, and not 1e999, which would be that."""
    if not math.isfinite(value := float(number)):
        raise ValueError(f"{number} is not JSON")
    return value
