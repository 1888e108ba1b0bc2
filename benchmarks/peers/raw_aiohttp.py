"""No framework at all: an ASGI function, one aiohttp session and Jinja2. A floor, not a choice."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import aiohttp
from jinja2 import Environment, FileSystemLoader
from services import SERVICES, TEMPLATES, make_section

environment = Environment(loader=FileSystemLoader(TEMPLATES), autoescape=True, auto_reload=False)
template = environment.get_template("home.html")
session: aiohttp.ClientSession


async def app(
    scope: dict[str, Any],
    receive: Callable[[], Awaitable[dict[str, Any]]],
    send: Callable[[dict[str, Any]], Awaitable[None]],
) -> None:
    """The lifespan with its session, and one page for whatever path."""
    global session
    if scope["type"] == "lifespan":
        await receive()
        session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        await send({"type": "lifespan.startup.complete"})
        await receive()
        await session.close()
        await send({"type": "lifespan.shutdown.complete"})
        return
    sections = await asyncio.gather(*[fetch(name, url) for name, url in SERVICES.items()])
    body = template.render(sections=sections).encode()
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-length", str(len(body)).encode()),
    ]
    await send({"type": "http.response.start", "status": 200, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def fetch(name: str, url: str) -> dict[str, Any]:
    """The section of one service."""
    async with session.get(url) as response:
        response.raise_for_status()
        return make_section(name, await response.json())
