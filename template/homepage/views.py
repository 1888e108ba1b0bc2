"""The homepage in four styles: they differ in how they wait for the services, and in nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from fanout.calls.fetch import afetch, afetch_as_completed, fetch
from fanout.calls.service import services
from fanout.calls.visit import aget_visit, get_visit
from fanout.pages.response import PageResponse
from fanout.pages.streaming import stream_page

TEMPLATE = "home.html"


@require_safe
def sync(request: HttpRequest) -> HttpResponseBase:
    """A plain view. The thread waits for each service: as long as all of them together."""
    visit = get_visit(request)
    sections = [fetch(service, visit) for service in services()]
    return PageResponse(visit, TEMPLATE, "sync", sections)


@require_safe
async def naive(request: HttpRequest) -> HttpResponseBase:
    """The trap: async, yet it awaits one call after another: as long as all services together."""
    visit = await aget_visit(request)
    sections = [await afetch(service, visit) for service in services()]
    return PageResponse(visit, TEMPLATE, "naive", sections)


@require_safe
async def gather(request: HttpRequest) -> HttpResponseBase:
    """All calls at once: as long as the slowest service."""
    visit = await aget_visit(request)
    sections = await asyncio.gather(*[afetch(service, visit) for service in services()])
    return PageResponse(visit, TEMPLATE, "gather", sections)


@require_safe
async def stream(request: HttpRequest) -> HttpResponseBase:
    """All calls at once, each section sent when its service has answered: the first byte at once."""
    if not isinstance(request, ASGIRequest):  # WSGI cannot send what an event loop makes
        return await sync_to_async(sync)(request)
    visit = await aget_visit(request)
    sections = afetch_as_completed(services(), visit)
    return await stream_page(visit, TEMPLATE, "stream", sections)


VIEWS: dict[str, Callable[[HttpRequest], Any]] = {
    "sync": sync,
    "naive": naive,
    "gather": gather,
    "stream": stream,
}
