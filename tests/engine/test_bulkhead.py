"""A bulkhead has so many places, and loses none."""

from fanout.policies.bulkhead import Bulkhead


def test_places_go_to_those_who_came_first() -> None:
    bulkhead = Bulkhead(2)
    first, second, third, fourth = [bulkhead.enter() for _ in range(4)]
    assert [turn.done() for turn in (first, second, third, fourth)] == [True, True, False, False]
    bulkhead.leave(second)
    assert (third.done(), fourth.done()) == (True, False)
    bulkhead.leave(first)
    assert fourth.done()


def test_whoever_stops_waiting_is_passed_over() -> None:
    bulkhead = Bulkhead(1)
    first, second, third = [bulkhead.enter() for _ in range(3)]
    bulkhead.leave(second)
    bulkhead.leave(first)
    assert third.done()


def test_a_place_that_came_too_late_is_handed_on() -> None:
    bulkhead = Bulkhead(1)
    first, second, third = [bulkhead.enter() for _ in range(3)]
    bulkhead.leave(first)
    bulkhead.leave(second)
    assert third.done()
    bulkhead.leave(third)
    assert bulkhead.enter().done()
