"""What a page does when its services fail, for every option of a service."""

import asyncio
import gc
import logging
import re
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.core.cache import caches
from pytest_django import Settings

from engine.conftest import BREAK_OFF, Get, Script, make_service
from engine.visitors import make_reply, make_visit
from fanout.calls.answer import Answer, readings
from fanout.calls.fetch import afetch, fetch
from fanout.calls.last_good import _name, last_good
from fanout.calls.request import prepare
from fanout.calls.section import Section
from fanout.calls.service import services
from fanout.policies.breaker import FAILURES


@pytest.fixture
def options(script: Script, settings: Settings) -> dict[str, Any]:
    """The options of `beta`, which a test may change."""
    options: dict[str, Any] = settings.OPTIONS["beta"]
    return options


@pytest.fixture
def beta(get: Get, style: str) -> Callable[[], Section]:
    """Get the page, and of that beta's section."""
    return lambda: get(style).page.sections[1]


def test_an_answer_is_shown_stale_when_a_call_fails(
    get: Get, style: str, script: Script, caplog: pytest.LogCaptureFixture
) -> None:
    script.statuses = [200, 500]
    assert get(style).page.complete
    response = get(style)
    alpha, beta = response.page.sections
    assert (alpha.state, beta.state, beta.title) == ("ok", "stale", "Answer 1")
    assert 0 < beta.age < 60
    assert beta.error == "answered with status 500"
    assert response.status_code == 200
    html = response.getvalue().decode()
    assert response.headers.get("X-Fanout-Complete", "false") == "false"  # streamed: not said
    assert response.headers["Cache-Control"] == "no-store, private"
    assert ";desc=stale" in response.headers.get("Server-Timing", html)
    assert "Answer 1" in html
    assert re.search(r"As it was \d+ seconds? ago", html)
    [record] = [record for record in caplog.records if record.name == "fanout"]
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "beta answered with status 500 (stale)"
    assert vars(record)["age"] == beta.age


def test_all_stale_is_a_page(get: Get, style: str, script: Script, settings: Settings) -> None:
    settings.FANOUT_SERVICES = ["beta"]
    settings.OPTIONS["beta"]["required"] = True
    script.statuses = [200, 500]
    get(style)
    assert get(style).status_code == 200


def test_nothing_is_shown_that_may_not_be_stale(
    beta: Callable[[], Section], script: Script, options: dict[str, Any]
) -> None:
    options["stale_for"] = 0
    script.statuses = [200, 500]
    assert beta().state == "ok"
    assert beta().state == "failed"


def test_what_another_process_knew_is_shown_stale(
    beta: Callable[[], Section],
    script: Script,
    settings: Settings,
    tmp_path: Path,
) -> None:
    assert beta().state == "ok"
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": tmp_path}}
    [key] = last_good._kept["beta"]
    value: Any = (time.time() - 60, 300.0, 200, [], '{"title": "From elsewhere", "items": []}')
    last_good.clear()
    caches["fanout"].set(_name(key), value)
    script.statuses = [500]
    section = beta()
    assert (section.state, section.title) == ("stale", "From elsewhere")
    assert section.age >= 60


def test_a_page_that_has_all_it_needs_asks_no_cache(
    beta: Callable[[], Section], script: Script, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    monkeypatch.setattr(last_good, "_read", lambda *arguments: asked.append(arguments))
    script.statuses = [200, 500]
    assert [beta().state for _ in range(2)] == ["ok", "stale"]
    assert asked == []


@pytest.mark.parametrize("stale_for", [300, 0])
def test_an_answer_is_reused_while_it_is_fresh(
    beta: Callable[[], Section], script: Script, options: dict[str, Any], stale_for: float
) -> None:
    options |= {"cache_for": 60, "stale_for": stale_for}
    assert [(beta().state, beta().title) for _ in range(2)] == [("ok", "Answer 1")] * 2
    assert len(script.calls) == 1


@pytest.mark.parametrize("status", [502, 503, 504, BREAK_OFF])
def test_a_call_that_may_help_is_repeated(
    beta: Callable[[], Section], script: Script, status: int
) -> None:
    script.statuses = [status]
    assert (beta().title, len(script.calls)) == ("Answer 2", 2)


def test_but_only_once(beta: Callable[[], Section], script: Script) -> None:
    script.statuses = [503, 503]
    assert (beta().state, len(script.calls)) == ("failed", 2)


@pytest.mark.parametrize("status", [500, 404, 429, 302])
def test_other_calls_are_not_repeated(
    beta: Callable[[], Section], script: Script, status: int
) -> None:
    script.statuses = [status]
    assert (beta().state, len(script.calls)) == ("failed", 1)


def test_nor_is_one_too_many(beta: Callable[[], Section], script: Script) -> None:
    script.statuses = [503, 200, 503, 200, 503]
    assert [beta().state for _ in range(3)] == ["ok", "stale", "ok"]
    assert len(script.calls) == 4


def test_nor_where_it_is_switched_off(
    beta: Callable[[], Section], script: Script, options: dict[str, Any]
) -> None:
    options["retry"] = False
    script.statuses = [503]
    assert (beta().state, len(script.calls)) == ("failed", 1)


def test_a_service_that_keeps_failing_is_not_called_for_a_while(
    beta: Callable[[], Section], script: Script
) -> None:
    script.statuses = [500] * 2 * FAILURES
    assert [beta().error for _ in range(FAILURES)] == ["answered with status 500"] * FAILURES
    assert beta().error == "is not called for a while: answered with status 500"
    assert len(script.calls) == FAILURES


@pytest.mark.parametrize("status", [404, 400, 302])
def test_answers_that_are_none_for_one_visitor_pause_nothing_for_others(
    beta: Callable[[], Section], script: Script, status: int
) -> None:
    script.statuses = [status] * 2 * FAILURES
    assert {beta().error for _ in script.statuses[:]} == {f"answered with status {status}"}
    assert beta().state == "ok"


def test_nor_does_nonsense(
    beta: Callable[[], Section], script: Script, options: dict[str, Any]
) -> None:
    options["max_bytes"] = 5
    assert {beta().error for _ in range(2 * FAILURES)} == {"answered with more than 5 bytes"}


@pytest.mark.parametrize("status", [429, 503])
def test_a_service_that_asks_for_a_pause_is_left_alone(
    beta: Callable[[], Section], script: Script, status: int
) -> None:
    script.headers, script.statuses = {"Retry-After": "30"}, [status]
    assert beta().error == f"answered with status {status}"
    assert beta().error == f"is not called for a while: answered with status {status}"
    assert len(script.calls) == 1


@pytest.mark.parametrize("statuses", [[404], [500], [502, 502]])
def test_only_where_that_is_what_it_means(
    beta: Callable[[], Section], script: Script, statuses: list[int]
) -> None:
    script.headers, script.statuses = {"Retry-After": "30"}, [*statuses]
    assert [beta().state, beta().state] == ["failed", "ok"]


@pytest.mark.parametrize("control", ["no-store", "max-age=0, No-Store"])
def test_what_may_not_be_stored_is_not_kept(
    beta: Callable[[], Section], script: Script, options: dict[str, Any], control: str
) -> None:
    script.headers = {"Cache-Control": control}
    options["cache_for"] = 60.0
    assert [beta().title, beta().title] == ["Answer 1", "Answer 2"]
    assert not last_good._kept["beta"]
    assert "Answer 1" not in repr(readings._known)


def test_an_answer_that_is_none_leaves_the_last_good_one(
    beta: Callable[[], Section], script: Script
) -> None:
    assert beta().title == "Answer 1"
    script.key = "error"
    section = beta()
    assert (section.state, section.title) == ("stale", "Answer 1")
    assert section.error == "answered with an object without items"


@pytest.mark.parametrize("style", ["sync", "gather"])
def test_a_failed_call_leaves_no_cycle_that_holds_answers(
    style: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)  # else its records hold what failed
    service = make_service("alpha", "http://127.0.0.1:1/", break_for=0.0)
    message = prepare(service, make_visit())
    assert message
    last_good.keep(("alpha", message.digest), make_reply(b'{"items": []}'), 0.0, 300.0)

    def call() -> Section:
        visit = make_visit()
        return async_to_sync(afetch)(service, visit) if style == "gather" else fetch(service, visit)

    assert call().state == "stale"
    gc.collect()
    gc.disable()
    try:
        before = sum(type(o) is Answer for o in gc.get_objects())
        for _ in range(10):
            call()
        assert sum(type(o) is Answer for o in gc.get_objects()) == before
    finally:
        gc.enable()


def test_too_many_calls_at_once_wait_half_of_their_time_and_then_fail(
    beta: Callable[[], Section],
    script: Script,
    options: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    waits: list[float | None] = []
    wait = asyncio.wait

    async def hurry(tasks: Any, **options: float) -> Any:
        waits.append(options.get("timeout"))
        return await wait(tasks, timeout=0 if options else None)

    options["concurrency"] = 1
    [service] = [service for service in services() if service.name == "beta"]
    turn = service.bulkhead.enter()
    with monkeypatch.context() as patch:
        patch.setattr(asyncio, "wait", hurry)
        assert beta().error == "has 1 calls in flight already"
    service.bulkhead.leave(turn)
    assert waits[0] == 15.0
    assert beta().state == "ok"
    assert len(script.calls) == 1


def test_a_body_has_a_limit(
    beta: Callable[[], Section], script: Script, options: dict[str, Any]
) -> None:
    options["max_bytes"] = 5
    assert beta().error == "answered with more than 5 bytes"
