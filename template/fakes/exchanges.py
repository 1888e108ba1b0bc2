"""What the team says that its services answer: `homepage/fakes/<name>.json`, a list of exchanges.

`method`, `path` (with a query, or not) and GraphQL's `operation` say to which requests an exchange
is the answer; `status`, `headers`, and `json` or `text` are the answer. `page` is that of the site
for which it was recorded, if that is not the homepage.
"""

import json
import re
from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from types import NoneType
from typing import Any
from urllib.parse import parse_qsl, unquote

import httpx
from starlette.responses import Response

from fanout.calls.mistake import BadAnswer
from fanout.calls.section import read_json

Exchange = dict[str, Any]
Finding = tuple[str, bool]  # a sentence, and whether it is of something that may break a reader


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_sendable(value: Any) -> bool:
    return _is_text(value) and value.isprintable() and max(value, default="") <= "ÿ"


KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "method": ("a method in capitals", lambda value: _is_text(value) and value.isupper()),
    "path": ("text", _is_text),
    "operation": ("text", _is_text),
    "status": ("a number from 200 to 599", lambda v: type(v) is int and 200 <= v <= 599),
    "headers": (
        "an object of names and texts, each on one line",
        lambda v: isinstance(v, dict) and all(map(_is_sendable, [*v, *v.values()])),
    ),
    "json": ("anything", lambda value: True),
    "text": ("text", _is_text),
    "page": ("text", _is_text),
}
# They tell how a body was sent, which is the fakes' own affair.
TRANSFER = {"connection", "content-encoding", "content-length", "transfer-encoding"}
# What is recorded of headers: how long an answer holds, what it is, and how a list goes on.
RECORDED = re.compile(
    "cache-control|content-(language|range|type)|link|.*(count|cursor|page|total).*"
)
MAX_FILE = 1024 * 1024  # bytes
WORDS = {dict: "an object", list: "an array", str: "text", bool: "true or false", NoneType: "null"}


def read_exchanges(file: Path) -> list[Exchange]:
    """Those of a file. Raises ValueError, which says what is wrong with it."""
    try:
        exchanges = json.loads(file.read_text("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise ValueError(f"is not JSON: {error}.") from None
    if not isinstance(exchanges, list) or not all(isinstance(one, dict) for one in exchanges):
        raise ValueError("is not a list of objects.")
    for number, exchange in enumerate(exchanges, 1):
        for key, value in exchange.items():
            if key not in KINDS:
                keys = ", ".join(KINDS)
                raise ValueError(f"has {key!r} in exchange {number}; there are {keys}.")
            words, accepts = KINDS[key]
            if not accepts(value):
                text = json.dumps(value)
                raise ValueError(f"has {text} as {key!r} of exchange {number}; it is {words}.")
        if {"json", "text"} <= exchange.keys():
            raise ValueError(f"has 'json' and 'text' in exchange {number}; one is the body.")
    return exchanges


def describe(method: str, path: str, body: bytes) -> Exchange:
    """As an exchange has it; GraphQL sends the operation's name in the body."""
    try:
        operation = json.loads(body)["operationName"]
    except (ValueError, LookupError, TypeError):
        operation = None
    asked = {"method": method, "path": path.lstrip("/")}
    return {**asked, "operation": operation} if isinstance(operation, str) else asked


def show(name: str, exchange: Exchange) -> str:
    """The request of an exchange, in words."""
    call = f"{exchange.get('method', 'GET')} /{name}/{exchange.get('path', '').lstrip('/')}"
    return f"{call} ({exchange['operation']})" if "operation" in exchange else call


def answers(exchange: Exchange, asked: Exchange, query: list[tuple[str, str]]) -> bool:
    """Whether it is one to that request, which may have more in its query."""
    path, _, wanted = exchange.get("path", "").lstrip("/").partition("?")
    return (
        exchange.get("method", "GET") in (asked["method"], asked["method"].replace("HEAD", "GET"))
        and unquote(path) == unquote(asked["path"])
        and set(parse_qsl(wanted, keep_blank_values=True)) <= set(query)
        and exchange.get("operation", asked.get("operation")) == asked.get("operation")
    )


def respond(exchange: Exchange) -> Response:
    """The answer of an exchange."""
    is_json, status = "json" in exchange, exchange.get("status", 200)
    text = json.dumps(exchange["json"]) if is_json else exchange.get("text", "")
    headers = exchange.get("headers", {}).items()
    return Response(
        "" if status in (204, 304) else text,
        status,
        {name: value for name, value in headers if name.lower() not in TRANSFER},
        "application/json" if is_json else None,
    )


def make_exchange(asked: Exchange, came: httpx.Response, mask: Callable[[str], str]) -> Exchange:
    """One to be kept. Raises ValueError if what came is no text."""
    said = {n: mask(v) for n, v in came.headers.items() if RECORDED.fullmatch(n)}
    headers = {name: value for name, value in said.items() if _is_sendable(value)}
    exchange = {**asked, "status": came.status_code, "headers": headers}
    body = mask(came.content.decode())
    try:
        # In the order of names: services need not keep to theirs.
        data = json.loads(json.dumps(read_json(body.encode()), sort_keys=True))
    except BadAnswer:
        return {**exchange, "text": body}
    return {**exchange, "json": data}


def find_exchange(exchanges: list[Exchange], asked: Exchange) -> Exchange | None:
    """The first that answers the request of an exchange."""
    path, _, query = asked["path"].partition("?")
    pairs = parse_qsl(query, keep_blank_values=True)
    return next((one for one in exchanges if answers(one, {**asked, "path": path}, pairs)), None)


def add_exchange(exchanges: list[Exchange], new: Exchange) -> list[Exchange]:
    """With `new` in place of the one to the same request; no other may answer before it."""
    known = find_exchange(exchanges, new)
    first = len(exchanges) if known is None else exchanges.index(known)
    others = [one for one in exchanges[first:] if show("", one) != show("", new)]
    return [*exchanges[:first], new, *others]


def write_exchanges(file: Path, exchanges: list[Exchange]) -> None:
    """Write all of them, or nothing. Raises OSError, or ValueError if they are too many."""
    text = json.dumps(exchanges, indent=2, ensure_ascii=False)
    data = f"{text}\n".encode(errors="backslashreplace")  # half a character, as JSON has it
    if len(data) > MAX_FILE:
        raise ValueError(f"{file.name} would have more than {MAX_FILE} bytes")
    file.parent.mkdir(parents=True, exist_ok=True)
    half = file.with_suffix(".half")
    try:
        half.write_bytes(data)
        half.replace(file)
    finally:
        half.unlink(missing_ok=True)


def compare(was: Exchange, now: Exchange) -> list[Finding]:
    """How the answer of one exchange differs in shape from that of another. Raises RecursionError."""
    facts, others = _get_facts(was), _get_facts(now)
    for what, fact in facts.items():
        if fact != others[what]:
            return [(f"the {what} was {fact}, is {others[what]}", True)]
    return [*_compare([was["json"]], [now["json"]], "")] if "json" in was else []


def _get_facts(exchange: Exchange) -> dict[str, object]:
    default = "application/json" if "json" in exchange else "none"
    media_type = httpx.Headers(exchange.get("headers", {})).get("content-type", default)
    return {
        "status": exchange.get("status", 200),
        "media type": media_type.partition(";")[0].strip().lower(),
        "body": "JSON" if "json" in exchange else "text",
    }


def _compare(was: list[Any], now: list[Any], path: str) -> Iterator[Finding]:
    """How all values at a path differ in shape from those that were recorded there."""
    kinds, kinds_now = (
        [*dict.fromkeys(WORDS.get(type(value), "a number") for value in values)]
        for values in (was, now)
    )
    where = path or "the answer"
    if other := [kind for kind in kinds_now if kind not in kinds]:
        # Of null alone nobody can tell what else there may be.
        yield f"{where} was {' or '.join(kinds)}, is {' or '.join(other)}", kinds != ["null"]
    objects, objects_now = ([v for v in values if isinstance(v, dict)] for values in (was, now))
    if objects and objects_now:
        for name in dict.fromkeys(chain(*objects, *objects_now)):
            fields, fields_now = (
                [one[name] for one in them if name in one] for them in (objects, objects_now)
            )
            here = f"{path}.{repr(name)[1:-1]}".lstrip(".")
            if not fields:
                yield f"{here} is new", False
            elif len(fields) == len(objects) and len(fields_now) < len(objects_now):
                yield f"{here} is missing", True
            if fields and fields_now:
                yield from _compare(fields, fields_now, here)
    arrays, arrays_now = ([v for v in values if isinstance(v, list)] for values in (was, now))
    items, items_now = [*chain(*arrays)], [*chain(*arrays_now)]
    if items and items_now:
        yield from _compare(items, items_now, f"{path}[]")
    elif arrays_now and items and all(arrays):
        yield f"{where} is empty today: nothing to compare", False
