"""Starlette with one shared aiohttp session, opened and closed in the lifespan, and Jinja2."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, TypedDict

import aiohttp
from services import SERVICES, TEMPLATES, make_section
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.templating import Jinja2Templates

templates = Jinja2Templates(TEMPLATES)


class State(TypedDict):
    """What the lifespan hands to requests."""

    session: aiohttp.ClientSession


@asynccontextmanager
async def lifespan(app: Starlette) -> AsyncIterator[State]:
    """One session for all pages, with as many connections as they need."""
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0)) as session:
        yield {"session": session}


async def home(request: Request) -> Response:
    """All calls at once."""
    session = request.state.session
    calls = [fetch(session, name, url) for name, url in SERVICES.items()]
    sections = await asyncio.gather(*calls)
    return templates.TemplateResponse(request, "home.html", {"sections": sections})


async def fetch(session: aiohttp.ClientSession, name: str, url: str) -> dict[str, Any]:
    """The section of one service."""
    async with session.get(url) as response:
        response.raise_for_status()
        return make_section(name, await response.json())


app = Starlette(routes=[Route("/", home)], lifespan=lifespan)
