"""One ASGI application with a fake service at `/<name>/` for every name, and a page to break them.

The query of a call asks for trouble too: `latency_ms=500`, `fault=hang` (see `fakes.faults`), or
`barrier=2` with `wait=0.5`: no answer until two distinct services wait together, and 504 after
`wait` seconds.
"""

import asyncio
from collections.abc import Mapping
from datetime import date

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from fakes.answers import get_answer
from fakes.barrier import Barrier
from fakes.faults import get_fault
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
