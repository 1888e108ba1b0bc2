"""What the parts that do no I/O promise, tried on whatever hypothesis comes up with.

It needs no luck: every run tries the same examples, and no clock goes on by itself.
"""

import asyncio
import gzip
import json
import math
import re
from concurrent.futures import Future
from contextlib import AbstractContextManager
from io import BytesIO
from itertools import cycle
from types import SimpleNamespace
from typing import Any

import h11
import httpx
import pytest
from django.test import override_settings
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

from engine.conftest import make_service
from engine.visitors import make_visit
from fanout.calls import answer, last_good
from fanout.calls.answer import BadAnswer, Body, read_answer
from fanout.calls.call import Call, Section, State, Unavailable, judge
from fanout.calls.headers import REQUEST_ID, pass_on
from fanout.calls.last_good import Key, LastGood, _done
from fanout.calls.service import Service, find_problems
from fanout.pages.response import Page
from fanout.policies import deadline
from fanout.policies.breaker import Breaker, Paused, Unwell
from fanout.policies.bulkhead import Bulkhead
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
            call = Call(make_service("alpha", "", timeout=timeout), visit)
            assert call.seconds == pytest.approx(min(timeout, 0.85 * left))
            assert 0 <= call.seconds <= min(left, call.most + ROUNDING)
            clock.now += used * call.seconds
            assert visit.deadline.elapsed() <= seconds + ROUNDING or not left
            if call.spend_retry(Unavailable("")):
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
KINDS = {
    "timeout": TIMEOUT,
    **dict.fromkeys(["stale_for", "cache_for", "break_for"], PERIOD),
    "concurrency": COUNT,
    "max_bytes": (st.integers(1, 2**25), COUNT[1] | st.integers(2**25 + 1)),
    **dict.fromkeys(["personal", "required", "coalesce", "retry"], FLAG),
}
RIGHT = st.fixed_dictionaries({}, optional={name: right for name, (right, _) in KINDS.items()})
WRONG = st.fixed_dictionaries({}, optional={name: wrong for name, (_, wrong) in KINDS.items()})
MISSPELLED = st.sampled_from(sorted(KINDS)).map(lambda name: f"{name[:-1]}x")


@FIXED
@given(RIGHT, st.just({}) | WRONG, st.dictionaries(MISSPELLED, ODD | st.text(), max_size=3), RIGHT)
def test_every_wrong_option_is_named_and_a_right_one_is_not(
    right: dict[str, Any], wrong: dict[str, Any], misspelled: dict[str, Any], base: dict[str, Any]
) -> None:
    options = base | right | wrong
    cls = type("Alpha", (type("_Base", (Service,), base),), right | wrong | misspelled)
    expected = [f"{name!r} is " for name in KINDS if name in wrong]
    if options.get("personal") and options.get("cache_for"):
        expected.append("'cache_for' is for services that are not 'personal'.")
    expected += [f"there is no option {name!r}; " for name in sorted(misspelled)]
    problems = list(find_problems(cls))
    assert len(problems) == len(expected), problems
    assert all(problem.startswith(tuple(expected)) for problem in problems)
    if not problems:
        cls("alpha", "")


def read_body(coding: str, limit: int, data: bytes, sizes: list[int]) -> bytes:
    """A body that comes in pieces; no more is held of it than its limit, and the last piece."""
    body, stream, pieces = Body(coding, limit), BytesIO(data), cycle(sizes)
    while piece := stream.read(next(pieces)):
        try:
            for _ in body.add(piece):
                pass
        finally:
            held = len(body._bytes) + len(body._gzip.unused_data if body._gzip else b"")
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
        "cut off": packed[:place],
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


MEMBER = "([a-z][a-z0-9_*/-]{0,255}|[a-z0-9][a-z0-9_*/-]{0,240}@[a-z][a-z0-9_*/-]{0,13})"
VALUE = r"[ -+\--<>-~]{0,255}[!-+\--<>-~]"
FORMS = {
    REQUEST_ID: r"[a-zA-Z0-9_-]{1,64}",
    "traceparent": "(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}",
    "tracestate": rf"{MEMBER}={VALUE}([ \t]*,[ \t]*{MEMBER}={VALUE}){{0,31}}",
}
LENGTHS = {REQUEST_ID: 64, "traceparent": 55, "tracestate": 0}
LEGAL = {
    name: st.builds(
        str.ljust,
        st.from_regex(form, fullmatch=True),
        st.sampled_from([0, LENGTHS[name]]),
        st.just("a"),
    )
    for name, form in FORMS.items()
}
MEMBERS = st.dictionaries(
    st.from_regex(MEMBER, fullmatch=True), st.from_regex(VALUE, fullmatch=True)
)
LEGAL["tracestate"] = (
    MEMBERS.map(lambda members: " , ".join(map("=".join, members.items())))
    .map(lambda state: state[:512].rpartition(" , ")[0] if len(state) > 512 else state)
    .map(lambda state: state or "a=1")
)
SPOIL = st.sampled_from(
    [
        *[("$", end) for end in ("a", " ", "\n", "\r\nCookie: a=1", "\u0663")],
        *[("^", " "), ("^..", "ff"), ("[a-f]", "F"), ("[0-9]", "\u0663"), (".+", "")],
        *[("-.{32}-", f"-{0:032}-"), ("-.{16}-", f"-{0:016}-")],
    ]
)


@FIXED
@given(st.fixed_dictionaries(LEGAL))
def test_legal_headers_go_on_as_they_came(headers: dict[str, str]) -> None:
    assert pass_on(headers) == headers


@FIXED
@given(st.fixed_dictionaries(LEGAL), st.sampled_from(list(LEGAL)), SPOIL, st.none() | st.text())
def test_no_other_headers_go_on(
    headers: dict[str, str], name: str, spoil: tuple[str, str], instead: str | None
) -> None:
    spoilt = re.sub(*spoil, headers[name]) if instead is None else instead
    came = headers | {name: spoilt, "Cookie": "a=1", "Authorization": "Basic YTpi"}
    sent = pass_on(came)
    h11.Request(method="GET", target="/", headers=[("Host", "alpha"), *sent.items()])
    assert all(re.fullmatch(FORMS[name], value) for name, value in sent.items())
    made = sent.pop(REQUEST_ID) if sent[REQUEST_ID] != came[REQUEST_ID] else "0" * 32
    assert re.fullmatch("[0-9a-f]{32}", made)
    assert sent.items() <= came.items()
    assert "traceparent" in sent or "tracestate" not in sent


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


@settings(FIXED, max_examples=500)
@given(HOSTILE | HOSTILE | ODD_BODY | st.binary())
def test_an_answer_is_safe_and_can_be_read_again_or_is_a_bad_one(body: bytes) -> None:
    try:
        data = read_answer(body)
    except BadAnswer:
        return
    assert isinstance(data["items"], list)
    for item in data["items"]:
        assert all(isinstance(item.get(key, ""), str) for key in ("text", "url", "image"))
        assert isinstance(item["title"], str)
        assert is_harmless(item.get("url", ""))
        image = item.get("image", "")
        assert image.startswith("data:image/") or is_harmless(image)
    assert isinstance(data["title"], str)
    assert read_answer(json.dumps(data, ensure_ascii=False, allow_nan=False).encode()) == data


PROCESS = st.integers(0, 1)
KEY = st.sampled_from([("a", "/", ""), ("a", "/", "1"), ("a", "/1", ""), ("a/", "", "")])
AGE = st.sampled_from([0.0, 1.0, 60.0, 300.0])


class LastGoodMachine(RuleBasedStateMachine):
    """Two processes with little room, beside every answer that there ever was."""

    def __init__(self) -> None:
        super().__init__()
        self.clock, self.patch = Clock(), pytest.MonkeyPatch()
        self.patch.setattr(answer, "time", self.clock)
        self.patch.setattr(last_good, "time", self.clock)
        shared: dict[str, Any] = {}
        cache = SimpleNamespace(get=shared.get, set=lambda *item: shared.update([item[:2]]))
        self.patch.setattr(last_good, "caches", {"fanout": cache})
        self.patch.setattr(last_good, "is_shared", lambda: True)
        self.patch.setattr(LastGood, "_start", lambda _, do, *arguments: _done(do(*arguments)))
        self.patch.setattr(last_good, "MAX_ANSWERS", 3)
        self.patch.setattr(last_good, "MAX_BYTES", 180)
        self.processes = [LastGood(), LastGood()]
        self.answers: list[tuple[Key, float]] = []

    @invariant()
    def _no_process_holds_too_much(self) -> None:
        for process in self.processes:
            sizes = [len(kept.body) for kept in process._kept.values()]
            assert len(sizes) <= 3
            assert sum(sizes) == process._bytes <= 180

    @rule(process=PROCESS, key=KEY, size=st.sampled_from([0, 0, 50, 100]), stale_for=AGE)
    def keep(self, process: int, key: Key, size: int, stale_for: float) -> None:
        """Keep an answer, which can then be found."""
        answer = {"title": f"{len(self.answers)}", "items": [], "more": "x" * size}
        body = json.dumps(answer).encode()
        self.answers.append((key, self.clock.now))
        self.processes[process].keep(key, body, stale_for)
        found = self.processes[process].find(key, 1.0)
        assert found
        assert found.data == read_answer(body)

    @rule(process=PROCESS, key=KEY, age=AGE, recall=st.booleans())
    def look(self, process: int, key: Key, age: float, recall: bool) -> None:
        """Look for an answer; what the process knew already is not made older by that."""
        known = self.processes[process]
        before = known.find(key, math.inf)
        found = known.recall(key, age).result(0) if recall else known.find(key, age)
        after = known.find(key, math.inf)
        assert before is None or (after and after.at >= before.at)
        if found:
            assert (key, found.at) == self.answers[int(found.data["title"])]
            assert found.age == self.clock.now - found.at < age

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


def test_last_good_answers_are_bounded_and_never_too_old_or_of_another_key() -> None:
    run_state_machine_as_test(LastGoodMachine, settings=FIXED)


STATE = st.sampled_from(["ok", "stale", "failed"])


@FIXED
@given(st.lists(st.tuples(STATE, st.booleans()), max_size=5))
def test_a_page_is_a_503_without_what_it_needs_or_all_and_complete_if_all_is_ok(
    states: list[tuple[State, bool]],
) -> None:
    sections = [
        Section(name="alpha", title="", state=state, required=required, start=0.0, duration=0.0)
        for state, required in states
    ]
    page = Page(style="sync", sections=tuple(sections), duration=0.0)
    shown = [section for section in sections if section.state in ("ok", "stale")]
    needed = [section for section in sections if section.required]
    assert page.status == (200 if shown and all(s in shown for s in needed) else 503)
    assert page.complete == all(section.state == "ok" for section in sections)
