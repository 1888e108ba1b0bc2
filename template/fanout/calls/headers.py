"""The headers of a call: what services may know of a visitor, and nothing that says who they are."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from uuid import uuid4

import httpx
from django.http import HttpRequest
from django.http.response import HttpResponseBase

REQUEST_ID = "X-Request-ID"
ALWAYS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "fanout"}

request_id: ContextVar[str] = ContextVar("request_id", default="")  # for the log

_REQUEST_ID = re.compile(r"[\w-]{1,64}", re.ASCII)
_PARENT = re.compile(r"(?a)(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}")
_MEMBER = re.compile(
    r"([a-z][a-z\d_*/-]{0,255}|[a-z\d][a-z\d_*/-]{0,240}@[a-z][a-z\d_*/-]{0,13})"
    r"=[ -+\--<>-~]{0,255}[!-+\--<>-~]",
    re.ASCII,
)


def mark_request(request: HttpRequest) -> None:
    """Give `request` an id if it has no good one. All that is logged from now on has it."""
    given = request.META.get("HTTP_X_REQUEST_ID", "")
    request.META["HTTP_X_REQUEST_ID"] = known = _choose_id(given)
    request_id.set(known)


def mark_response(request: HttpRequest, response: HttpResponseBase) -> None:
    """Tell the visitor the id of `request`, which was marked."""
    response.headers.setdefault(REQUEST_ID, request.META["HTTP_X_REQUEST_ID"])


def make_headers(headers: Mapping[str, str]) -> httpx.Headers:
    """The headers of all calls for one page, made of those of the visitor's request."""
    passed = pass_on(headers)
    request_id.set(passed[REQUEST_ID])  # Django's own entries do not set it earlier
    return httpx.Headers({**ALWAYS, **passed})


def pass_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The request id, made if there is none, and the trace: https://www.w3.org/TR/trace-context/.

    Cookies and Authorization never go on, and neither does what is not well-formed.
    """
    passed = {REQUEST_ID: _choose_id(headers.get(REQUEST_ID, ""))}
    if _PARENT.fullmatch(headers.get("traceparent", "")):
        passed["traceparent"] = headers["traceparent"]
        if _is_state(state := headers.get("tracestate", "")):
            passed["tracestate"] = state
    return passed


def _choose_id(given: str) -> str:
    return given if _REQUEST_ID.fullmatch(given) else uuid4().hex


def _is_state(text: str) -> bool:
    """Whether `text` is at most 32 members, each with a key of its own, in 512 characters."""
    members = re.split("[ \t]*,[ \t]*", text)
    keys = {member.partition("=")[0] for member in members}
    return (
        len(text) <= 512
        and len(keys) == len(members) <= 32
        and all(map(_MEMBER.fullmatch, members))
    )
