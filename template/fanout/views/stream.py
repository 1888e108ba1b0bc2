"""An async view that sends the page's shell at once, and each section as its service answers."""

import asyncio
from collections.abc import AsyncGenerator

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.views.decorators.http import require_safe

from fanout.fetch import afetch
from fanout.response import PageResponse
from fanout.section import Section
from fanout.service import services
from fanout.streaming import StreamedPageResponse, stream_page
from fanout.transport import get_async_transport
from fanout.views import sync
from fanout.visit import Visit, aget_visit


@require_safe
async def home(request: HttpRequest) -> PageResponse | StreamedPageResponse:
    """The homepage: something at once, all of it in the time of the slowest service."""
    if not isinstance(request, ASGIRequest):  # WSGI cannot send what an event loop makes
        return await sync_to_async(sync.home)(request)
    visit = await aget_visit(request)
    return await stream_page(request, "stream", fetch_all(visit), visit)


async def fetch_all(visit: Visit) -> AsyncGenerator[Section, None]:
    """The sections, in the order in which the services answer; to close it is to stop the calls."""
    async with get_async_transport() as transport:
        calls = [asyncio.create_task(afetch(transport, s, visit)) for s in services()]
        try:
            for call in asyncio.as_completed(calls):
                yield await call
        finally:
            for task in calls:
                task.cancel()
            await asyncio.wait(calls)
