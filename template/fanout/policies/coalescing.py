"""Coalescing: pages that need the same answer at the same time share one call, on one event loop.

Nobody joins a call that has less than half the time of a new one: if it hangs, that is no reason to
give up so soon.
"""

import asyncio
from asyncio import AbstractEventLoop
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar, cast
from weakref import WeakKeyDictionary

T = TypeVar("T")
_flights: WeakKeyDictionary[AbstractEventLoop, dict[Hashable, "_Flight"]] = WeakKeyDictionary()


async def share(key: Hashable, seconds: float, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
    """The result of `call`, or of the one for `key` in flight; None is the key of no other.

    The call ends with its last waiter. Raises TimeoutError after `seconds`.
    """
    if key is None:
        with _Limit(seconds):
            return await call()
    loop = asyncio.get_running_loop()
    flights = _flights.setdefault(loop, {})
    end = loop.time() + seconds
    flight = flights.get(key)
    if not flight or not flight.waiting or flight.task.done() or flight.end < end - seconds / 2:
        flights[key] = flight = _Flight(asyncio.create_task(share(None, seconds, call)), end)
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
        if not flight.waiting and not flight.task.done():
            flight.task.cancel()
            await asyncio.wait([flight.task])
        del flight  # else an error, whose traceback has this frame, holds itself


def _land(flights: dict[Hashable, "_Flight"], key: Hashable, task: asyncio.Task[Any]) -> None:
    if key in flights and flights[key].task is task:
        del flights[key]
    task.cancelled() or task.exception()  # was seen


class _Limit:
    """What `asyncio.timeout` does, for a third of the processor's time."""

    def __init__(self, seconds: float) -> None:
        self._task = cast("asyncio.Task[Any]", asyncio.current_task())
        self._before, self._over = self._task.cancelling(), False
        self._timer = asyncio.get_running_loop().call_later(seconds, self._end)

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, error: BaseException | None, _: object) -> None:
        self._timer.cancel()
        late = self._over and self._task.uncancel() <= self._before
        del self._task  # else the error, whose traceback has this frame, holds itself
        if late and kind is asyncio.CancelledError:
            raise TimeoutError from error

    def _end(self) -> None:
        self._over = True
        self._task.cancel()


@dataclass
class _Flight:
    task: asyncio.Task[Any]
    end: float
    waiting: int = 0
