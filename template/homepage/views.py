"""The pages. The views differ in how they wait for the services of a page, and in nothing else."""

import asyncio
from collections.abc import Callable
from typing import Any

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.asgi import ASGIRequest
from django.db.transaction import non_atomic_requests
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from fanout.calls.fetch import afetch, afetch_as_completed, fetch
from fanout.calls.visit import aget_visit, get_visit
from fanout.pages.page import Page
from fanout.pages.response import ashow_page, show_page
from fanout.pages.streaming import stream_page
from homepage.services import Book

HOME = Page("home.html")
BOOK = Page("book.html", Book, *settings.FANOUT_SERVICES[:2], required=[Book])


@non_atomic_requests
@require_safe
def sync(request: HttpRequest, page: Page = HOME, **_: str) -> HttpResponseBase:
    """A plain view. The thread waits for each service: as long as all of them together."""
    visit = get_visit(request)
    sections = [fetch(service, visit) for service in page.services]
    return show_page(visit, page, "sync", sections)


@non_atomic_requests
@require_safe
async def naive(request: HttpRequest, page: Page = HOME, **_: str) -> HttpResponseBase:
    """The trap: async, yet it awaits one call after another: as long as all services together."""
    visit = await aget_visit(request)
    sections = [await afetch(service, visit) for service in page.services]
    return await ashow_page(visit, page, "naive", sections)


@non_atomic_requests
@require_safe
async def gather(request: HttpRequest, page: Page = HOME, **_: str) -> HttpResponseBase:
    """All calls at once: as long as the slowest service."""
    visit = await aget_visit(request)
    sections = await asyncio.gather(*[afetch(service, visit) for service in page.services])
    return await ashow_page(visit, page, "gather", sections)


@non_atomic_requests
@require_safe
async def stream(request: HttpRequest, page: Page = HOME, **_: str) -> HttpResponseBase:
    """All calls at once, each section sent when its service has answered: the first byte at once."""
    if not isinstance(request, ASGIRequest):  # WSGI cannot send what an event loop makes
        return await sync_to_async(sync)(request, page)
    visit = await aget_visit(request)
    return await stream_page(visit, page, "stream", afetch_as_completed(page.services, visit))


VIEWS: dict[str, Callable[..., Any]] = {
    "sync": sync,
    "naive": naive,
    "gather": gather,
    "stream": stream,
}
