"""Calls for the same at the same time are one; whoever goes away leaves it to the others."""

import asyncio
from collections.abc import Hashable
from concurrent.futures import Future, ThreadPoolExecutor
from threading import Event, Semaphore, Thread
from typing import Any

import anyio
import pytest

from fanout.calls.transport import pool
from fanout.policies import coalescing
from fanout.policies.coalescing import ashare, share


@pytest.fixture
def followers(monkeypatch: pytest.MonkeyPatch) -> Semaphore:
    """Counts those who wait for a result."""
    followers = Semaphore(0)

    class Counted(Future[Any]):
        def result(self, timeout: float | None = None) -> Any:
            followers.release()
            return super().result(timeout)

    monkeypatch.setattr(coalescing, "Future", Counted)
    return followers


def wait_for(event: Event | Semaphore) -> None:
    """Wait for what has to come; a test fails if it does not."""
    assert event.wait(20) if isinstance(event, Event) else event.acquire(timeout=20)


@pytest.mark.parametrize("error", [None, ValueError("no")])
def test_threads_share_a_call_and_its_end(followers: Semaphore, error: Exception | None) -> None:
    calls = []
    begun, end = Event(), Event()

    def call() -> str:
        calls.append(1)
        begun.set()
        wait_for(end)
        if error:
            raise error
        return "answer"

    with ThreadPoolExecutor(3) as threads:
        leader = threads.submit(share, "key", 20.0, call)
        wait_for(begun)
        others = [threads.submit(share, "key", 20.0, call) for _ in range(2)]
        for _ in others:
            wait_for(followers)
        end.set()
        futures = [leader, *others]
        assert [future.exception(20) or future.result() for future in futures] == [
            error or "answer"
        ] * 3
    assert len(calls) == 1
    assert share("key", 20.0, lambda: "another") == "another"


def test_a_thread_waits_for_another_only_as_long_as_it_may() -> None:
    begun, end = Event(), Event()

    def call() -> None:
        begun.set()
        wait_for(end)

    with ThreadPoolExecutor(1) as threads:
        leader = threads.submit(share, "key", 20.0, call)
        wait_for(begun)
        with pytest.raises(TimeoutError):
            share("key", 0.0, call)
        end.set()
        leader.result(20)


def test_a_thread_does_not_join_a_call_with_less_than_half_its_time() -> None:
    begun, end = Event(), Event()

    def call() -> str:
        begun.set()
        wait_for(end)
        return "old"

    with ThreadPoolExecutor(2) as threads:
        leader = threads.submit(share, "key", 20.0, call)
        wait_for(begun)
        assert share("key", 60.0, lambda: "new") == "new"
        end.set()
        assert leader.result(20) == "old"
    assert coalescing._futures == {}


def test_a_thread_that_comes_as_a_call_ends_makes_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    begun, over = Event(), Event()

    def call() -> str:
        begun.set()
        wait_for(over)
        return "old"

    leader = Thread(target=share, args=("key", 20.0, call))

    class Late(dict[Hashable, Any]):
        def setdefault(self, key: Hashable, default: Any = None) -> Any:
            if key in self:
                over.set()
                leader.join(20)
            return super().setdefault(key, default)

    monkeypatch.setattr(coalescing, "_futures", Late())
    leader.start()
    wait_for(begun)
    assert share("key", 1.0, lambda: "new") == "new"


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

    async def ask(self, count: int, key: str = "key", stop: bool = True) -> list[asyncio.Task[str]]:
        """So many pages, all of which wait."""
        pages = [asyncio.create_task(ashare(key, 20.0, self.call, stop=stop)) for _ in range(count)]
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
        assert await ashare("key", 20.0, shared.call) == "answer"
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
                with anyio.CancelScope(shield=True):  # as long as a connection is given back
                    await ended.wait()

        first = asyncio.create_task(ashare("key", 20.0, call))
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


def test_a_call_that_cannot_stop_goes_on_for_the_next_page_and_until_its_end() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1, stop=False)
        page.cancel()
        await asyncio.wait([page])
        [page] = await shared.ask(1, stop=False)
        shared.end.set()
        assert await page == "answer"
        assert (shared.begun, shared.cancelled) == (1, 0)
        shared.end.clear()
        late = asyncio.create_task(ashare("key", 0.01, shared.call, stop=False))
        await asyncio.sleep(0)
        late.cancel()
        while len(asyncio.all_tasks()) > 1:  # noqa: ASYNC110 - no one is told of its end
            await asyncio.sleep(0.001)
        assert (shared.begun, shared.cancelled) == (2, 1)

    asyncio.run(live())


def test_a_page_does_not_join_what_nobody_waits_for_and_is_nearly_over() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1, stop=False)
        page.cancel()
        await asyncio.wait([page])
        longer = asyncio.create_task(ashare("key", 23.0, shared.call, stop=False))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert shared.begun == 2
        shared.end.set()
        assert await longer == "answer"

    asyncio.run(live())


def test_a_page_does_not_join_a_call_with_less_than_half_its_time() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1)
        longer = asyncio.create_task(ashare("key", 60.0, shared.call))
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert shared.begun == 2
        shared.end.set()
        assert [await page, await longer] == ["answer"] * 2

    asyncio.run(live())


def test_what_nobody_waits_for_ends_with_its_server() -> None:
    async def live() -> None:
        shared = Shared()
        async with pool():
            [page] = await shared.ask(1, stop=False)
            page.cancel()
            await asyncio.wait([page])
            assert shared.cancelled == 0
        assert shared.cancelled == 1
        assert asyncio.all_tasks() == {asyncio.current_task()}

    asyncio.run(live())


def test_an_error_is_everybodys() -> None:
    async def live() -> None:
        async def fail() -> str:
            raise ValueError

        pages = [ashare("key", 20.0, fail) for _ in range(2)]
        results = await asyncio.gather(*pages, return_exceptions=True)
        assert [type(result) for result in results] == [ValueError] * 2

    asyncio.run(live())


def test_a_page_waits_only_as_long_as_it_may_and_as_the_call() -> None:
    async def live() -> None:
        shared = Shared()
        [page] = await shared.ask(1)
        with pytest.raises(TimeoutError):
            await ashare("key", 0.0, shared.call)
        hasty = asyncio.create_task(ashare("key", 19.0, shared.call))
        await asyncio.sleep(0)
        assert (shared.begun, shared.cancelled) == (1, 0)
        shared.end.set()
        assert [await page, await hasty] == ["answer"] * 2
        shared.end.clear()
        with pytest.raises(TimeoutError):
            await ashare("key", 0.0, shared.call)
        first = ashare("key", 0.01, shared.call)
        second = ashare("key", 0.015, shared.call)
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
            pages.append(asyncio.create_task(ashare("key", 20.0, shared.call)))
            return "over"

        assert await ashare("key", 20.0, end) == "over"
        assert await pages[0] == "answer"
        shared.end.clear()
        late = asyncio.create_task(ashare("key", 0.0, shared.call))
        [page] = await shared.ask(1)
        shared.end.set()
        await asyncio.wait([late, page])
        assert shared.begun == 3

    asyncio.run(live())
