"""The headers of a call: what services may know of a visitor, and how long their answers hold."""

import os
import re
import time
from collections.abc import Mapping
from contextlib import suppress
from contextvars import ContextVar
from email.utils import parsedate_to_datetime

from django.http import HttpRequest
from django.http.response import HttpResponseBase

REQUEST_ID = "X-Request-ID"
IDS = (b"x-request-id", b"traceparent")

request_id: ContextVar[str] = ContextVar("request_id", default="")  # for the log

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_PARENT = re.compile(r"(?a)(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}")
_DIRECTIVE = re.compile(r"""(?a)([\w-]+)(?:="?(\d{1,9})"?|="[^"]*"|=[^,]*)?""")


def mark_request(request: HttpRequest) -> None:
    """Give `request` an id if it has no good one. All that is logged from now on has it."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    request.META["HTTP_X_REQUEST_ID"] = known = _choose_id(given)
    request_id.set(known)


def mark_response(request: HttpRequest, response: HttpResponseBase) -> None:
    """Tell the visitor the id of `request`, which was marked."""
    response.headers.setdefault(REQUEST_ID, request.META["HTTP_X_REQUEST_ID"])


def pass_on(meta: Mapping[str, str]) -> dict[str, str]:
    """What goes on from a request to all its calls: its id, made if there is none, and its trace.

    Cookies, Authorization and tracestate never do, and neither does what is not well-formed, as in
    https://www.w3.org/TR/trace-context/. `meta` is the request's; the log names its id from now on.
    """
    passed = {REQUEST_ID: _choose_id(meta.get("HTTP_X_REQUEST_ID", ""))}
    request_id.set(passed[REQUEST_ID])  # Django's own entries do not set it earlier
    if _PARENT.fullmatch(trace := meta.get("HTTP_TRACEPARENT", "")):
        passed["traceparent"] = trace
    return passed


def _choose_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else os.urandom(16).hex()


def read_directives(value: str) -> dict[str, float]:
    """What a Cache-Control says, with its seconds: https://www.rfc-editor.org/rfc/rfc9111#section-5.2."""
    found = reversed(_DIRECTIVE.findall(value)) if value else ()  # of several, the first counts
    return {name.lower(): float(seconds or 0) for name, seconds in found}


def read_retry_after(value: str) -> float:
    """Seconds from now, 0 for none: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after."""
    if value.isascii() and value.isdigit():
        return float(value)
    with suppress(ValueError, TypeError, OverflowError):
        return max(0.0, parsedate_to_datetime(value).timestamp() - time.time())
    return 0.0
