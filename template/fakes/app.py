"""One ASGI application with a fake service at `/<name>/` for every name, and a page to break them.

The query of a call asks for trouble too: `latency_ms=500`, `fault=hang` (see `fakes.faults`), or
`barrier=2` with `wait=0.5`: no answer until two distinct services wait together, and 504 after
`wait` seconds.
"""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date
from zlib import crc32

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.catalogue import get_answer
from fakes.faults import get_fault, wait_for_disconnect
from fakes.switchboard import Switchboard


def create_app(latencies_ms: Mapping[str, int]) -> Starlette:
    """A fake service for every name in `latencies_ms`, answering after so many milliseconds."""
    barrier = Barrier()
    switchboard = Switchboard(latencies_ms)

    async def service(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in latencies_ms:
            raise HTTPException(404, f"There is no service {name!r}.")
        query = request.query_params
        switch = switchboard.count(name)
        try:
            latency = float(query.get("latency_ms", switch.latency_ms))
            parties = int(query.get("barrier", 0))
            wait = float(query.get("wait", 0.5))
            respond = get_fault(query.get("fault", switch.fault))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        await asyncio.sleep(latency / 1000)
        if parties and not await barrier.wait(name, parties, wait, request):
            raise HTTPException(504, f"{parties} services did not call together.")
        return await respond(request, get_answer(name, query.get("user", ""), date.today()))

    return Starlette(
        routes=[
            Route("/", switchboard.show),
            Route("/", switchboard.change, methods=["POST"]),
            Route("/{name}/", service, name="service"),
        ]
    )


def get_latencies_ms(names: Collection[str], text: str = "") -> dict[str, int]:
    """Milliseconds for every name: as `text` says (`promo:80,recco:120`), else from 50 to 150.

    A name has the same latency always. Raises ValueError, which says what is wrong with `text`.
    """
    latencies = {name: 50 + crc32(name.encode()) % 101 for name in names}
    for entry in filter(None, text.split(",")):
        name, _, milliseconds = entry.partition(":")
        if name.strip() not in names:
            raise ValueError(f"{name.strip()!r} is not a service; there are {', '.join(names)}.")
        if not milliseconds.strip().isdecimal():
            raise ValueError(f"{entry!r} is not a service and its milliseconds, as in promo:80.")
        latencies[name.strip()] = int(milliseconds)
    return latencies


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
