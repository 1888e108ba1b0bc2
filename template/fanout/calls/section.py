"""A section: what one service gives to a page, safe to show."""

import json
import re
from codecs import BOM_UTF8
from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import urlsplit

from msgspec import DecodeError
from msgspec.json import Decoder

from fanout.calls.mistake import BadAnswer

MAX_ITEMS = 1000  # more would keep the template, and with it every other page, busy for too long
_decode = Decoder().decode  # takes no NaN, no 1e999 and no half of a character
_CONTROL = re.compile(r"[\x00-\x20\x7f]")
_PLAIN = re.compile(r"(?:https?://|/)[!-Z\\^-~]*")  # nothing that has to be taken apart
_LINES = re.compile(rf"(?:{_PLAIN.pattern}\n)*")
GONE = (404, 410)  # statuses that are answers, not failures: what was is no more
State = Literal["ok", "stale", "failed"]


@dataclass(slots=True, kw_only=True)  # a frozen one takes twice as long to make
class Section:
    """The outcome of one call; times are in seconds, `start` counts from the page's beginning."""

    name: str  # the service's
    title: str  # the heading
    state: State
    start: float
    duration: float
    error: str = ""  # why the call failed: for logs and developers, not for visitors
    status: int | None = None  # of the service's answer
    age: float = 0.0  # of the answer
    data: Mapping[str, Any] = field(default_factory=dict)  # the answer, as `check_section` left it
    html: dict[Hashable, str] = field(default_factory=dict, repr=False, compare=False)  # of `data`

    @property
    def items(self) -> list[dict[str, Any]]:
        """What to show, each with a `title`; none for a failed section."""
        items: list[dict[str, Any]] = self.data.get("items", [])
        return items

    @property
    def empty(self) -> bool:
        """Whether the answer has nothing to show but a title."""
        shown = any(value for key, value in self.data.items() if key != "title")
        return self.state != "failed" and not shown


def read_json(body: bytes) -> Any:
    """What `body` means. Raises BadAnswer."""
    try:
        return _decode(body.removeprefix(BOM_UTF8))
    except (DecodeError, ValueError, RecursionError) as error:
        raise BadAnswer("answered with something that is not JSON") from error


def check_section(data: object, who: str, *, parsed: bool = False) -> dict[str, Any]:
    """`data` if it is a section, with items that are safe to show; who gave it is for BadAnswer.

    There are `items`, maybe none, and a `title`, maybe empty. Every item has a `title`; its `text`,
    `url` and `image` are strings or nothing, and the last two are safe. Unknown keys are left as
    they came; what was `parsed` is Unicode. Raises BadAnswer.
    """
    if not (type(data) is dict or isinstance(data, Mapping)):
        kind = None if data is None else type(data).__name__
        raise BadAnswer(f"{who} {kind}, which is no object with items")
    if "items" not in data:
        raise BadAnswer(f"{who} an object without items")
    if not isinstance(data.get("title", ""), str):
        raise BadAnswer(f"{who} a title that is not text")
    items = data["items"]
    if not isinstance(items, list | tuple):
        raise BadAnswer(f"{who} items that are no list")
    if len(items) > MAX_ITEMS:
        raise BadAnswer(f"{who} more than {MAX_ITEMS} items")
    items = items if parsed and _are_plain(items) else [_secure(item, who) for item in items]
    section = {"title": "", **data, "items": items}
    if not parsed:
        try:
            json.dumps(section, ensure_ascii=False, default=_open, skipkeys=True).encode()
        except (ValueError, RecursionError):
            raise BadAnswer(f"{who} text that is not Unicode") from None
    return section


def is_safe_link(url: str) -> bool:
    """Whether a browser may follow `url`: relative, or http(s), with nothing hidden in it."""
    if not url or _PLAIN.fullmatch(url):
        return True
    try:
        return not _CONTROL.search(url) and urlsplit(url).scheme in ("", "http", "https")
    except ValueError:
        return False


def _are_plain(items: Iterable[Any]) -> bool:
    """Whether `_secure` would find nothing in items of JSON: to look at all at once takes half as long."""
    try:
        texts = [text for item in items if (text := item.get("text"))]
        "".join([item["title"] for item in items] + texts)
        urls = [url for key in ("url", "image") for item in items if (url := item.get(key))]
        lines = "\n".join([*urls, ""])
    except (AttributeError, KeyError, TypeError):
        return False
    return lines.count("\n") == len(urls) and bool(_LINES.fullmatch(lines))


def _open(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _secure(item: object, who: str) -> Mapping[str, Any]:
    """An item without what is not safe. Raises BadAnswer."""
    if type(item) is not dict and not isinstance(item, Mapping):  # to ask Mapping takes time
        raise BadAnswer(f"{who} an item that is no object")
    get = item.get
    if not isinstance(get("title"), str):
        raise BadAnswer(f"{who} an item without a title that is text")
    text, url, image = get("text") or "", get("url") or "", get("image") or ""
    if not (isinstance(text, str) and isinstance(url, str) and isinstance(image, str)):
        key = next(k for k in ("text", "url", "image") if not isinstance(get(k) or "", str))
        raise BadAnswer(f"{who} an item with a {key} that is not text")
    shown = image.startswith("data:image/") or is_safe_link(image)  # maybe in the address itself
    safe = {"url": is_safe_link(url), "image": shown}
    return item if all(safe.values()) else {**item, **{key: "" for key in safe if not safe[key]}}
