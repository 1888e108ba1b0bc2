"""FastAPI with one shared client, opened and closed in the lifespan, and Jinja2.

HTTPX chooses the library: `httpx`, or `httpx2`, which has the same interface. LIMITS=default leaves
its limits as they come.
"""

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.templating import Jinja2Templates
from services import SERVICES, TEMPLATES, make_section

httpx: Any = import_module(os.environ.get("HTTPX", "httpx"))
templates = Jinja2Templates(TEMPLATES)


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    """One client for all pages; raised limits, so that no call fails while it waits its turn."""
    options = {"limits": httpx.Limits(max_connections=None), "timeout": 60}
    if os.environ.get("LIMITS") == "default":
        options = {}
    async with httpx.AsyncClient(**options) as app.state.client:
        yield


app = FastAPI(lifespan=lifespan)


@app.get("/", response_class=HTMLResponse)
async def home(request: Request) -> Response:
    """All calls at once."""
    sections = await asyncio.gather(*[fetch(name, url) for name, url in SERVICES.items()])
    return templates.TemplateResponse(request, "home.html", {"sections": sections})


async def fetch(name: str, url: str) -> dict[str, Any]:
    """The section of one service."""
    response = await app.state.client.get(url)
    response.raise_for_status()
    return make_section(name, response.json())
