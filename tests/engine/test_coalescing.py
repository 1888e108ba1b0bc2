"""Calls for the same at the same time are one; whoever goes away leaves it to the others."""

import asyncio
import gc
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import Any
from weakref import WeakSet

import pytest

from fanout.policies import coalescing
from fanout.policies.coalescing import share


class Shared:
    """Pages of one event loop that want the same answer."""

    def __init__(self) -> None:
        """Nobody has called."""
        self.begun = 0
        self.cancelled = 0
        self.end = asyncio.Event()

    async def call(self) -> str:
        """The call, until `end`."""
        self.begun += 1
        try:
            await self.end.wait()
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return "answer"

    async def ask(self, count: int, key: str | None = "key") -> list[asyncio.Task[str]]:
        """So many pages, all of which wait."""
        pages = [asyncio.create_task(share(key, 20.0, self.call)) for _ in range(count)]
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return pages


def test_pages_share_a_call() -> None:
    async def live() -> None:
        shared = Shared()
        pages = await shared.ask(3)
        shared.end.set()
        assert await asyncio.gather(*pages) == ["answer"] * 3
        assert shared.begun == 1
        assert await share("key", 20.0, shared.call) == "answer"
        assert shared.begun == 2

    asyncio.run(live())


def test_pages_that_want_something_else_do_not() -> None:
    async def live() -> None:
        shared = Shared()
        pages = await shared.ask(1) + await shared.ask(1, key="other")
        shared.end.set()
        await asyncio.gather(*pages)
        assert shared.begun == 2

    asyncio.run(live())


def test_a_call_without_a_key_is_nobody_elses() -> None:
    async def live() -> None:
        shared = Shared()
        pages = await shared.ask(2, key=None)
        assert shared.begun == 2
        pages[0].cancel()
        await asyncio.wait([pages[0]])
        assert shared.cancelled == 1
        shared.end.set()
        assert await pages[1] == "answer"
        shared.end.clear()
        with pytest.raises(TimeoutError):
            await share(None, 0.0, shared.call)

    asyncio.run(live())


def test_loops_share_nothing() -> None:
    async def live() -> int:
        shared = Shared()
        pages = await shared.ask(2)
        shared.end.set()
        await asyncio.gather(*pages)
        return shared.begun

    async def beside() -> int:
        [page] = await (shared := Shared()).ask(1)
        begun = await asyncio.to_thread(asyncio.run, live())
        shared.end.set()
        await page
        return begun + shared.begun

    assert asyncio.run(beside()) == 2


def test_a_cancelled_page_leaves_the_call_to_the_others() -> None:
    async def live() -> None:
        shared = Shared()
        first, second = await shared.ask(2)
        first.cancel()
        await asyncio.wait([first])
        assert first.cancelled()
        shared.end.set()
        assert await second == "answer"
        assert (shared.begun, shared.cancelled) == (1, 0)

    asyncio.run(live())


def test_the_call_ends_with_its_last_page() -> None:
    async def live() -> None:
        shared = Shared()
        pages = await shared.ask(2)
        for page in pages:
            page.cancel()
        await asyncio.wait(pages)
        assert (shared.begun, shared.cancelled) == (1, 1)
        assert asyncio.all_tasks() == {asyncio.current_task()}
        assert not coalescing._flights[asyncio.get_running_loop()]
        [page] = await shared.ask(1)
        shared.end.set()
        assert await page == "answer"

    asyncio.run(live())


def test_a_call_that_is_being_ended_is_waited_for_and_joined_by_nobody() -> None:
    async def live() -> None:
        shared = Shared()
        ending, ended = asyncio.Event(), asyncio.Event()

        async def call() -> str:
            try:
                return await shared.call()
            finally:
                ending.set()
                await ended.wait()  # as long as a connection is given back

        first = asyncio.create_task(share("key", 20.0, call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        first.cancel()
        await ending.wait()
        [second] = await shared.ask(1)
        assert (shared.begun, first.done()) == (2, False)
        ended.set()
        await asyncio.wait([first])
        [third] = await shared.ask(1)
        shared.end.set()
        assert [await second, await third] == ["answer"] * 2
        assert shared.begun == 2

    asyncio.run(live())


def test_a_page_does_not_join_a_call_with_less_than_half_its_time() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1)
        longer = asyncio.create_task(share("key", 60.0, shared.call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert shared.begun == 2
        shared.end.set()
        assert [await page, await longer] == ["answer"] * 2

    asyncio.run(live())


def test_an_error_is_everybodys() -> None:
    async def live() -> None:
        async def fail() -> str:
            raise ValueError

        pages = [share("key", 20.0, fail) for _ in range(2)]
        results = await asyncio.gather(*pages, return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 2

    asyncio.run(live())


def test_a_page_waits_only_as_long_as_it_may_and_as_the_call() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1)
        with pytest.raises(TimeoutError):
            await share("key", 0.0, shared.call)
        hasty = asyncio.create_task(share("key", 19.0, shared.call))
        await asyncio.sleep(0)
        assert (shared.begun, shared.cancelled) == (1, 0)
        shared.end.set()
        assert [await page, await hasty] == ["answer"] * 2
        shared.end.clear()
        with pytest.raises(TimeoutError):
            await share("key", 0.0, shared.call)
        first = share("key", 0.01, shared.call)
        second = share("key", 0.015, shared.call)
        results = await asyncio.gather(first, second, return_exceptions=True)
        assert [type(result) for result in results] == [TimeoutError] * 2
        assert shared.cancelled == shared.begun - 1

    asyncio.run(live())


def test_a_page_that_comes_as_a_call_ends_or_is_late_makes_its_own() -> None:
    async def live() -> None:
        shared = Shared()
        shared.end.set()
        pages = []

        async def end() -> str:
            pages.append(asyncio.create_task(share("key", 20.0, shared.call)))
            return "over"

        assert await share("key", 20.0, end) == "over"
        assert await pages[0] == "answer"
        shared.end.clear()
        late = asyncio.create_task(share("key", 0.0, shared.call))
        [page] = await shared.ask(1)
        shared.end.set()
        await asyncio.wait([late, page])
        assert shared.begun == 3

    asyncio.run(live())


async def hang() -> str:
    """What would never end."""
    await asyncio.Event().wait()
    return "answer"


async def fail_late() -> str:
    """An error in place of the end."""
    try:
        return await hang()
    except asyncio.CancelledError:
        raise ValueError from None


async def answer_late() -> str:
    """An answer in place of the end."""
    with suppress(asyncio.CancelledError):
        await hang()
    return "answer"


async def leave() -> str:
    """A page that goes away before the end."""
    cancel()
    return await hang()


async def leave_late() -> str:
    """A page that goes away at the end."""
    try:
        return await hang()
    finally:
        cancel()


def cancel() -> None:
    """Cancel the task that runs."""
    task: Any = asyncio.current_task()
    task.cancel()


@pytest.mark.parametrize("left", [False, True])
@pytest.mark.parametrize("call", [hang, fail_late, answer_late, leave, leave_late])
def test_a_limit_ends_as_that_of_asyncio(
    call: Callable[[], Coroutine[Any, Any, str]], left: bool
) -> None:
    async def limit() -> str:
        async with asyncio.timeout(0.0):
            return await call()

    async def ask(coroutine: Coroutine[Any, Any, str]) -> tuple[object, ...]:
        task: Any = asyncio.current_task()
        said: tuple[object, ...]
        if left:
            cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
        try:
            said = await coroutine, task.cancelling()
        except BaseException as error:
            said = type(error), type(error.__cause__), task.cancelling()
        with suppress(asyncio.CancelledError):
            await asyncio.sleep(0)  # where the last one to cancel it does
        return said

    assert asyncio.run(ask(share(None, 0.0, call))) == asyncio.run(ask(limit()))


def test_a_limit_that_was_kept_is_forgotten() -> None:
    async def live() -> None:
        shared, loop = Shared(), asyncio.get_running_loop()
        wrong: list[object] = []
        loop.set_exception_handler(lambda _, said: wrong.append(said))
        shared.end.set()
        assert await share(None, 0.0, shared.call) == "answer"
        await asyncio.sleep(0)
        await asyncio.sleep(0)  # where its timer would cancel this
        assert not wrong

    asyncio.run(live())


def test_a_limit_is_as_long_as_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    async def live() -> None:
        shared, loop = Shared(), asyncio.get_running_loop()
        shared.end.set()
        given: list[float] = []
        start: Any = loop.call_later

        def call_later(seconds: float, *arguments: Any) -> Any:
            given.append(seconds)
            return start(seconds, *arguments)

        monkeypatch.setattr(loop, "call_later", call_later)
        await share(None, 20.0, shared.call)
        assert given == [20.0]

    asyncio.run(live())


@pytest.mark.parametrize("key", [None, "key"])
def test_nothing_of_a_late_call_waits_for_the_garbage_collector(key: str | None) -> None:
    held: WeakSet[asyncio.Event] = WeakSet()

    async def receive() -> str:
        held.add(piece := asyncio.Event())
        await piece.wait()
        return "answer"

    async def live() -> None:
        with pytest.raises(TimeoutError):
            await share(key, 0.0, receive)
        await asyncio.sleep(0)
        assert not held

    gc.collect()
    gc.disable()
    try:
        asyncio.run(live())
    finally:
        gc.enable()
