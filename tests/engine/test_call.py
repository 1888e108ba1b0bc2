"""A call: with which others it may be one, what it learns, and when it is worth a second try."""

import asyncio
from contextlib import suppress
from types import SimpleNamespace
from typing import Any

import httpx
import pytest
from pytest_django import Settings

from engine.conftest import make_service
from engine.test_breaker import Clock
from engine.visitors import make_visit
from fanout import Service
from fanout.calls.body import BadStatus
from fanout.calls.call import Call
from fanout.calls.mistake import BadAnswer
from fanout.calls.transport.message import WentAway
from fanout.policies.breaker import FAILURES, Breaker, Paused, Unwell

GIVEN_UP = [TimeoutError(), httpx.ReadTimeout(""), asyncio.CancelledError()]


_classes: dict[str, type[Service]] = {}


def make_call(user: str = "", seconds: float = 60.0, **options: Any) -> Call:
    """A call for the page of a user."""
    viewer: Any = SimpleNamespace(pk=user) if user else None
    made = make_service("alpha", "http://alpha.test/", **options)
    cls = _classes.setdefault(repr(options), type(made))  # each makes a class of its own
    call = Call(cls(made.name, made.address), make_visit(viewer, seconds))
    assert call.find_known() is None
    call.begin()
    return call


@pytest.mark.parametrize("error", GIVEN_UP)
def test_a_paused_service_says_of_a_timeout_what_its_calls_say(error: BaseException) -> None:
    call = make_call(timeout=0.0)
    turn = call.service.bulkhead.enter()
    for _ in range(FAILURES):
        with suppress(type(error)), call.guard(turn):
            raise error
    sentence = "is not called for a while: did not answer within 0.00 s"
    with pytest.raises(Paused, match=f"^{sentence}$"), call.guard(turn):
        raise AssertionError


def test_equal_calls_may_be_one() -> None:
    assert make_call().flight == make_call(user="1").flight
    assert make_call(user="1", personal=True).flight == make_call(user="1", personal=True).flight
    assert make_call(user="1", personal=True).flight != make_call(user="2", personal=True).flight
    assert make_call(user="1", personal=True).flight != make_call(personal=True).flight
    assert make_call().flight != make_call(retry=False).flight  # which may read in another way
    assert make_call(coalesce=False).flight is None
    late = make_call()
    late.seconds /= 2
    assert late.flight is None


@pytest.mark.parametrize(
    ("error", "may"),
    [
        (httpx.ConnectError(""), True),
        (httpx.ReadError(""), True),
        (httpx.RemoteProtocolError(""), True),
        (BadStatus(503), True),
        (BadStatus(503, 30.0), False),
        (BadStatus(500), False),
        (Unwell(""), False),
        (BadAnswer(), False),
        (httpx.ConnectTimeout(""), False),
        (httpx.ReadTimeout(""), False),
        (TimeoutError(), False),
        (httpx.UnsupportedProtocol(""), False),
    ],
)
def test_only_what_may_be_over_at_once_is_worth_a_second_try(error: Exception, may: bool) -> None:
    assert make_call(timeout=30.0).spend_retry(error) is may


@pytest.mark.parametrize(("waited", "state"), [(8.0, "closed"), (9.5, "open")])
def test_visitors_who_go_away_say_nothing_of_a_service_that_had_no_time(
    settings: Settings, waited: float, state: str
) -> None:
    settings.FANOUT_DEADLINE = 60.0
    call, clock = make_call(timeout=10.0), Clock()
    call.service.breaker = Breaker("alpha", 5.0, clock)
    for _ in range(FAILURES):
        with suppress(asyncio.CancelledError), call.guard(call.service.bulkhead.enter()):
            clock.now += waited
            raise asyncio.CancelledError
    assert call.service.breaker.state == state


def test_a_call_without_time_is_not_made() -> None:
    call = make_call(seconds=0.0)
    with pytest.raises(TimeoutError):
        call.get_left()


@pytest.mark.parametrize(("retry", "may"), [(None, True), (False, False)])
def test_another_try_is_free_after_a_used_connection_went_away(
    retry: bool | None, may: bool
) -> None:
    call = make_call(timeout=30.0, retry=retry)
    call.service.retries._balance = -1000.0
    assert [call.spend_retry(WentAway("")) for _ in range(2)] == [may, False]
