"""A retry budget allows a second try for one call in five, plus a few."""

from fanout.policies.retry import FLOOR, MOST, RetryBudget


def count(budget: RetryBudget) -> int:
    """How many retries there are right now."""
    return next(number for number in range(1000) if not budget.withdraw())


def test_one_call_in_five_may_be_repeated() -> None:
    budget = RetryBudget(clock=lambda: 0.0)
    assert count(budget) == 1
    for _ in range(20):
        budget.deposit()
    assert count(budget) == 4


def test_calls_of_long_ago_do_not_count() -> None:
    budget = RetryBudget(clock=lambda: 0.0)
    for _ in range(10_000):
        budget.deposit()
    assert count(budget) == MOST


def test_time_brings_some_too() -> None:
    times = iter([0.0, 0.0, 0.0, *[1 / FLOOR] * 2])
    budget = RetryBudget(clock=lambda: next(times))
    assert [budget.withdraw() for _ in range(4)] == [True, False, True, False]
