"""What a service's answer means: read from hostile bytes, never more of them than the limit."""

import json
import math
import re
import time
import zlib
from collections.abc import Hashable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any
from urllib.parse import urlsplit

SMALL = 64 * 1024  # bytes: 128 answers of them, taken apart, are some 100 MiB at the worst
MAX_ITEMS = 1000  # more would keep the template, and with it every other page, busy for too long
_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")
_CONTROL = re.compile(r"[\x00-\x20\x7f]")


class BadAnswer(Exception):
    """A service answered, but not with a section; the message says what came instead."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service said, and when; whoever shares it only reads it."""

    data: dict[str, Any]
    at: float  # seconds, as in `time.time()`, which all processes and machines share
    memory: "Memory | None" = None  # of small answers that come again and again

    @property
    def age(self) -> float:
        """Seconds since then; none if another machine's clock is ahead."""
        return max(0.0, time.time() - self.at)


class Memory:
    """A small answer that may come again, and what templates make of it then."""

    def __init__(self, body: bytes) -> None:
        self._body = body
        self._seen = False
        self.html: dict[Hashable, str] = {}

    def recognize(self, data: Mapping[str, Any]) -> bool:
        """Whether it has come before and `data` is still what it said; from now on, it has."""
        if not self._seen:  # most answers of some services never come again
            self._seen = True
            return False
        with suppress(BadAnswer, RecursionError):
            return self._data == data
        return False

    @cached_property
    def _data(self) -> dict[str, Any]:
        return read_answer(self._body)


remember = lru_cache(maxsize=128)(Memory)


class Body:
    """The body of a response, unpacked piece by piece; every method raises BadAnswer."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        """Expect a body in the content coding `coding` of at most `max_bytes`, unpacked."""
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise BadAnswer(f"answered with the content coding {coding[:20]!r}")
        self._gzip = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
        self._max_bytes = max_bytes
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        if self._gzip:
            try:
                room = self._max_bytes + 1 - len(self._bytes)
                chunk = self._gzip.decompress(chunk, room)
            except zlib.error as error:
                raise BadAnswer(f"answered with broken gzip: {error}") from None
            if self._gzip.unused_data:
                raise BadAnswer("answered with broken gzip: it goes on after its end")
        self._bytes += chunk
        if len(self._bytes) > self._max_bytes:
            raise BadAnswer(f"answered with more than {self._max_bytes} bytes")

    def finish(self) -> bytes:
        """All of it, unpacked."""
        if self._gzip and not self._gzip.eof:
            raise BadAnswer("answered with broken gzip: it ends too early")
        return bytes(self._bytes)


def make_answer(body: bytes, at: float) -> Answer:
    """The answer that `body` was at that time. Raises BadAnswer."""
    return Answer(read_answer(body), at, remember(body) if len(body) <= SMALL else None)


def read_answer(body: bytes) -> dict[str, Any]:
    """The JSON object in `body`, with items that are safe to show.

    There are a `title` and `items`, maybe empty. Every item has a `title`; its `text`, `url` and
    `image` are strings if they are there, and the last two are safe or empty. Unknown keys are left
    as they came. Raises BadAnswer.
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
    items = data.setdefault("items", [])
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
