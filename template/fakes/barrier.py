"""A barrier: it lets calls through only together, which proves concurrency without a clock."""

import asyncio
from collections import defaultdict

from starlette.requests import Request

from fakes.disconnect import wait_for_disconnect


class Barrier:
    """Where calls wait for each other; those for two parties and for three do not mix."""

    def __init__(self) -> None:
        """Nobody waits yet."""
        self._waiting: dict[int, dict[str, asyncio.Event]] = defaultdict(dict)

    async def wait(self, name: str, parties: int, seconds: float, request: Request) -> bool:
        """Wait until `parties` distinct names are here; False if they are not within `seconds`.

        A caller that goes away stops waiting, and one name that calls twice counts once.
        """
        waiting = self._waiting[parties]
        together = waiting.setdefault(name, asyncio.Event())
        if len(waiting) >= parties:
            for event in waiting.values():
                event.set()
            waiting.clear()
        arrived = asyncio.ensure_future(together.wait())
        gone = asyncio.ensure_future(wait_for_disconnect(request))
        await asyncio.wait((arrived, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (arrived, gone):
            task.cancel()
        if not together.is_set():
            waiting.pop(name, None)
        return together.is_set()
