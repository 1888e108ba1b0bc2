"""What the team says that its services answer: `homepage/fakes/<name>.json`, a list of exchanges.

`method`, `path` (with a query, or not) and GraphQL's `operation` say to which requests an exchange
is the answer; `status`, `headers`, and `json` or `text` are the answer.
"""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, unquote

from starlette.responses import Response

Exchange = dict[str, Any]


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
}
# They tell how a body was sent, which is the fakes' own affair.
TRANSFER = {"connection", "content-encoding", "content-length", "transfer-encoding"}


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
