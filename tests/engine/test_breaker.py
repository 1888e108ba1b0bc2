"""A breaker opens after repeated failures, and closes after one good call."""

import asyncio
import logging
from contextlib import suppress

import pytest

from fanout.policies.breaker import FAILURES, LONGEST, Breaker, Paused, Unwell, Verdict

GIVEN_UP = [TimeoutError(), asyncio.CancelledError()]


def judge(error: BaseException) -> Verdict:
    """A KeyError is an answer, a LookupError says nothing."""
    if isinstance(error, LookupError):
        return "well" if isinstance(error, KeyError) else "unknown"
    return "late" if isinstance(error, tuple(map(type, GIVEN_UP))) else "unwell"


class Clock:
    """A clock that stands still until it is moved."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


def call(breaker: Breaker, error: BaseException | None = None, patience: float = 1.0) -> None:
    """Make a call that takes no time and ends in `error`."""
    with (
        suppress(ValueError, LookupError, Unwell, *map(type, GIVEN_UP)),
        breaker.guard(patience, judge),
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
        pytest.raises(Paused, match=r"not called for a while: ValueError\('no'\)"),
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
    before = breaker.guard(100.0, judge)
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
        call(breaker, Unwell("is busy", 7.0))
    assert breaker.state == "closed"


def test_an_error_that_shows_that_it_lives_opens_nothing_and_closes_it(
    opened: Breaker, breaker: Breaker, clock: Clock
) -> None:
    clock.now += 5.0
    call(opened, KeyError())
    assert opened.state == "closed"
    for _ in range(FAILURES - 1):
        call(breaker, ValueError())
    call(breaker, KeyError())
    call(breaker, ValueError())
    assert breaker.state == "closed"


def test_an_error_of_ours_tells_nothing(opened: Breaker, clock: Clock) -> None:
    clock.now += 5.0
    call(opened, LookupError())
    assert opened.state == "half-open"


def test_a_service_is_left_alone_for_as_long_as_it_says(
    breaker: Breaker, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    call(breaker, Unwell("is busy", 7.0))
    assert caplog.messages == ["alpha is paused for 7 s: Unwell('is busy')"]
    clock.now += 6.9
    assert breaker.state == "open"
    clock.now += 0.1
    assert breaker.state == "half-open"


def test_but_not_for_ever(breaker: Breaker, clock: Clock) -> None:
    call(breaker, Unwell("is busy", float("inf")))
    clock.now += LONGEST
    assert breaker.state == "half-open"


def test_another_failure_does_not_shorten_that(breaker: Breaker, clock: Clock) -> None:
    late = breaker.guard(1.0, judge)
    late.__enter__()
    call(breaker, Unwell("is busy", 7.0))
    late.__exit__(ValueError, ValueError(), None)
    clock.now += 6.9
    assert breaker.state == "open"


def test_after_a_pause_one_failure_is_enough(breaker: Breaker, clock: Clock) -> None:
    call(breaker, Unwell("is busy", 7.0))
    clock.now += 7.0
    call(breaker, ValueError())
    assert breaker.state == "open"


def test_without_a_pause_one_that_is_unwell_is_one_failure(breaker: Breaker) -> None:
    call(breaker, Unwell("is busy"))
    assert breaker.state == "closed"
