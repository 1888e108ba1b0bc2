"""Services get the trace and the request id, and nothing about the visitor."""

import httpx
import pytest
from django.test import Client
from django.urls import reverse

from engine.conftest import Script, serve
from fanout.calls.headers import pass_on, read_retry_after
from fanout.serving.entries import get_asgi_application

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_well_formed_trace_goes_on() -> None:
    meta = {"HTTP_TRACEPARENT": TRACE, "HTTP_X_REQUEST_ID": "a-1"}
    meta["HTTP_TRACESTATE"] = "a=1,b=2"  # that is the visitor's own
    assert pass_on(meta) == {"traceparent": TRACE, "X-Request-ID": "a-1"}


@pytest.mark.parametrize(
    "trace",
    [
        "",
        TRACE.upper(),
        TRACE + "-more",
        TRACE + "\n",
        TRACE.replace("00-", "ff-"),
        TRACE.replace("b7ad6b7169203331", "0" * 16),
        TRACE.replace("b7ad6b7169203331", "\N{ARABIC-INDIC DIGIT ONE}" * 16),
        TRACE.replace("0af7651916cd43dd8448eb211c80319c", "0" * 32),
    ],
)
def test_another_trace_does_not(trace: str) -> None:
    assert set(pass_on({"HTTP_TRACEPARENT": trace, "HTTP_TRACESTATE": "a=1"})) == {"X-Request-ID"}


@pytest.mark.parametrize(
    "request_id", ["", "a b", "a\n", "ä", "a" * 65, "../etc/passwd", "a.b", "${a}"]
)
def test_a_request_id_is_made_where_there_is_no_good_one(request_id: str) -> None:
    made = pass_on({"HTTP_X_REQUEST_ID": request_id})["X-Request-ID"]
    assert len(made) == 32
    assert made != pass_on({})["X-Request-ID"]


def test_services_get_the_ids_and_nothing_else_of_a_visitor(style: str, script: Script) -> None:
    sent = {"traceparent": TRACE, "x-request-id": "mine"}
    others = {"tracestate": "a=1", "cookie": "mine=1", "authorization": "Basic YTpi"}
    with serve(get_asgi_application()) as address:
        response = httpx.get(address + reverse(f"compare-{style}"), headers=sent | others)
    assert response.headers["X-Request-ID"] == "mine"
    [call] = script.calls
    assert {name: call.headers[name] for name in sent} == sent
    assert not set(others) & set(call.headers)


@pytest.mark.usefixtures("two_services")
def test_the_page_names_its_request(client: Client) -> None:
    assert len(client.get(reverse("home")).headers["X-Request-ID"]) == 32


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0.0),
        ("0", 0.0),
        ("120", 120.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("\N{SUPERSCRIPT TWO}", 0.0),
        ("9" * 400, float("inf")),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", 0.0),
    ],
)
def test_how_long_a_service_wants_to_be_left_alone(
    monkeypatch: pytest.MonkeyPatch, value: str, seconds: float
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert read_retry_after(value) == seconds
