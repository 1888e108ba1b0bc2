"""A broken service costs its own section, and nothing else."""

import logging
import socket
from collections.abc import Callable
from urllib.parse import urlsplit

import pytest
from pytest_django import Settings
from starlette.responses import RedirectResponse

from engine.conftest import Get, serve

FAULTS = {
    "fault=status:500": "answered with status 500",
    "fault=status:302": "answered with status 302",
    "fault=status:503": "answered with status 503",
    "fault=hang": "did not answer within 0.20 s",
    "fault=trickle": "did not answer within 0.20 s",
    "fault=drop": "broke off",
    "fault=bad-json": "answered with something that is not JSON",
    "fault=oversized": "answered with more than 1048576 bytes",
    "fault=bomb": "answered with more than 1048576 bytes",
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_leaves_the_other_section_intact(
    get: Get,
    style: str,
    fault: str,
    two_services: Callable[..., None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    two_services(beta=fault)
    response = get(style)
    alpha, beta = response.page.sections
    assert (alpha.state, beta.state) == ("ok", "failed")
    assert beta.error.startswith(FAULTS[fault])
    assert response.status_code == 200
    assert response.headers.get("X-Fanout-Complete", "false") == "false"  # streamed: not said
    assert response.headers["Cache-Control"] == "no-store, private"
    [record] = [record for record in caplog.records if record.name == "fanout"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == f"beta {beta.error} (failed)"
    logged = vars(record)
    assert logged["service"] == "beta"
    assert logged["request_id"] == response.headers["X-Request-ID"]
    assert {key: logged[key] for key in ("state", "error", "duration", "age")} == {
        "state": "failed",
        "error": beta.error,
        "duration": beta.duration,
        "age": 0.0,
    }


@pytest.mark.usefixtures("transport", "two_services")
def test_a_redirect_to_what_would_answer_is_not_followed(
    get: Get, style: str, settings: Settings, fakes: str
) -> None:
    answer = RedirectResponse(f"{fakes}/alpha/?latency_ms=0", 302)
    with serve(answer, lifespan="off") as address:
        settings.FANOUT_URLS["beta"] = address
        beta = get(style).page.sections[1]
    assert (beta.state, beta.error) == ("failed", "answered with status 302")


def test_nothing_to_show_is_a_503(get: Get, style: str, two_services: Callable[..., None]) -> None:
    two_services(alpha="fault=status:503", beta="fault=status:503")
    response = get(style)
    assert response.page.status == 503
    if not response.streaming:  # else it was sent before this was known
        assert response.status_code == 503
        assert response.headers["Retry-After"] == "5"
    assert [section.name for section in response.page.missing] == ["alpha", "beta"]


@pytest.mark.usefixtures("two_services")
def test_without_a_required_service_the_page_is_a_503_that_shows_what_there_is(
    get: Get, style: str, settings: Settings
) -> None:
    settings.FANOUT_URLS["beta"] = "http://"
    settings.OPTIONS["beta"]["required"] = True
    response = get(style)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
    alpha, beta = response.page.sections
    assert (alpha.state, beta.state) == ("ok", "failed")
    assert alpha.title in response.getvalue().decode()


@pytest.mark.usefixtures("two_services")
@pytest.mark.parametrize(
    ("url", "error"),
    [
        ("http://127.0.0.1:{closed}/", "could not be reached"),
        ("http://", "cannot be called: BETA_URL is no"),
        ("ftp://127.0.0.1/", "cannot be called: BETA_URL is no"),
        ("https://127.0.0.1:{plain}/beta/", "could not be reached"),
        ("not a URL", "cannot be called: BETA_URL is no"),
        ("", "cannot be called: BETA_URL is no"),
    ],
)
def test_a_wrong_address_is_a_failed_section(
    get: Get, style: str, settings: Settings, fakes: str, url: str, error: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as sock:
        closed = sock.getsockname()[1]
    settings.FANOUT_URLS["beta"] = url.format(closed=closed, plain=urlsplit(fakes).port)
    alpha, beta = get(style).page.sections
    assert (alpha.state, beta.state) == ("ok", "failed")
    assert beta.error.startswith(error)


def test_the_deadline_bounds_every_call(
    get: Get, style: str, two_services: Callable[..., None], settings: Settings
) -> None:
    two_services(beta="fault=hang")
    settings.OPTIONS["beta"]["timeout"] = 20.0
    settings.FANOUT_DEADLINE = 0.2
    _, beta = get(style).page.sections
    assert beta.state == "failed"
    assert beta.duration < 10


@pytest.mark.usefixtures("two_services")
def test_no_time_left_is_a_failed_page(get: Get, style: str, settings: Settings) -> None:
    settings.FANOUT_DEADLINE = 0.0
    assert get(style).page.status == 503


@pytest.mark.usefixtures("two_services")
def test_a_tls_handshake_that_hangs_is_given_up_and_closed(
    get: Get, style: str, settings: Settings
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        settings.FANOUT_URLS["beta"] = f"https://127.0.0.1:{silent.getsockname()[1]}/"
        settings.OPTIONS["beta"]["timeout"] = 0.2
        assert get(style).page.sections[1].error == "did not answer within 0.20 s"
        connection, _ = silent.accept()
        with connection:
            connection.settimeout(20)
            while connection.recv(65536):
                pass
