"""What the parts that do no I/O promise, tried on whatever hypothesis comes up with.

It needs no luck: every run tries the same examples, and no clock goes on by itself.
"""

import asyncio
import gzip
import json
import math
import re
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from contextvars import ContextVar
from io import BytesIO
from itertools import cycle
from threading import Barrier
from types import SimpleNamespace
from typing import Any, NamedTuple

import h11
import httpx
import pytest
from django.test import RequestFactory, override_settings
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)
from markupsafe import escape

from engine.conftest import make_service
from engine.visitors import make_visit
from fanout.calls import answer, call, fetch, last_good
from fanout.calls.answer import Readings, Reply
from fanout.calls.auth import Flow
from fanout.calls.body import BadStatus, Body
from fanout.calls.call import Call, judge
from fanout.calls.headers import REQUEST_ID, pass_on
from fanout.calls.last_good import Key, LastGood, make_done
from fanout.calls.mistake import BadAnswer
from fanout.calls.section import Section, State
from fanout.calls.service import Service, find_problems
from fanout.calls.transport import HttpxTransport, _HttpxAnswer, pool
from fanout.calls.visit import Visit
from fanout.pages.rendering import show_section
from fanout.pages.response import Outcome
from fanout.policies import deadline
from fanout.policies.breaker import Breaker, Paused, Unwell
from fanout.policies.bulkhead import Bulkhead
from fanout.policies.coalescing import share
from fanout.policies.deadline import Deadline
from fanout.policies.retry import RetryBudget

ROUNDING = 1e-6
FIXED = settings(
    derandomize=True,
    deadline=None,
    max_examples=200,
    stateful_step_count=40,
    suppress_health_check=[HealthCheck.too_slow],
)
SECONDS = st.floats(0.001, 3600)
SHARE = st.floats(0, 1)
INDEX = st.integers(0, 99)


class Clock:
    """A clock that stands still until it is moved, and a module `time` with no other one."""

    now = 1_000_000.0

    def __call__(self) -> float:
        """The time."""
        return self.now

    time = monotonic = __call__


@FIXED
@given(SECONDS, st.lists(st.tuples(SECONDS, SHARE, st.just(0.0) | SHARE), max_size=30))
def test_a_call_gets_a_share_of_what_is_left_and_calls_never_add_up_beyond_the_deadline(
    seconds: float, calls: list[tuple[float, float, float]]
) -> None:
    with pytest.MonkeyPatch.context() as patch, override_settings(FANOUT_DEADLINE=seconds):
        patch.setattr(deadline, "time", clock := Clock())
        visit = make_visit(seconds=seconds)
        for timeout, used, between in calls:
            clock.now += between * seconds
            left = max(0.0, seconds - visit.deadline.elapsed())
            call = Call(make_service("alpha", "http://alpha.test/", timeout=timeout), visit)
            assert call.seconds == pytest.approx(min(timeout, 0.85 * left))
            assert 0 <= call.seconds <= min(left, call.most + ROUNDING)
            assert call.find_known() is None
            call.begin()
            clock.now += used * call.seconds
            assert visit.deadline.elapsed() <= seconds + ROUNDING or not left
            if call.spend_retry(BadStatus(503)):
                assert used * call.seconds <= call.seconds / 2 + ROUNDING


class BreakerMachine(RuleBasedStateMachine):
    """Calls that begin, end and overlap as they like, beside what the breaker should know."""

    UNWELL = (httpx.ReadError(""), Unwell(""), Unwell("", 9.0))
    LATE = (httpx.ReadTimeout(""), TimeoutError(), asyncio.CancelledError())
    ENDS = (None, BadAnswer(), ValueError(), *UNWELL, *LATE)

    @initialize(failures=st.integers(0, 5), others=st.integers(0, 2))
    def start(self, failures: int, others: int) -> None:
        """Begin some calls, of which some have failed already."""
        self.clock = Clock()
        self.breaker = Breaker("alpha", 5.0, self.clock)
        self.failures, self.until, self.closed = 0, 0.0, True
        self.calls: list[tuple[AbstractContextManager[None], float, bool]] = []
        for _ in range(others + failures):
            self.begin()
        for _ in range(failures):
            self.end(others, self.UNWELL[0])

    @property
    def expected(self) -> str:
        """What a call should find."""
        paused = self.clock.now < self.until or any(probes for _, _, probes in self.calls)
        return "closed" if self.closed else "open" if paused else "half-open"

    @invariant()
    def _the_state_is_as_expected(self) -> None:
        assert self.breaker.state == self.expected

    @rule()
    def begin(self) -> None:
        """Call; that is refused only if the breaker is open."""
        guard, state = self.breaker.guard(1.0, judge), self.expected
        if state == "open":
            with pytest.raises(Paused):
                guard.__enter__()
        else:
            guard.__enter__()
            self.calls.append((guard, self.clock.now, state == "half-open"))

    @precondition(lambda self: self.calls)
    @rule(index=INDEX, error=st.just(UNWELL[0]) | st.sampled_from(ENDS))
    def end(self, index: int, error: BaseException | None) -> None:
        """End one of the calls; of those without an answer, only one that had its time counts."""
        guard, start, _ = self.calls.pop(index % len(self.calls))
        guard.__exit__(type(error) if error else None, error, None)
        if error is None or isinstance(error, BadAnswer):
            self.failures, self.closed = 0, True
        elif error in self.UNWELL or (error in self.LATE and self.clock.now - start >= 1.0):
            self.failures += 1
            pause = getattr(error, "pause", 0.0)
            if self.failures >= 5 or pause or not self.closed:
                self.closed = False
                self.until = max(self.until, self.clock.now + (pause or 5.0))

    @rule(seconds=st.sampled_from([0.5, 1.0, 4.0, 5.0, 60.0]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    def teardown(self) -> None:
        """End all calls."""
        for guard, _, _ in self.calls:
            guard.__exit__(None, None, None)


def test_a_breaker_refuses_calls_after_failures_in_a_row_until_a_probe_succeeds() -> None:
    run_state_machine_as_test(BreakerMachine, settings=FIXED)


STEP = st.sampled_from(["call", "retry"]) | st.floats(0, 5)


@FIXED
@given(st.lists(st.tuples(STEP, st.integers(1, 60)), max_size=20))
def test_retries_stay_within_their_budget_and_are_refused_only_when_it_is_spent(
    steps: list[tuple[str | float, int]],
) -> None:
    budget = RetryBudget(clock := Clock())
    earned = saved = 1.0
    retries = 0
    for step in [step for step, times in steps for _ in range(times)]:
        gain = 0.0
        if step == "retry":
            allowed = budget.withdraw()
            assert allowed == (saved >= 1) or abs(saved - 1) < ROUNDING
            retries += allowed
            saved -= allowed
        elif step == "call":
            budget.deposit()
            gain = 0.2
        else:
            clock.now += float(step)
            gain = 0.1 * float(step)
        earned += gain
        saved = min(10.0, saved + gain)
        assert retries <= earned + ROUNDING
    assert sum(budget.withdraw() for _ in range(20)) <= 10


class BulkheadMachine(RuleBasedStateMachine):
    """Who should be inside, and who should wait, in the order in which they came."""

    @initialize(places=st.integers(1, 4))
    def open(self, places: int) -> None:
        """Let nobody in yet."""
        self.places, self.bulkhead = places, Bulkhead(places)
        self.inside: list[Future[None]] = []
        self.waiting: list[Future[None]] = []

    @invariant()
    def _nobody_else_is_inside(self) -> None:
        assert all(turn.done() and not turn.cancelled() for turn in self.inside)
        assert not any(turn.done() for turn in self.waiting)

    @rule()
    def enter(self) -> None:
        """Come."""
        turns = self.inside if len(self.inside) < self.places else self.waiting
        turns.append(self.bulkhead.enter())

    @precondition(lambda self: self.inside)
    @rule(index=INDEX)
    def leave(self, index: int) -> None:
        """Leave, which lets the next one in."""
        self.bulkhead.leave(self.inside.pop(index % len(self.inside)))
        if self.waiting:
            self.inside.append(self.waiting.pop(0))

    @precondition(lambda self: self.waiting)
    @rule(index=INDEX, cancelled=st.booleans())
    def give_up(self, index: int, cancelled: bool) -> None:
        """Stop waiting."""
        turn = self.waiting.pop(index % len(self.waiting))
        if cancelled:
            turn.cancel()
        self.bulkhead.leave(turn)

    def teardown(self) -> None:
        """See that all places are free when all have left."""
        for turn in [*self.waiting, *self.inside]:
            self.bulkhead.leave(turn)
        free = [self.bulkhead.enter().done() for _ in range(self.places + 1)]
        assert free == [True] * self.places + [False]


def test_a_bulkhead_lets_in_as_many_as_fit_in_their_order_and_loses_no_place() -> None:
    run_state_machine_as_test(BulkheadMachine, settings=FIXED)


ODD: st.SearchStrategy[object] = st.sampled_from(
    [None, b"1", (), [], {1: 2}, 1j, object, math.nan, math.inf, -math.inf]
)
NO_NUMBER = ODD | st.text() | st.booleans()
NO_PERIOD = NO_NUMBER | st.just(10**400) | st.integers(max_value=-1) | st.floats(max_value=-1e-9)
PERIOD = (st.floats(0, allow_infinity=False) | st.integers(0, 10**9), NO_PERIOD)
TIMEOUT = (
    st.floats(0, 3600, exclude_min=True) | st.integers(1, 3600),
    NO_PERIOD | st.sampled_from([0, 0.0, 3601, 1e9]) | st.floats(3600, exclude_min=True),
)
COUNT = (st.integers(1), NO_NUMBER | st.integers(max_value=0) | st.floats())
FLAG = (st.booleans(), ODD | st.text() | st.integers() | st.floats())
NO_STATUS = ODD | st.text() | st.booleans() | st.integers(max_value=199) | st.integers(500)
NO_STATUSES = NO_STATUS.filter(lambda value: value != ()) | st.tuples(st.just(200), NO_STATUS)
KINDS = {
    "timeout": TIMEOUT,
    **dict.fromkeys(["stale_for", "cache_for", "break_for"], PERIOD),
    "concurrency": COUNT,
    "max_bytes": (st.integers(1, 2**25), COUNT[1] | st.integers(2**25 + 1)),
    **dict.fromkeys(["personal", "required", "coalesce"], FLAG),
    "retry": (st.none() | st.booleans(), FLAG[1].filter(lambda value: value is not None)),
    "empty": (st.lists(st.integers(200, 499)).map(tuple), NO_STATUSES),
}
RIGHT = st.fixed_dictionaries({}, optional={name: right for name, (right, _) in KINDS.items()})
WRONG = st.fixed_dictionaries({}, optional={name: wrong for name, (_, wrong) in KINDS.items()})
MISSPELLED = st.sampled_from(sorted(KINDS)).map(lambda name: f"{name[:-1]}x")


@FIXED
@given(RIGHT, st.just({}) | WRONG, st.dictionaries(MISSPELLED, ODD | st.text(), max_size=3), RIGHT)
def test_every_wrong_option_is_named_and_a_right_one_is_not(
    right: dict[str, Any], wrong: dict[str, Any], misspelled: dict[str, Any], base: dict[str, Any]
) -> None:
    cls = type("Alpha", (type("_Base", (Service,), base),), right | wrong | misspelled)
    expected = [f"{name!r} is " for name in KINDS if name in wrong]
    expected += [f"there is no option {name!r}; " for name in sorted(misspelled)]
    problems = list(find_problems(cls))
    assert len(problems) == len(expected), problems
    assert all(problem.startswith(tuple(expected)) for problem in problems)
    if not problems:
        cls("alpha", "")


def read_body(coding: str, limit: int, data: bytes, sizes: list[int]) -> bytes:
    """A body that comes in pieces; no more is held of it than its limit, and the last piece."""
    response = httpx.Response(200, headers={"Content-Encoding": coding} if coding else None)
    body, stream, pieces = Body(_HttpxAnswer(response), limit), BytesIO(data), cycle(sizes)
    while piece := stream.read(next(pieces)):
        try:
            for _ in body.add(piece):
                pass
        finally:
            held = sum(map(len, body._pieces)) + len(body._gzip.unused_data if body._gzip else b"")
            assert held <= limit + len(piece)
    return body.finish()


CONTENT = st.binary(max_size=200)
SIZES = st.lists(st.integers(1, 50), min_size=1)


@FIXED
@given(
    CONTENT | st.integers(0, 5000).map(bytes),
    st.sampled_from(["", "identity", "gzip", "x-gzip"]),
    SIZES,
    st.sampled_from([-1, 0, 1, 2, 4000]),
)
def test_a_body_is_what_was_sent_however_it_is_cut_unless_it_is_too_long(
    content: bytes, coding: str, sizes: list[int], excess: int
) -> None:
    sent = gzip.compress(content, mtime=0) if "gzip" in coding else content
    limit = max(1, len(content) - excess)
    if len(content) <= limit:
        assert read_body(coding, limit, sent, sizes) == content
    else:
        with pytest.raises(BadAnswer, match="more than"):
            read_body(coding, limit, sent, sizes)


@FIXED
@given(
    st.sampled_from(["cut off", "goes on", "changed", "nonsense"]),
    CONTENT,
    st.integers(0),
    st.binary(min_size=1) | st.integers(1, 2000).map(bytes),
    SIZES,
)
def test_broken_gzip_is_a_bad_answer_and_nothing_else(
    how: str, content: bytes, place: int, junk: bytes, sizes: list[int]
) -> None:
    packed = gzip.compress(content, mtime=0)
    place %= len(packed)
    broken = {
        "cut off": packed[: max(1, place)],
        "goes on": packed + junk,
        "changed": packed[:place] + junk + packed[place + len(junk) :],
        "nonsense": junk,
    }[how]
    try:
        read = read_body("gzip", 200, broken, sizes)
    except BadAnswer:
        return
    assert how == "changed"  # where nothing hangs on it, as in the time of packing
    assert read == content


def make_trace(version: int, trace: int, parent: int, flags: int) -> str:
    """A traceparent."""
    return f"{version:02x}-{trace:032x}-{parent:016x}-{flags:02x}"


FORMS = {
    REQUEST_ID: r"[a-zA-Z0-9_-]{1,64}",
    "traceparent": "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",
}
LENGTHS = {REQUEST_ID: 64, "traceparent": 55}
LEGAL = {
    name: st.builds(
        str.ljust,
        st.from_regex(form, fullmatch=True),
        st.sampled_from([0, LENGTHS[name]]),
        st.just("a"),
    )
    for name, form in FORMS.items()
}
SPOIL = st.sampled_from(
    [
        *[("$", end) for end in ("a", " ", "\n", "\r\nCookie: a=1", "\u0663")],
        *[("^", " "), ("^..", "ff"), ("[a-f]", "F"), ("[0-9]", "\u0663"), (".+", "")],
        *[("-.{32}-", f"-{0:032}-"), ("-.{16}-", f"-{0:016}-")],
    ]
)


def name_in_meta(header: str) -> str:
    """Where Django has a header."""
    return f"HTTP_{header.upper().replace('-', '_')}"


@FIXED
@given(st.fixed_dictionaries(LEGAL))
def test_legal_headers_go_on_as_they_came(headers: dict[str, str]) -> None:
    assert pass_on({name_in_meta(name): value for name, value in headers.items()}) == headers


@FIXED
@given(st.fixed_dictionaries(LEGAL), st.sampled_from(list(LEGAL)), SPOIL, st.none() | st.text())
def test_no_other_headers_go_on(
    headers: dict[str, str], name: str, spoil: tuple[str, str], instead: str | None
) -> None:
    spoilt = re.sub(*spoil, headers[name]) if instead is None else instead
    others = {"Cookie": "a=1", "Authorization": "Basic YTpi", "tracestate": "a=1"}
    came = headers | {name: spoilt} | others
    sent = pass_on({name_in_meta(header): value for header, value in came.items()})
    h11.Request(method="GET", target="/", headers=[("Host", "alpha"), *sent.items()])
    assert all(re.fullmatch(FORMS[name], value) for name, value in sent.items())
    made = sent.pop(REQUEST_ID) if sent[REQUEST_ID] != came[REQUEST_ID] else "0" * 32
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert sent.items() <= came.items() - others.items()


def read_answer(body: bytes) -> Any:
    """What a plain service says."""
    return Readings().read(make_service("alpha", ""), Reply(200, (), body), 0.0).data


def answers_of(
    text: st.SearchStrategy[Any], leaf: st.SearchStrategy[Any], junk: st.SearchStrategy[Any]
) -> st.SearchStrategy[Any]:
    """What a service says, with junk for its parts; unknown keys have whatever JSON can be."""
    more = st.recursive(leaf, lambda v: st.lists(v) | st.dictionaries(st.text(), v), max_leaves=9)
    some = {"text": text, "url": text, "image": text, "more": more}
    item = st.fixed_dictionaries({"title": text}, optional=some) | junk
    items = st.lists(item, max_size=3) | junk
    return st.fixed_dictionaries({"title": text, "items": items}, optional={"more": more}) | junk


WORD = st.from_regex(r"\A(https?://[a-z]{1,9}\.test)?/[a-z0-9/?=&#.-]{0,9}\Z")
FINITE = st.floats(allow_nan=False, allow_infinity=False)
GOOD = answers_of(WORD, st.none() | st.integers() | FINITE | st.text(), st.nothing())
ODD_WORD = st.sampled_from(
    [
        *("JavaScript:", "java\nscript:", "\x01vbscript:", "data:text/html,", "data:image/png,"),
        *("/\0", "http://[", "\ud800", "\udfff", "\ud83d\ude00", None, 1),
    ]
)
SCALAR = st.none() | st.booleans() | st.integers() | st.floats() | st.text("a\ud800\udfff")
JUNK: st.SearchStrategy[Any] = st.sampled_from(
    [{}, [], None, "", {"url": "/"}, {"title": "a", "image": 1}, math.nan]
)
ODD_BODY = st.sampled_from([b'{"a": 1e999}', b'{"a": -Infinity}', b"[" * 10_000, b'{"a":' * 10_000])
HOSTILE = answers_of(WORD | WORD | ODD_WORD, SCALAR, JUNK).map(json.dumps).map(str.encode)


@FIXED
@given(GOOD, st.sampled_from(["utf-8", "utf-8-sig"]))
def test_an_answer_that_keeps_the_contract_is_taken_as_it_is(data: Any, coding: str) -> None:
    assert read_answer(json.dumps(data).encode(coding)) == data


def is_harmless(url: str) -> bool:
    """Whether a browser would run nothing; it skips control characters, which have to be gone."""
    scheme = re.match(r"([a-z][a-z0-9+.-]*):", url.lower())
    return not re.search(r"[\0- \x7f]", url) and (not scheme or scheme[1] in ("http", "https"))


def judge_answer(body: bytes) -> Any:
    """What becomes of an answer."""
    try:
        return read_answer(body)
    except BadAnswer as error:
        return str(error)


@FIXED
@given(GOOD.map(json.dumps).map(str.encode) | HOSTILE)
def test_a_look_at_all_items_finds_what_a_look_at_each_one_does(body: bytes) -> None:
    found = judge_answer(body)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("fanout.calls.section._are_plain", lambda items: False)
        assert judge_answer(body) == found


@settings(FIXED, max_examples=500)
@given(HOSTILE | HOSTILE | ODD_BODY | st.binary())
def test_an_answer_is_safe_and_can_be_read_again_or_is_a_bad_one(body: bytes) -> None:
    try:
        data = read_answer(body)
    except BadAnswer:
        return
    assert isinstance(data["items"], list)
    for item in data["items"]:
        assert all(isinstance(item.get(key), str | None) for key in ("text", "url", "image"))
        assert isinstance(item["title"], str)
        assert is_harmless(item.get("url") or "")
        image = item.get("image") or ""
        assert image.startswith("data:image/") or is_harmless(image)
    assert isinstance(data["title"], str)
    assert read_answer(json.dumps(data, ensure_ascii=False, allow_nan=False).encode()) == data


PROCESS = st.integers(0, 1)
KEY = st.sampled_from([("a", "1"), ("a", "2"), ("a", "3"), ("b", "1"), ("b", "2"), ("a1", "")])
AGE = st.sampled_from([0.0, 1.0, 60.0, 300.0])


class Shared(dict[str, Any]):
    """A cache that two processes share, without threads."""

    def set(self, name: str, value: Any, _: float) -> None:
        """Keep a value."""
        self[name] = value

    def delete(self, name: str) -> None:
        """Forget a value."""
        self.pop(name, None)


def share_processes(patch: pytest.MonkeyPatch, clock: Clock) -> list[LastGood]:
    """What two processes keep, which share a cache and a clock."""
    for module in (answer, call, last_good):
        patch.setattr(module, "time", clock)
    patch.setattr(last_good, "caches", {"fanout": Shared()})
    patch.setattr(last_good, "is_shared", lambda: True)
    patch.setattr(LastGood, "_start", lambda _, do, *arguments: make_done(do(*arguments)))
    return [LastGood(), LastGood()]


class LastGoodMachine(RuleBasedStateMachine):
    """Two processes with little room, beside every answer that there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.patch = Clock(), pytest.MonkeyPatch()
        self.processes = share_processes(self.patch, self.clock)
        self.patch.setattr(last_good, "OVERHEAD", 100)
        self.patch.setattr(last_good, "MAX_KEPT", 600)
        self.reader = make_service("a", "")
        self.answers: list[tuple[Key, float, float, float]] = []
        self.gone: dict[tuple[int, Key], int] = {}

    def weigh(self, process: int) -> dict[str, int]:
        """The bytes of each service."""
        kept = self.processes[process]._kept
        return {name: sum(k.weight for k in kept[name].values()) for name in ("a", "b", "a1")}

    @invariant()
    def _no_process_holds_too_much(self) -> None:
        for process, kept in enumerate(self.processes):
            weights = self.weigh(process)
            assert sum(weights.values()) <= 600
            assert all(kept._bytes[name] == weight for name, weight in weights.items())

    @rule(process=PROCESS, key=KEY, size=st.sampled_from([0, 0, 50, 100]), fresh=AGE, stale=AGE)
    def keep(self, process: int, key: Key, size: int, fresh: float, stale: float) -> None:
        """Keep an answer, which can then be found; only the service with most makes room for it."""
        data = {"title": f"{len(self.answers)}", "items": [], "more": "x" * size}
        reply = Reply(200, (), json.dumps(data).encode())
        self.answers.append((key, self.clock.now, fresh, stale))
        before = self.weigh(process)
        self.processes[process].keep(key, reply, fresh, stale)
        after = self.weigh(process)
        others = [name for name in after if name != key[0]]
        losers = [name for name in others if after[name] < before[name]]
        assert all(before[name] >= after[key[0]] for name in losers)
        found = self.processes[process].find(key, self.reader, stale=True)
        most = not after[key[0]] and all(after[name] <= 100 + len(reply.body) for name in others)
        assert found or most or not stale
        assert not found or found.data == data

    @rule(process=PROCESS, key=KEY)
    def drop(self, process: int, key: Key) -> None:
        """Forget what is gone."""
        self.processes[process].drop(key)
        self.gone[process, key] = len(self.answers)

    @rule(process=PROCESS, key=KEY, how=st.sampled_from(["fresh", "stale", "recalled"]))
    def look(self, process: int, key: Key, how: str) -> None:
        """Look for an answer; it is neither too old nor gone."""
        known = self.processes[process]
        if how == "recalled":
            found = known.recall(key, self.reader).result(0)
        else:
            found = known.find(key, self.reader, stale=how == "stale")
        if found:
            number = int(found.data["title"])
            of, at, fresh, stale = self.answers[number]
            assert (of, at) == (key, found.at)
            assert found.age == self.clock.now - at < (fresh if how == "fresh" else stale)
            assert number >= self.gone.get((process, key), 0)

    @rule(process=PROCESS)
    def restart(self, process: int) -> None:
        """Forget what only this process knows."""
        self.processes[process].clear()

    @rule(seconds=st.floats(0, 100))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    def teardown(self) -> None:
        """Let the clock go on."""
        self.patch.undo()


def test_last_good_answers_are_bounded_and_never_too_old_or_gone_or_of_another_key() -> None:
    run_state_machine_as_test(LastGoodMachine, settings=FIXED)


class Visitor(NamedTuple):
    """Somebody, with a page; `places` say where a request has their id, language and word."""

    user: str
    language: str
    word: str
    proof: str  # that `auth` shows
    method: str
    places: tuple[str, str, str]


PLACES = [
    *[(place, place, place) for place in ("query", "header", "body", "path")],
    *[("query", "header", "body"), ("body", "path", "header")],
    *[("header", "nowhere", "nowhere"), ("nowhere", "header", "nowhere")],
    ("nowhere", "nowhere", "header"),
]
VISITOR = st.builds(
    Visitor,
    *map(st.sampled_from, [["", "1", "2"], ["1", "2"], ["1", "2"], ["1", "2"], ["GET", "POST"]]),
    st.sampled_from(PLACES),
)
CHANGE = st.tuples(st.sampled_from([*Visitor._fields, "places"]), VISITOR)
VISITORS = st.tuples(VISITOR, st.lists(CHANGE, max_size=2)).map(
    lambda drawn: [
        drawn[0],  # and some who differ from them in one thing at most
        *[drawn[0]._replace(**{name: getattr(other, name)}) for name, other in drawn[1]],
    ]
)
proof: ContextVar[str] = ContextVar("proof")


def describe(request: httpx.Request) -> str:
    """All of a request but what the engine adds."""
    sent = {"authorization", "content-type", "user", "language", "word"}
    headers = sorted((name, value) for name, value in request.headers.items() if name in sent)
    return repr((request.method, str(request.url), headers, request.read()))


class Proof(httpx.Auth):
    """Shows what the visitor has to show."""

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Set a header."""
        request.headers["Authorization"] = proof.get()
        yield request


class _Plain(Service):
    break_for = 0.0


class _Personal(_Plain):
    personal = True


class _Asking(_Plain):
    def request(self, visit: Visit) -> httpx.Request:
        """Whatever a visitor has, wherever they want it."""
        user = str(visit.viewer.pk) if visit.viewer else ""
        facts = {"user": user, "language": visit.language, "word": visit.kwargs["word"]}
        query, header, body, path = (
            {name: facts[name] for name, where in visit.kwargs["places"].items() if where == place}
            for place in ("query", "header", "body", "path")
        )
        url = self.url.join("/".join(map("/".join, path.items()))).copy_merge_params(query)
        method = str(visit.request.method)
        return httpx.Request(method, url, headers=header, json=body or None)


class _Reading(_Asking):
    def read(self, response: httpx.Response) -> Mapping[str, object]:
        """What a header says."""
        return {"items": [{"title": response.headers["X-Asked"]}]}


class _Naming(_Plain):
    def read(self, response: httpx.Response) -> Mapping[str, object]:
        """What a plain service says, under another heading."""
        return {**super().read(response), "title": "Named"}


class _Proving(_Asking):
    auth = Proof()


class _PersonalProving(_Personal):
    auth = Proof()


STYLES = ["sync", "naive", "gather", "stream"]
ADDRESSES = {
    **dict.fromkeys([_Plain, _Personal, _Asking, _Naming], "http://a.test/"),
    **dict.fromkeys([_Proving, _PersonalProving], "http://a.test/"),
    _Reading: "http://a.test/always/",
}
OPTIONS = st.fixed_dictionaries(
    {},
    optional={
        "cache_for": st.sampled_from([0.0, 60.0]),
        "stale_for": st.sampled_from([0.0, 300.0]),
        "coalesce": st.booleans(),
    },
)
CONTROL = st.sampled_from(["", "max-age=60", "private, max-age=60", "private", "no-store"])


class Upstream(httpx.AsyncBaseTransport):
    """Says what it was asked, when all who could share the answer have come."""

    def __init__(self) -> None:
        """Answer well; nobody is to come."""
        self.status, self.control = 200, ""
        self.expected = 0  # calls, of threads
        self.came: list[Any] = []
        self.asked = self.calls = 0

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Answer."""
        await asyncio.sleep(0)
        while len(self.came) < self.expected:  # noqa: ASYNC110 - threads come
            await asyncio.sleep(0)
        return self.answer(request)

    def answer(self, request: httpx.Request) -> httpx.Response:
        """What it was asked, as a title and in a header, with a body that is always the same."""
        self.calls += 1
        asked = describe(request)
        always = request.url.path.startswith("/always/")
        body = json.dumps({"items": [] if always else [{"title": asked}]}).encode()
        headers = {"Cache-Control": self.control, "X-Asked": asked}
        return httpx.Response(self.status, headers=headers, stream=httpx.ByteStream(body))


class VisitorsMachine(RuleBasedStateMachine):
    """Pages of random visitors in two processes, beside what each of them should have asked."""

    seen: set[str]

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.patch, self.upstream = Clock(), pytest.MonkeyPatch(), Upstream()
        self.kept = share_processes(self.patch, self.clock)
        transport = HttpxTransport(self.upstream)
        self.patch.setattr(fetch, "get_transport", lambda: transport)
        find_known, read = Call.find_known, LastGood._read

        def find(call: Call) -> Any:
            known = find_known(call)
            if known:
                self.seen.add("known")
                self.upstream.came.append(call)
            return known

        async def ask(*arguments: Any) -> Any:  # on the loop of the calls
            self.upstream.asked += 1
            self.upstream.came.append(arguments)
            return await share(*arguments)

        def look(kept: LastGood, *arguments: Any) -> Any:
            found = read(kept, *arguments)
            if found:
                self.seen.add("read from the cache")
            return found

        self.patch.setattr(Call, "find_known", find)
        self.patch.setattr(fetch, "share", ask)
        self.patch.setattr(LastGood, "_read", look)

    @initialize(options=st.tuples(*[OPTIONS] * len(ADDRESSES)))
    def start(self, options: tuple[dict[str, Any], ...]) -> None:
        """Start two processes with the same services."""
        self.services = [
            [
                type(base.__name__, (base,), own)(base.__name__, address)
                for (base, address), own in zip(ADDRESSES.items(), options, strict=True)
            ]
            for _ in self.kept
        ]

    @rule(
        process=PROCESS,
        style=st.sampled_from(STYLES),
        visitors=VISITORS,
        status=st.sampled_from([200, 200, 500, 404]),
        control=CONTROL,
    )
    def ask(
        self, process: int, style: str, visitors: list[Visitor], status: int, control: str
    ) -> None:
        """Let visitors come to a process at the same time."""
        self.upstream.status, self.upstream.control = status, control
        self.upstream.calls = self.upstream.asked = self.upstream.expected = 0
        self.patch.setattr(call, "last_good", self.kept[process])
        pages = (
            self.ask_sync(process, visitors)
            if style == "sync"
            else asyncio.run(self.ask_async(process, style, visitors))
        )
        if self.upstream.calls < self.upstream.asked:
            self.seen.add(f"{style} shared")
        for visitor, sections in zip(visitors, pages, strict=True):
            for service in self.services[process]:
                self.check(service, visitor, sections[service.name])

    def ask_sync(self, process: int, visitors: list[Visitor]) -> list[dict[str, Section]]:
        """One call after another, each at the same time as those of the other visitors."""

        def meet() -> None:
            self.upstream.came.clear()
            self.upstream.expected = len(visitors)

        gate = Barrier(len(visitors), meet, 60)

        def ask(visitor: Visitor) -> dict[str, Section]:
            proof.set(visitor.proof)
            visit, sections = make_page(visitor), {}
            for service in self.services[process]:
                gate.wait()
                sections[service.name] = fetch.fetch(service, visit)
            return sections

        with ThreadPoolExecutor(len(visitors)) as threads:
            return list(threads.map(ask, visitors))

    async def ask_async(
        self, process: int, style: str, visitors: list[Visitor]
    ) -> list[dict[str, Section]]:
        """As the styles do it."""

        async def ask(visitor: Visitor) -> dict[str, Section]:
            proof.set(visitor.proof)
            visit, services = make_page(visitor), self.services[process]
            if style == "naive":
                sections = [await fetch.afetch(service, visit) for service in services]
            elif style == "gather":
                calls = [fetch.afetch(service, visit) for service in services]
                sections = await asyncio.gather(*calls)
            else:
                sections = [
                    s async for part in fetch.afetch_as_completed(services, visit) for s in part
                ]
            return {section.name: section for section in sections}

        async with pool():
            return await asyncio.gather(*map(ask, visitors))

    def check(self, service: Service, visitor: Visitor, section: Section) -> None:
        """See that a section is the visitor's."""
        self.seen.add(section.state)
        visit = make_page(visitor)
        request = service.request(visit)
        assert request
        if service.auth:
            request.headers["Authorization"] = visitor.proof
        section, html = show_section(section, visit.request, strict=True)
        if section.state != "failed":
            assert section.title == ("Named" if isinstance(service, _Naming) else service.title)
            assert [item["title"] for item in section.items] == [describe(request)]
            assert str(escape(describe(request))) in html

    @rule(process=PROCESS)
    def restart(self, process: int) -> None:
        """Forget what only this process knows."""
        self.kept[process].clear()

    @rule(seconds=st.sampled_from([1, 59, 299]))
    def wait(self, seconds: float) -> None:
        """Let time pass."""
        self.clock.now += seconds

    def teardown(self) -> None:
        """Let the clock go on."""
        self.patch.undo()


def make_page(visitor: Visitor) -> Visit:
    """A visit of theirs."""
    request = RequestFactory().generic(visitor.method, "/")
    places = dict(zip(("user", "language", "word"), visitor.places, strict=True))
    arguments = {"word": visitor.word, "places": places}
    match: Any = SimpleNamespace(kwargs=arguments, captured_kwargs=arguments)
    request.resolver_match = match
    viewer: Any = SimpleNamespace(pk=visitor.user) if visitor.user else None
    return Visit(request, viewer, Deadline(60.0), pass_on({}), language=visitor.language)


def test_nobody_gets_an_answer_to_another_request() -> None:
    VisitorsMachine.seen = set()
    some = settings(FIXED, max_examples=100, stateful_step_count=20)
    run_state_machine_as_test(VisitorsMachine, settings=some)
    ways = {f"{style} shared" for style in STYLES} | {"known", "read from the cache"}
    assert VisitorsMachine.seen == ways | {"ok", "stale", "failed"}


STATE = st.sampled_from(["ok", "stale", "failed"])


@FIXED
@given(st.lists(st.tuples(STATE, st.booleans()), max_size=5))
def test_a_page_is_a_503_without_what_it_needs_or_all_and_complete_if_all_is_ok(
    states: list[tuple[State, bool]],
) -> None:
    sections = [
        Section(name=str(n), title="", state=state, start=0.0, duration=0.0)
        for n, (state, _) in enumerate(states)
    ]
    required = {str(n) for n, (_, required) in enumerate(states) if required}
    page = Outcome("sync", tuple(sections), 0.0, required)
    shown = [section for section in sections if section.state in ("ok", "stale")]
    needed = [section for section in sections if section.name in required]
    assert page.status == (200 if shown and all(s in shown for s in needed) else 503)
    assert page.complete == all(section.state == "ok" for section in sections)
