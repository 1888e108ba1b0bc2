"""The fake services: one process, a port for each, as little work per call as Python allows.

`python fakes.py 8` prints their ports as JSON. `GET /50/` answers after 50 ms; `GET /calls` says how
many calls all of them have answered.
"""

import asyncio
import json
import sys
from functools import partial
from typing import cast

import uvloop

ITEMS = 6

calls = 0


CALL = b"0000000000"  # in every answer; no page shows it


def make_answer(number: int) -> bytes:
    """What the service with that number answers, always; some of it has to be escaped."""
    items = [
        {
            "title": f"Book {item} of shelf {number}, bound & signed",
            "author": f"Author {item}",
            "text": "A harbour town, a missing clerk and <three> letters that nobody sent.",
            "price": f"£{8 + item}.50",
            "url": f"/books/{number}/{item}",
            "image": f"/covers/{number}/{item}.jpg",
        }
        for item in range(1, ITEMS + 1)
    ]
    answer = {"title": f"Shelf {number}", "items": items, "call": CALL.decode()}
    return respond(json.dumps(answer).encode())


def respond(body: bytes) -> bytes:
    """A whole HTTP response."""
    head = (
        f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


class Service(asyncio.Protocol):
    """One keep-alive connection to a service; uvloop sets TCP_NODELAY on it."""

    def __init__(self, answer: bytes) -> None:
        self.answer = answer
        self.received = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's has no such base

    def data_received(self, data: bytes) -> None:
        global calls
        self.received += data
        while b"\r\n\r\n" in self.received:
            request, _, self.received = self.received.partition(b"\r\n\r\n")
            word, _, new = request[5 : request.index(b" ", 5)].partition(b"/")
            if word == b"calls":
                self.transport.write(respond(str(calls).encode()))
                continue
            calls += 1
            answer = self.answer
            if new:  # unlike any before
                answer = answer.replace(CALL, str(calls).zfill(len(CALL)).encode())
            if milliseconds := int(word):
                loop = asyncio.get_running_loop()
                loop.call_later(milliseconds / 1000, self.transport.write, answer)
            else:
                self.transport.write(answer)


async def serve(count: int) -> None:
    """Listen until the end of the process."""
    loop = asyncio.get_running_loop()
    servers = [
        await loop.create_server(
            partial(Service, make_answer(number)),
            "127.0.0.1",
            0,
            backlog=4096,
        )
        for number in range(1, count + 1)
    ]
    print(json.dumps([server.sockets[0].getsockname()[1] for server in servers]), flush=True)
    await loop.create_future()


if __name__ == "__main__":
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(int(sys.argv[1])))
