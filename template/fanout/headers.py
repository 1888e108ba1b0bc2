"""The headers of a call: what services may know of a visitor, and nothing that says who they are."""

import re
from collections.abc import Mapping
from contextvars import ContextVar
from uuid import uuid4

import httpx

REQUEST_ID = "X-Request-ID"
ALWAYS = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "fanout"}

request_id: ContextVar[str] = ContextVar("request_id", default="")  # of the visit, for the log

_REQUEST_ID = re.compile(r"[\w.~+/=:-]{1,128}", re.ASCII)
_PARENT = re.compile(r"(?a)(?!ff)[\da-f]{2}-(?!0{32})[\da-f]{32}-(?!0{16})[\da-f]{16}-[\da-f]{2}")
_STATE = re.compile("[!-~](?:[ -~]{0,510}[!-~])?")


def make_headers(headers: Mapping[str, str]) -> httpx.Headers:
    """The headers of all calls for one page, made of those of the visitor's request.

    From now on what is logged for the page has its request id.
    """
    passed = pass_on(headers)
    request_id.set(passed[REQUEST_ID])
    return httpx.Headers({**ALWAYS, **passed})


def pass_on(headers: Mapping[str, str]) -> dict[str, str]:
    """The request id, made if there is none, and the trace: https://www.w3.org/TR/trace-context/.

    Cookies and Authorization never go on, and neither does what is not well-formed.
    """
    given = headers.get(REQUEST_ID, "")
    passed = {REQUEST_ID: given if _REQUEST_ID.fullmatch(given) else uuid4().hex}
    if _PARENT.fullmatch(headers.get("traceparent", "")):
        passed["traceparent"] = headers["traceparent"]
        if _STATE.fullmatch(headers.get("tracestate", "")):
            passed["tracestate"] = headers["tracestate"]
    return passed
