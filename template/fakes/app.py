"""One ASGI application with a fake service at `/<name>/` for every name, and a page to break them.

The query of a call asks for trouble too: `latency_ms=500`, `fault=hang` (see `fakes.faults`), or
`barrier=2` with `wait=0.5`: no answer until two distinct services wait together, and 504 after
`wait` seconds.

What it answers stands in a file (see `fakes.exchanges`), else it speaks the bookshop's catalogue.
"""

import asyncio
import json
import logging
from collections import defaultdict
from collections.abc import Collection, Mapping
from datetime import date
from pathlib import Path
from zlib import crc32

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Mount, Route, request_response

from fakes.catalogue import find_book, get_answer
from fakes.exchanges import Exchange, answers, describe, read_exchanges, respond, show
from fakes.faults import get_fault, wait_for_disconnect
from fakes.switchboard import Switchboard

OWN = {"latency_ms", "fault", "barrier", "wait"}  # of a query; all else is for the service
logger = logging.getLogger("uvicorn.error")


def create_app(
    latencies_ms: Mapping[str, int], folder: Path | None = None, special: Collection[str] = ()
) -> Starlette:
    """A fake service for every name in `latencies_ms`, answering after so many milliseconds.

    Files of exchanges are in `folder`; without one, those in `special` have nothing to say.
    """
    barrier = Barrier()
    switchboard = Switchboard(latencies_ms)

    async def service(request: Request) -> Response:
        name, _, path = request.scope["raw_path"].decode("latin-1")[1:].partition("/")
        if name not in latencies_ms:
            known = ", ".join(latencies_ms)
            way = "A class has to make its addresses from self.url."
            return _refuse(404, f"There is no service {name!r}, but {known}. {way}")
        query = request.query_params
        switch = switchboard.count(name)
        try:
            latency = float(query.get("latency_ms", switch.latency_ms))
            parties = int(query.get("barrier", 0))
            wait = float(query.get("wait", 0.5))
            fault = get_fault(query.get("fault", switch.fault))
        except ValueError as error:
            raise HTTPException(400, str(error)) from None
        # Before the barrier, which would swallow the body.
        asked = describe(request.method, path, await request.body())
        await asyncio.sleep(latency / 1000)
        if parties and not await barrier.wait(name, parties, wait, request):
            raise HTTPException(504, f"{parties} services did not call together.")
        return fault(_answer(request, name, asked, folder, special))

    return Starlette(
        routes=[
            Route("/", switchboard.show),
            Route("/", switchboard.change, methods=["POST"]),
            Mount("/", request_response(service)),  # any method
        ]
    )


def _answer(
    request: Request, name: str, asked: Exchange, folder: Path | None, special: Collection[str]
) -> Response:
    """What there is for a request: from the service's file, or from the catalogue without one."""
    query = request.query_params
    where, file = f"homepage/fakes/{name}.json", folder and folder / f"{name}.json"
    if file and file.is_file():
        try:
            exchanges = read_exchanges(file)
        except ValueError as error:
            return _refuse(500, f"{where} {error}")
    elif name == "book":
        book = find_book(asked["path"].rstrip("/"))
        return JSONResponse(book or {"detail": "There is no such book."}, 200 if book else 404)
    elif name in special:
        example = json.dumps([{**asked, "json": {}}])
        way = f"set {name.upper()}_URL and run manage.py fakes record {name}, or write {where}, as"
        return _refuse(501, f"{name} calls or reads in its own way: {way} {example}")
    else:
        where = name
        exchanges = [{"json": get_answer(name, query.get("user", ""), date.today())}]
    for exchange in exchanges:
        if answers(exchange, asked, query.multi_items()):
            return respond(exchange)
    known = ", ".join(show(name, exchange) for exchange in exchanges) or "nothing"
    hidden = "&".join(f"{key}=…" for key in query if key not in OWN)  # a value may be a secret
    call = show(name, {**asked, "path": f"{asked['path']}{hidden and '?'}{hidden}"})
    return _refuse(404, f"{where} answers {known}; this was {call}.")


def _refuse(status: int, text: str) -> Response:
    """Say it to whoever called, and in the terminal: nobody sees the body of a failed call."""
    logger.warning("%s", text)
    return PlainTextResponse(text, status)


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
        gone = asyncio.ensure_future(wait_for_disconnect(request.receive))
        await asyncio.wait((arrived, gone), timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        for task in (arrived, gone):
            task.cancel()
        if not together.is_set():
            waiting.pop(name, None)
        return together.is_set()
