"""Services get the trace and the request id, and nothing about the visitor."""

import httpx
import pytest
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from engine.conftest import Script, serve
from fanout.calls.headers import pass_on
from fanout.serving.asgi import get_asgi_application

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def test_a_well_formed_trace_goes_on() -> None:
    headers = {"traceparent": TRACE, "tracestate": "a=1,b=2", "X-Request-ID": "a-1"}
    assert pass_on(headers) == headers


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
    assert set(pass_on({"traceparent": trace, "tracestate": "a=1"})) == {"X-Request-ID"}


@pytest.mark.parametrize("state", ["a=1", "a=1 , b-2=${x}", "1@v=x", f"a={'1' * 256}"])
def test_a_trace_state_goes_on_as_it_came(state: str) -> None:
    assert pass_on({"traceparent": TRACE, "tracestate": state})["tracestate"] == state


@pytest.mark.parametrize(
    "state",
    [
        "",
        "${jndi:ldap://a.test/}",
        "a=",
        "a=\n",
        "a=1 ",
        "a=ü",
        "a=1=2",
        "A=1",
        "1=1",
        "a@1=1",
        f"a={'1' * 257}",
        "a=1,a=2",
        "a=1,,b=2",
        ",".join(f"a{n}=1" for n in range(33)),
        ",".join(f"{n * 'a'}=" + "1" * 250 for n in (1, 2, 3)),
    ],
)
def test_another_trace_state_does_not(state: str) -> None:
    assert "tracestate" not in pass_on({"traceparent": TRACE, "tracestate": state})


@pytest.mark.parametrize(
    "request_id", ["", "a b", "a\n", "ä", "a" * 65, "../etc/passwd", "a.b", "${a}"]
)
def test_a_request_id_is_made_where_there_is_no_good_one(request_id: str) -> None:
    made = pass_on({"X-Request-ID": request_id})["X-Request-ID"]
    assert len(made) == 32
    assert made != pass_on({})["X-Request-ID"]


@pytest.mark.parametrize("shared", [True, False])
def test_services_get_the_ids_and_no_secrets_and_of_a_shared_call_no_more(
    style: str, script: Script, settings: Settings, shared: bool
) -> None:
    settings.OPTIONS["beta"]["coalesce"] = shared
    sent = {"traceparent": TRACE, "tracestate": "a=1", "x-request-id": "mine"}
    secrets = {"cookie": "mine=1", "authorization": "Basic YTpi"}
    with serve(get_asgi_application()) as address:
        response = httpx.get(address + reverse(f"compare-{style}"), headers=sent | secrets)
    assert response.headers["X-Request-ID"] == "mine"
    [call] = script.calls
    assert call.headers.get("tracestate") == (None if shared else sent.pop("tracestate"))
    assert {n: call.headers[n] for n in ("traceparent", "x-request-id")}.items() <= sent.items()
    assert not set(secrets) & set(call.headers)


@pytest.mark.usefixtures("two_services")
def test_the_page_names_its_request(client: Client) -> None:
    assert len(client.get(reverse("home")).headers["X-Request-ID"]) == 32
