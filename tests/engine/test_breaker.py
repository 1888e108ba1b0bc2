"""A breaker opens after repeated failures, and closes after one good call."""

import asyncio
import logging
from contextlib import suppress

import pytest

from fanout.policies.breaker import FAILURES, Breaker, Paused


class Slow(Exception):
    """A timeout of somebody's own."""


TIMEOUTS = (TimeoutError, Slow)
GIVEN_UP = [TimeoutError(), Slow(), asyncio.CancelledError()]


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def call(breaker: Breaker, error: BaseException | None = None, patience: float = 1.0) -> None:
    """Make a call that takes no time and ends in `error`."""
    with (
        suppress(ValueError, *map(type, GIVEN_UP)),
        breaker.guard(patience, timeouts=TIMEOUTS),
    ):
        if error:
            raise error


@pytest.fixture
def clock() -> Clock:
    """The breaker's clock."""
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    """One that stays open for 5 s."""
    return Breaker("alpha", 5.0, clock)


@pytest.fixture
def opened(breaker: Breaker) -> Breaker:
    """One that has just opened."""
    for _ in range(FAILURES):
        call(breaker, ValueError("no"))
    assert breaker.state == "open"
    return breaker


def test_only_failures_in_a_row_open_it(breaker: Breaker) -> None:
    for error in [*[ValueError()] * (FAILURES - 1), None, *[ValueError()] * (FAILURES - 1)]:
        call(breaker, error)
    assert breaker.state == "closed"


def test_open_means_no_call(opened: Breaker) -> None:
    with (
        pytest.raises(Paused, match=r"not called after 5 failures: ValueError\('no'\)"),
        opened.guard(1.0),
    ):
        raise AssertionError


def test_one_call_probes_and_a_good_one_closes_it(
    opened: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now += 5.0
    assert opened.state == "half-open"
    with opened.guard(1.0):
        assert opened.state == "open"
        with pytest.raises(Paused), opened.guard(1.0):
            raise AssertionError
    assert opened.state == "closed"
    assert caplog.messages == ["alpha is back"]


def test_a_bad_probe_opens_it_again_which_is_not_news(
    opened: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    clock.now += 5.0
    call(opened, ValueError())
    assert opened.state == "open"
    clock.now += 5.0
    assert opened.state == "half-open"
    assert caplog.messages == []


def test_a_call_of_before_does_not_end_a_probe(breaker: Breaker, clock: Clock) -> None:
    before = breaker.guard(100.0)
    before.__enter__()
    for _ in range(FAILURES):
        call(breaker, ValueError())
    clock.now += 5.0
    with breaker.guard(1.0):
        before.__exit__(TimeoutError, TimeoutError(), None)
        assert breaker.state == "open"


@pytest.mark.parametrize("error", GIVEN_UP)
def test_a_call_that_was_given_up_early_tells_nothing(
    breaker: Breaker, error: BaseException
) -> None:
    for _ in range(FAILURES):
        call(breaker, error)
    assert breaker.state == "closed"


@pytest.mark.parametrize("error", GIVEN_UP)
def test_a_probe_that_was_given_up_early_lets_the_next_one_probe(
    opened: Breaker, clock: Clock, error: BaseException
) -> None:
    clock.now += 5.0
    call(opened, error)
    assert opened.state == "half-open"


@pytest.mark.parametrize("error", GIVEN_UP)
def test_a_call_that_had_its_time_counts(breaker: Breaker, error: BaseException) -> None:
    for _ in range(FAILURES):
        call(breaker, error, patience=0.0)
    assert breaker.state == "open"


def test_opening_is_logged_once(opened: Breaker, caplog: pytest.LogCaptureFixture) -> None:
    messages = [r.getMessage() for r in caplog.get_records("setup") if r.levelno == logging.WARNING]
    assert messages == ["alpha is paused for 5 s: ValueError('no')"]


def test_0_seconds_never_open_it(clock: Clock) -> None:
    breaker = Breaker("alpha", 0.0, clock)
    for _ in range(2 * FAILURES):
        call(breaker, ValueError())
    assert breaker.state == "closed"
