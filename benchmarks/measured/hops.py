"""Count what one anonymous page hands to threads: `python -m measured.hops config.asgi`.

Prints JSON: how many functions were handed to a pool of threads, which of them by Django's
`sync_to_async`, and how many threads were started.
"""

import asyncio
import json
import sys
import threading
from collections.abc import MutableMapping
from concurrent.futures import ThreadPoolExecutor
from importlib import import_module
from typing import Any

from asgiref.sync import SyncToAsync

SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "root_path": "",
    "query_string": b"",
    "headers": [(b"host", b"127.0.0.1")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
}

adapted: list[str] = []
submitted = 0
started = 0


def watch() -> None:
    """Count from now on."""
    call, submit, start = SyncToAsync.__call__, ThreadPoolExecutor.submit, threading.Thread.start

    async def counting_call(self: Any, *args: Any, **options: Any) -> Any:
        adapted.append(getattr(self.func, "__qualname__", repr(self.func)))
        return await call(self, *args, **options)

    def counting_submit(*args: Any, **options: Any) -> Any:
        global submitted
        submitted += 1
        return submit(*args, **options)

    def counting_start(self: threading.Thread) -> None:
        global started
        started += 1
        start(self)

    SyncToAsync.__call__ = counting_call  # type: ignore[method-assign]
    ThreadPoolExecutor.submit = counting_submit  # type: ignore[method-assign]
    threading.Thread.start = counting_start  # type: ignore[method-assign]


async def get(application: Any) -> int:
    """The status of the homepage."""
    sent: list[MutableMapping[str, Any]] = []
    received = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> MutableMapping[str, Any]:
        for message in received:
            return message
        return await asyncio.Future()

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    await application(dict(SCOPE), receive, send)
    return int(sent[0]["status"])


async def main(module: str) -> None:
    """Three pages in one lifespan, of which the last is counted."""
    global submitted, started
    application = import_module(module).application
    started_up, stop = asyncio.Event(), asyncio.Event()
    events = iter([None, stop])

    async def receive() -> MutableMapping[str, Any]:
        if event := next(events):
            await event.wait()
            return {"type": "lifespan.shutdown"}
        return {"type": "lifespan.startup"}

    async def send(message: MutableMapping[str, Any]) -> None:
        started_up.set()

    async def live() -> None:
        try:
            await application({"type": "lifespan", "asgi": {"version": "3.0"}}, receive, send)
        except ValueError:  # Django's own entry has no lifespan
            started_up.set()

    lifespan = asyncio.create_task(live())
    await started_up.wait()
    watch()
    for _ in range(3):
        adapted.clear()
        submitted = started = 0
        status = await get(application)
    print(json.dumps({"status": status, "hops": submitted, "adapted": adapted, "threads": started}))
    stop.set()
    await lifespan


asyncio.run(main(sys.argv[1]))
