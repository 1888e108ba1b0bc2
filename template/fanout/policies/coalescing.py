"""Coalescing: pages that need the same answer at the same time share one call.

All threads of a process share them, and all pages of one event loop. Nobody joins a call that has
less than half the time of a new one: if it hangs, that is no reason to give up so soon.
"""

import asyncio
import os
import time
from asyncio import AbstractEventLoop
from collections.abc import Awaitable, Callable, Hashable
from concurrent.futures import Future
from contextlib import suppress
from functools import partial
from typing import Any, Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import anyio

from fanout.policies.deadline import NEARLY

T = TypeVar("T")
_futures: dict[Hashable, tuple[Future[Any], float]] = {}  # and when each ends, in seconds
_flights: WeakKeyDictionary[AbstractEventLoop, dict[Hashable, "_Flight[Any]"]] = WeakKeyDictionary()
os.register_at_fork(after_in_child=_futures.clear)  # nobody there makes the parent's calls


def share(key: Hashable, seconds: float, call: Callable[[], T]) -> T:
    """The result of `call`, or of the one for `key` in flight, waiting for it `seconds` at most."""
    now = time.monotonic()
    own: tuple[Future[T], float] = (Future(), now + seconds)
    flight = _futures.setdefault(key, own)  # in one step: nothing can come between
    if flight[1] - now < seconds / 2:
        _futures[key] = flight = own
    try:
        if flight is own:
            try:
                own[0].set_result(call())
            except BaseException as error:
                own[0].set_exception(error)
        return cast("T", flight[0].result(seconds))
    finally:
        if _futures.get(key) is own:
            _futures.pop(key, None)
        del own, flight  # else an error, whose traceback has this frame, holds itself


async def ashare(
    key: Hashable, seconds: float, call: Callable[[], Awaitable[T]], *, stop: bool = True
) -> T:
    """The same on an event loop. Raises TimeoutError.

    The call ends with its last waiter. If it cannot `stop`, it goes on for whoever comes next, as
    long as it has nearly as much time as a new one.
    """
    loop = asyncio.get_running_loop()
    flights = _flights.setdefault(loop, {})
    now = loop.time()
    end = now + seconds
    flight = flights.get(key)
    least = (0.5 if flight and flight.waiting else NEARLY) * seconds
    if not flight or flight.task.done() or flight.scope.cancel_called or flight.end - now <= least:
        flights[key] = flight = _Flight(call, end)
        flight.task.add_done_callback(partial(_land, flights, key))
    flight.waiting += 1
    try:
        if end < flight.end:  # rare: a timer of its own takes time
            await asyncio.wait([flight.task], timeout=seconds)
            if not flight.task.done():
                raise TimeoutError
        return cast("T", await asyncio.shield(flight.task))
    finally:
        flight.waiting -= 1
        if stop and not flight.waiting and not flight.task.done():
            flight.scope.cancel()
            await asyncio.wait([flight.task])
        del flight  # see above


async def end_flights() -> None:
    """End the calls of the running loop that nobody waits for any more."""
    flights = list(_flights.get(asyncio.get_running_loop(), {}).values())
    for flight in flights:
        flight.scope.cancel()
    if flights:
        await asyncio.wait([flight.task for flight in flights])


def _land(flights: dict[Hashable, "_Flight[Any]"], key: Hashable, task: asyncio.Task[Any]) -> None:
    if key in flights and flights[key].task is task:
        del flights[key]
    task.exception()  # was seen


class _Flight(Generic[T]):
    """A call in a task. Only its scope is cancelled: it lets httpcore give back its connection."""

    def __init__(self, call: Callable[[], Awaitable[T]], end: float) -> None:
        self.end = end
        self.scope = anyio.CancelScope(deadline=end)
        self.task = asyncio.create_task(_run(call, self.scope))
        self.waiting = 0


async def _run(call: Callable[[], Awaitable[T]], scope: anyio.CancelScope) -> T:
    with suppress(asyncio.CancelledError), scope:  # pyreqwest makes its own: no scope knows it
        return await call()
    raise TimeoutError
