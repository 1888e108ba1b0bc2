"""The last good answer is kept, bounded, and written through to the cache now and then."""

from queue import Queue
from threading import Barrier, Event, current_thread
from typing import Any

import pytest

from engine.conftest import make_service
from engine.visitors import make_reply
from fanout.calls import last_good as module
from fanout.calls.answer import Answer, readings
from fanout.calls.last_good import JsonSerializer, LastGood
from fanout.calls.mistake import BadAnswer

ALPHA = make_service("alpha", "")
KEY = ("alpha", "digest")
OTHER = ("alpha", "another")
TEXT = '{"title": "Good", "items": []}'
REPLY = make_reply(TEXT.encode(), date="today")


class Cache:
    """A cache that tells what is asked of it."""

    def __init__(self) -> None:
        """Empty, and in order."""
        self.values: dict[str, Any] = {}
        self.writes: Queue[tuple[str, Any, float]] = Queue()
        self.error: Exception | None = None

    def set(self, name: str, value: Any, timeout: float) -> None:
        """Keep a value."""
        self.writes.put((name, value, timeout))
        self.values[name] = value

    def delete(self, name: str) -> None:
        """Forget a value."""
        self.values.pop(name, None)

    def get(self, name: str) -> Any:
        """What was kept."""
        if self.error:
            raise self.error
        return self.values.get(name)


def value(at: float) -> Any:
    """What the cache gets of REPLY."""
    return (at, 300.0, 200, [["date", "today"]], TEXT)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Cache:
    """What all processes share."""
    cache = Cache()
    monkeypatch.setattr(module, "caches", {"fanout": cache})
    monkeypatch.setattr(module, "is_shared", lambda: True)
    return cache


@pytest.fixture
def kept(cache: Cache, clock: list[float]) -> LastGood:
    """With one answer in it, which was written through."""
    kept = LastGood()
    kept.keep(KEY, REPLY, 0.0, 300.0)
    assert cache.writes.get(timeout=20)[1:] == (value(clock[0]), 300.0)
    return kept


def test_an_answer_is_found_until_it_is_too_old(kept: LastGood, clock: list[float]) -> None:
    clock[0] += 299
    answer = kept.find(KEY, ALPHA, stale=True)
    assert answer
    assert (answer.data["title"], answer.age) == ("Good", 299)
    clock[0] += 1
    assert kept.find(KEY, ALPHA, stale=True) is None


def test_one_that_can_no_longer_be_read_is_none(
    kept: LastGood, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(*_: Any) -> Answer:
        raise BadAnswer

    monkeypatch.setattr(readings, "read", read)
    assert kept.recall(KEY, ALPHA).result(20) is None


def test_viewers_do_not_share(kept: LastGood) -> None:
    assert kept.find(OTHER, ALPHA, stale=True) is None
    assert kept.recall(OTHER, ALPHA).result(20) is None


def test_it_is_written_through_four_times_at_most(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    for _ in range(300):
        clock[0] += 1
        kept.keep(KEY, REPLY, 0.0, 300.0)
    kept.keep(OTHER, REPLY, 0.0, 300.0)
    writes = [cache.writes.get(timeout=20) for _ in range(5)]
    assert cache.writes.empty()
    assert sorted(value[0] - clock[0] for _, value, _ in writes) == [-225, -150, -75, 0, 0]
    assert len({name for name, _, _ in writes}) == 2


def test_what_may_not_get_stale_is_not_written_through(cache: Cache, clock: list[float]) -> None:
    kept = LastGood()
    kept.keep(KEY, REPLY, 1.0, 0.0)
    assert kept.find(KEY, ALPHA)
    assert cache.writes.empty()


def test_what_another_process_wrote_is_recalled_with_its_age(
    kept: LastGood, clock: list[float]
) -> None:
    clock[0] += 30
    other = LastGood()
    assert other.find(KEY, ALPHA, stale=True) is None
    answer = other.recall(KEY, ALPHA).result(20)
    assert answer
    assert (answer.data["title"], answer.age) == ("Good", 30)
    assert other.find(KEY, ALPHA, stale=True) == answer


def test_any_body_survives_the_cache(cache: Cache, clock: list[float]) -> None:
    reply = make_reply(b'{"title": "\xc3\xa9 \xe2\x80\xa8", "items": []}')
    LastGood().keep(KEY, reply, 0.0, 300.0)
    _, value, _ = cache.writes.get(timeout=20)
    serializer = JsonSerializer()
    cache.values[module._name(KEY)] = serializer.loads(serializer.dumps(value))
    answer = LastGood().recall(KEY, ALPHA).result(20)
    assert answer
    assert answer.data["title"] == "é \u2028"


def test_a_cache_of_this_process_alone_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    monkeypatch.setattr(module, "caches", {"fanout": cache})
    kept = LastGood()
    kept.keep(KEY, REPLY, 0.0, 300.0)
    cache.error = AssertionError("The cache was asked.")
    assert kept.recall(OTHER, ALPHA).result(0) is None
    assert cache.writes.empty()


def test_a_newer_answer_of_this_process_stays(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    clock[0] += 1
    kept.keep(KEY, make_reply(b'{"title": "Newer", "items": []}'), 0.0, 300.0)
    assert kept._read(KEY, ALPHA) == kept.find(KEY, ALPHA, stale=True)
    found = kept.find(KEY, ALPHA, stale=True)
    assert found
    assert found.data["title"] == "Newer"


@pytest.mark.parametrize(
    "value",
    [
        *("text", 7, (1.0, TEXT), ("1", 1e12, 200, [], TEXT), (1.0, 1e12, 200, {}, TEXT)),
        *((1.0, 1e12, 200, [], text) for text in ("not JSON", "[]", "\ud800")),
        *((1.0, 1e12, 200, headers, TEXT) for headers in (["a"], [["a"]], [["a", "\ud800"]])),
        (float("inf"), 1e12, 200, [], ""),
    ],
)
def test_nonsense_in_the_cache_is_nothing(cache: Cache, value: Any) -> None:
    cache.values[module._name(KEY)] = value
    assert LastGood().recall(KEY, ALPHA).result(20) is None


def test_a_clock_that_is_ahead_makes_no_answer_immortal(cache: Cache, clock: list[float]) -> None:
    cache.values[module._name(KEY)] = value(clock[0] + 1e9)
    kept = LastGood()
    assert kept.recall(KEY, ALPHA).result(20)
    clock[0] += 300
    assert kept.find(KEY, ALPHA, stale=True) is None


def test_a_clock_that_is_set_back_makes_no_answer_immortal(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    clock[0] -= 600
    assert kept.find(KEY, ALPHA, stale=True) is None
    kept.keep(KEY, REPLY, 0.0, 300.0)
    assert cache.writes.get(timeout=20)[1:] == (value(clock[0]), 300.0)
    assert kept.find(KEY, ALPHA, stale=True)


def test_every_thread_connects_before_the_first_page(
    cache: Cache, monkeypatch: pytest.MonkeyPatch
) -> None:
    names: set[str] = set()
    both = Barrier(2)

    def get(_: str) -> None:
        both.wait(20)
        names.add(current_thread().name)

    monkeypatch.setattr(cache, "get", get)
    LastGood().connect()
    assert len(names) == 2


def test_a_cache_that_fails_is_left_alone_for_a_while(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.error = ConnectionError("refused")
    kept = LastGood()
    for _ in range(10):
        assert kept.recall(KEY, ALPHA).result(20) is None
    assert caplog.messages == ["the cache is paused for 5 s: ConnectionError('refused')"]


def test_too_much_to_do_is_not_done(cache: Cache) -> None:
    kept = LastGood()
    while kept._places.acquire(blocking=False):
        pass
    kept.keep(KEY, REPLY, 0.0, 300.0)
    assert kept.recall(OTHER, ALPHA).result(0) is None
    assert cache.writes.empty()
    kept._places.release()
    kept.keep(KEY, REPLY, 0.0, 300.0)  # it is made up for
    assert cache.writes.get(timeout=20)


@pytest.mark.parametrize(("limit", "size"), [("MAX_KEPT", 3 * 2100)])
@pytest.mark.usefixtures("cache")
def test_the_one_not_renewed_for_longest_goes_first(
    monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    monkeypatch.setattr(module, limit, size)
    kept = LastGood()
    keys = [("alpha", str(number)) for number in range(4)]
    for key in [*keys[:3], keys[0], keys[3]]:
        kept.keep(key, REPLY, 60.0, 0.0)
    assert [bool(kept.find(key, ALPHA)) for key in keys] == [True, False, True, True]
    kept.clear()
    assert not any(kept.find(key, ALPHA) for key in keys)


def test_what_is_gone_stays_gone_while_the_cache_still_has_it(
    kept: LastGood, cache: Cache, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    hold = Event()
    monkeypatch.setattr(cache, "delete", lambda name: hold.wait(20))
    clock[0] += 1
    kept.drop(KEY)
    try:
        assert kept.recall(KEY, ALPHA).result(20) is None
    finally:
        hold.set()


def test_what_never_was_takes_no_room_from_a_good_answer(
    kept: LastGood, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("fanout.calls.last_good.MAX_KEPT", 20_000)
    kept.keep(KEY, REPLY, 60.0, 0.0)
    for number in range(50):
        kept.drop((KEY[0], str(number)))
    assert kept.find(KEY, ALPHA)


def test_what_comes_back_is_written_at_once(kept: LastGood, cache: Cache) -> None:
    kept.drop(KEY)
    kept.keep(KEY, REPLY, 0.0, 300.0)
    assert cache.writes.get(timeout=20)


def test_a_status_that_is_no_longer_empty_is_no_answer(cache: Cache) -> None:
    LastGood().keep(KEY, make_reply(b'{"items": []}', 403), 0.0, 300.0)  # before a deploy
    cache.writes.get(timeout=20)
    assert LastGood().recall(KEY, ALPHA).result(20) is None


def test_what_the_cache_says_of_packing_is_passed_over(cache: Cache) -> None:
    headers = [["Content-Encoding", "gzip"], ["set-cookie", "a=1"], ["Link", "</>"]]
    cache.values[module._name(KEY)] = (1.0, 1e12, 200, headers, TEXT)
    kept = LastGood()
    assert kept.recall(KEY, make_service("alpha", "", stale_for=1e12)).result(20)
    assert kept._kept["alpha"][KEY].reply.headers == ((b"link", b"</>"),)


@pytest.mark.parametrize(("options", "most"), [({"stale_for": 10}, 10), ({}, 86400)])
def test_the_cache_does_not_say_how_old_an_answer_may_be(
    cache: Cache, clock: list[float], options: dict[str, Any], most: int
) -> None:
    service = make_service("alpha", "", **options)
    cache.values[module._name(KEY)] = (clock[0] - most - 1, 1e300, 200, [], TEXT)
    assert LastGood().recall(KEY, service).result(20) is None
    cache.values[module._name(KEY)] = (clock[0] - most + 1, 1e300, 200, [], TEXT)
    assert LastGood().recall(KEY, service).result(20)


def test_answers_that_can_no_longer_be_read_are_no_reason_to_leave_the_cache_alone(
    cache: Cache, clock: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    kept = LastGood()
    for number, text in enumerate(["[]", "\u20ac", "{}", "", "not JSON", "[]"]):
        cache.values[module._name(("alpha", str(number)))] = (clock[0], 300.0, 200, [], text)
        assert kept.recall(("alpha", str(number)), ALPHA).result(20) is None
    cache.values[module._name(KEY)] = value(clock[0])
    assert kept.recall(KEY, ALPHA).result(20)
    assert caplog.messages == []
