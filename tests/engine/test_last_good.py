"""The last good answer is kept, bounded, and written through to the cache now and then."""

from collections.abc import Iterator
from queue import Queue
from typing import Any

import pytest

from fanout.calls import last_good as module
from fanout.calls.answer import Answer, BadAnswer, readings
from fanout.calls.last_good import JsonSerializer, LastGood

KEY = ("alpha", "http://alpha.test/", "")
OTHER = ("alpha", "http://alpha.test/", "7")
TEXT = '{"title": "Good", "items": []}'
BODY = TEXT.encode()


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

    def get(self, name: str) -> Any:
        """What was kept."""
        if self.error:
            raise self.error
        return self.values.get(name)


@pytest.fixture
def cache(monkeypatch: pytest.MonkeyPatch) -> Cache:
    """What all processes share."""
    cache = Cache()
    monkeypatch.setattr(module, "caches", {"fanout": cache})
    monkeypatch.setattr(module, "is_shared", lambda: True)
    return cache


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    """The time, which stands still."""
    now = [1_000_000.0]
    monkeypatch.setattr("time.time", lambda: now[0])
    yield now
    monkeypatch.undo()


@pytest.fixture
def kept(cache: Cache, clock: list[float]) -> LastGood:
    """With one answer in it, which was written through."""
    kept = LastGood()
    kept.keep(KEY, BODY, 300.0)
    assert cache.writes.get(timeout=20)[1:] == ((clock[0], TEXT), 300.0)
    return kept


def test_an_answer_is_found_until_it_is_too_old(kept: LastGood, clock: list[float]) -> None:
    clock[0] += 299
    answer = kept.find(KEY, 300.0)
    assert answer
    assert (answer.data["title"], answer.age) == ("Good", 299)
    clock[0] += 1
    assert kept.find(KEY, 300.0) is None


def test_one_that_can_no_longer_be_read_is_none(
    kept: LastGood, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read(body: bytes, at: float) -> Answer:
        raise BadAnswer

    monkeypatch.setattr(readings, "read", read)
    assert kept.recall(KEY, 300.0).result(20) is None


def test_viewers_do_not_share(kept: LastGood) -> None:
    assert kept.find(OTHER, 300.0) is None
    assert kept.recall(OTHER, 300.0).result(20) is None


def test_it_is_written_through_four_times_at_most(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    for _ in range(300):
        clock[0] += 1
        kept.keep(KEY, BODY, 300.0)
    kept.keep(OTHER, BODY, 300.0)
    writes = [cache.writes.get(timeout=20) for _ in range(5)]
    assert cache.writes.empty()
    assert sorted(value[0] - clock[0] for _, value, _ in writes) == [-225, -150, -75, 0, 0]
    assert len({name for name, _, _ in writes}) == 2


def test_what_may_not_get_stale_is_not_written_through(cache: Cache, clock: list[float]) -> None:
    kept = LastGood()
    kept.keep(KEY, BODY, 0.0)
    assert kept.find(KEY, 1.0)
    assert cache.writes.empty()


def test_what_another_process_wrote_is_recalled_with_its_age(
    kept: LastGood, clock: list[float]
) -> None:
    clock[0] += 30
    other = LastGood()
    assert other.find(KEY, 300.0) is None
    answer = other.recall(KEY, 300.0).result(20)
    assert answer
    assert (answer.data["title"], answer.age) == ("Good", 30)
    assert other.find(KEY, 300.0) == answer


def test_any_body_survives_the_cache(cache: Cache, clock: list[float]) -> None:
    body = b'{"title": "\xc3\xa9 \xe2\x80\xa8", "items": []}'
    LastGood().keep(KEY, body, 300.0)
    _, (at, text), _ = cache.writes.get(timeout=20)
    serializer = JsonSerializer()
    cache.values[module._name(KEY)] = serializer.loads(serializer.dumps((at, text)))
    answer = LastGood().recall(KEY, 300.0).result(20)
    assert answer
    assert answer.data["title"] == "é \u2028"


def test_a_cache_of_this_process_alone_gets_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    cache = Cache()
    monkeypatch.setattr(module, "caches", {"fanout": cache})
    kept = LastGood()
    kept.keep(KEY, BODY, 300.0)
    cache.error = AssertionError("The cache was asked.")
    assert kept.recall(OTHER, 300.0).result(0) is None
    assert cache.writes.empty()


def test_a_newer_answer_of_this_process_stays(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    clock[0] += 1
    kept.keep(KEY, b'{"title": "Newer", "items": []}', 300.0)
    assert kept._read(KEY, 300.0) == kept.find(KEY, 300.0)
    found = kept.find(KEY, 300.0)
    assert found
    assert found.data["title"] == "Newer"


def test_nothing_is_recalled_where_nothing_may_be_stale(kept: LastGood, cache: Cache) -> None:
    cache.error = AssertionError("The cache was asked.")
    assert kept.recall(KEY, 0.0).result(0) is None


@pytest.mark.parametrize(
    "value",
    ["text", (1.0, "not JSON"), (1.0, "[]"), (1.0, "\ud800"), ("1", TEXT), (float("inf"), ""), 7],
)
def test_nonsense_in_the_cache_is_nothing(cache: Cache, value: Any) -> None:
    cache.values[module._name(KEY)] = value
    assert LastGood().recall(KEY, 1e12).result(20) is None


def test_a_clock_that_is_ahead_makes_no_answer_immortal(cache: Cache, clock: list[float]) -> None:
    cache.values[module._name(KEY)] = (clock[0] + 1e9, TEXT)
    kept = LastGood()
    assert kept.recall(KEY, 300.0).result(20)
    clock[0] += 300
    assert kept.find(KEY, 300.0) is None


def test_a_clock_that_is_set_back_makes_no_answer_immortal(
    kept: LastGood, cache: Cache, clock: list[float]
) -> None:
    clock[0] -= 600
    assert kept.find(KEY, 300.0) is None
    kept.keep(KEY, BODY, 300.0)
    assert cache.writes.get(timeout=20)[1:] == ((clock[0], TEXT), 300.0)
    assert kept.find(KEY, 300.0)


def test_a_cache_that_fails_is_left_alone_for_a_while(
    cache: Cache, caplog: pytest.LogCaptureFixture
) -> None:
    cache.error = ConnectionError("refused")
    kept = LastGood()
    for _ in range(10):
        assert kept.recall(KEY, 300.0).result(20) is None
    assert caplog.messages == ["the cache is paused for 5 s: ConnectionError('refused')"]


def test_too_much_to_do_is_not_done(cache: Cache) -> None:
    kept = LastGood()
    while kept._places.acquire(blocking=False):
        pass
    kept.keep(KEY, BODY, 300.0)
    assert kept.recall(OTHER, 300.0).result(0) is None
    assert cache.writes.empty()
    kept._places.release()
    kept.keep(KEY, BODY, 300.0)  # it is made up for
    assert cache.writes.get(timeout=20)


@pytest.mark.parametrize(("limit", "size"), [("MAX_ANSWERS", 3), ("MAX_BYTES", 3 * len(BODY))])
@pytest.mark.usefixtures("cache")
def test_the_one_not_renewed_for_longest_goes_first(
    monkeypatch: pytest.MonkeyPatch, limit: str, size: int
) -> None:
    monkeypatch.setattr(module, limit, size)
    kept = LastGood()
    keys = [("alpha", "", str(number)) for number in range(4)]
    for key in [*keys[:3], keys[0], keys[3]]:
        kept.keep(key, BODY, 0.0)
    assert [bool(kept.find(key, 60.0)) for key in keys] == [True, False, True, True]
    kept.clear()
    assert not any(kept.find(key, 60.0) for key in keys)
