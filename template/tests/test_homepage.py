"""The homepage in every style: how it waits, and what it makes of services that fail."""

import httpx
import pytest
from pytest_django import Settings

from fakes.faults import FAULTS
from tests.conftest import Call, Get

AT_ONCE = {"gather", "stream"}
TROUBLE = [*(f"fault={fault}" for fault in FAULTS if fault), "fault=status:404", "fault=status:503"]


@pytest.mark.usefixtures("call")
def test_a_page_shows_every_section(get: Get, style: str) -> None:
    response = get(style)
    assert response.status_code == 200
    assert response.page.complete
    assert [section.name for section in response.page.sections] == ["alpha", "beta"]
    html = response.getvalue().decode()
    assert all(f"{section.title}: 6" in html for section in response.page.sections)


@pytest.mark.parametrize("get", ["asgi"], indirect=True)
def test_gather_and_stream_call_at_once_and_the_others_do_not(
    get: Get, style: str, call: Call
) -> None:
    """A barrier lets two calls through together, or none: no clock tells one from the other."""
    wait = 20 if style in AT_ONCE else 0.1  # seconds, for the other call
    call(alpha=f"barrier=2&wait={wait}", beta=f"barrier=2&wait={wait}")
    assert get(style).page.complete == (style in AT_ONCE)


@pytest.mark.parametrize("trouble", TROUBLE)
@pytest.mark.parametrize("get", ["asgi"], indirect=True)
def test_a_service_that_fails_costs_its_own_section(
    get: Get, style: str, call: Call, trouble: str
) -> None:
    call(beta=trouble)
    response = get(style)
    assert response.status_code == 200
    assert [section.state for section in response.page.sections] == ["ok", "failed"]


@pytest.mark.usefixtures("call")
def test_so_does_one_that_is_not_there(get: Get, style: str, settings: Settings) -> None:
    settings.FANOUT_URLS = {**settings.FANOUT_URLS, "beta": "http://127.0.0.1:1/"}
    assert [section.state for section in get(style).page.sections] == ["ok", "failed"]


def test_after_a_failure_the_last_good_answer_is_shown(
    get: Get, style: str, call: Call, fakes: str
) -> None:
    get(style)
    httpx.post(fakes, data={"beta.fault": "status:503"})  # as on the page of the fakes
    states = [section.state for section in get(style).page.sections]
    httpx.post(fakes, data={"beta.fault": ""})
    assert states == ["ok", "stale"]


@pytest.mark.parametrize("get", ["asgi"], indirect=True)
def test_without_a_required_section_the_page_is_a_503(get: Get, style: str, call: Call) -> None:
    call(beta="fault=status:503", required=True)
    response = get(style)
    assert response.status_code == 503
    assert response.headers["Retry-After"] == "5"
