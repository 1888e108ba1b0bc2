"""What the parts of a page take, without a server, a network or a service.

`python -m measured.parts` prints microseconds of processor time, the least of some rounds, as JSON:
of the engine for each of 8 calls at once, over a transport that answers at once and never says the
same twice, with a page's HTML made after each 8 of them, and alone; and of that HTML, 8 sections of
6 items, beyond an empty response.
"""

import asyncio
import gc
import json
import sys
import time
from collections.abc import AsyncIterator, Iterable
from importlib import import_module
from itertools import count
from types import SimpleNamespace
from typing import Any

import django
import uvloop
from django.conf import settings
from django.http import HttpResponse
from django.test import RequestFactory

COUNT, ITEMS = 8, 6
PAGES = 300
ROUNDS = 8
ITEM = {
    "title": "A book of the shelf, bound & signed",
    "author": "The author of it",
    "text": "A harbour town, a missing clerk and <three> letters that nobody sent.",
    "price": "£8.50",
    "image": "/covers/of/the/book.jpg",
}


class Incoming:
    """An answer that is here already."""

    status, version = 200, "HTTP/1.1"

    def __init__(self, number: int) -> None:
        items = [{**ITEM, "url": f"/books/{item}"} for item in range(ITEMS)]
        said = {"title": f"Shelf {number}", "items": items, "call": number}
        body = json.dumps(said).encode()
        self.chunks = [body]
        self.headers = [(b"content-type", b"application/json")]
        self.headers += [(b"content-length", b"%d" % len(body))]

    def __aiter__(self) -> AsyncIterator[bytes]:
        return self

    async def __anext__(self) -> bytes:
        if not self.chunks:
            raise StopAsyncIteration
        return self.chunks.pop()

    async def aclose(self) -> None: ...


class Transport:
    """Gives back what was made before; a message is encoded, for that is the engine's."""

    made: list[Incoming]

    async def send(
        self, message: Any, more: Iterable[Any], *, seconds: float, fresh: bool
    ) -> Incoming:
        message.encode(more)
        return self.made.pop()


async def main() -> dict[str, int]:
    """Microseconds of each part."""
    views: Any = import_module("homepage.views")
    response: Any = import_module("fanout.pages.response")
    transports: Any = import_module("fanout.calls.transport")
    transports._pooled[asyncio.get_running_loop()] = transport = Transport()
    request: Any = RequestFactory().get("/", SERVER_NAME="127.0.0.1")

    async def auser() -> Any:
        return SimpleNamespace(is_authenticated=False)

    request.auser = auser
    services = views.HOME.services
    gc.freeze()  # as the site does
    gc.set_threshold(20_000)
    numbers = count()
    calls: list[float] = []
    pages: list[float] = []
    alone: list[float] = []
    for _ in range(ROUNDS):
        transport.made = [Incoming(next(numbers)) for _ in range(2 * COUNT * PAGES)]
        calling = showing = 0.0
        for _ in range(PAGES):
            visit = await views.aget_visit(request)
            start = time.process_time()
            sections = await asyncio.gather(*[views.afetch(each, visit) for each in services])
            called = time.process_time()
            page = response.PageResponse(visit, views.HOME, "gather", sections)
            shown = time.process_time()
            HttpResponse(b"", charset=settings.DEFAULT_CHARSET)
            calling += called - start
            showing += 2 * shown - called - time.process_time()
            if not page.page.complete:
                sys.exit(f"a page is not whole: {page.page}")
        calls.append(calling / PAGES / COUNT)
        pages.append(showing / PAGES)
        visits = [await views.aget_visit(request) for _ in range(PAGES)]
        start = time.process_time()
        for visit in visits:
            await asyncio.gather(*[views.afetch(each, visit) for each in services])
        alone.append((time.process_time() - start) / PAGES / COUNT)
    return {
        "the engine per call, over no transport": round(min(alone) * 1e6),
        "the same in a page": round(min(calls) * 1e6),
        "the HTML per page": round(min(pages) * 1e6),
    }


if __name__ == "__main__":
    django.setup()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        print(json.dumps(runner.run(main())))
