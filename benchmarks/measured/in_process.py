"""Processor time per page in this process, which hardly changes when the machine is busy.

`python in_process.py MODULE:APPLICATION PAGES`: microseconds per page, the least of some rounds.
"""

import asyncio
import sys
import time
from importlib import import_module
from typing import Any

import uvloop

IN_FLIGHT = 32
ROUNDS = 3
SCOPE = {
    "type": "http",
    "asgi": {"version": "3.0"},
    "http_version": "1.1",
    "method": "GET",
    "scheme": "http",
    "path": "/",
    "raw_path": b"/",
    "query_string": b"",
    "root_path": "",
    "headers": [(b"host", b"127.0.0.1")],
    "client": ("127.0.0.1", 1),
    "server": ("127.0.0.1", 80),
}


async def main(application: Any, pages: int) -> float:
    """Start the application, warm it up, and measure."""
    state: dict[str, Any] = {}
    life: asyncio.Queue[Any] = asyncio.Queue()
    up = asyncio.Event()

    async def tell(message: Any) -> None:
        if "failed" in message["type"]:
            sys.exit(message.get("message"))
        up.set()

    async def visit() -> None:
        asked, sent = iter([{"type": "http.request", "body": b"", "more_body": False}]), []

        async def receive() -> Any:
            return next(asked, None) or await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        await application({**SCOPE, "state": state.copy()}, receive, send)
        body = b"".join(message.get("body", b"") for message in sent)
        if sent[0]["status"] != 200 or b'class="failed' in body:
            sys.exit(f"a page with status {sent[0]['status']} is not whole")

    async def visitor(pages: int) -> None:
        for _ in range(pages):
            await visit()

    running = asyncio.create_task(application({"type": "lifespan", "state": state}, life.get, tell))
    await life.put({"type": "lifespan.startup"})
    await up.wait()
    await asyncio.gather(*[visitor(5) for _ in range(IN_FLIGHT)])
    found = []
    for _ in range(ROUNDS):
        start = time.process_time()
        await asyncio.gather(*[visitor(pages // IN_FLIGHT) for _ in range(IN_FLIGHT)])
        found.append((time.process_time() - start) / (pages // IN_FLIGHT * IN_FLIGHT))
    await life.put({"type": "lifespan.shutdown"})
    await running
    return min(found) * 1e6


if __name__ == "__main__":
    name, _, attribute = sys.argv[1].partition(":")
    sys.path.insert(0, ".")
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        application = getattr(import_module(name), attribute)
        print(round(runner.run(main(application, int(sys.argv[2])))))
