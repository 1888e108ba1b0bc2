"""An async view that starts all calls at once and waits for them together."""

import asyncio

from django.http import HttpRequest
from django.views.decorators.http import require_safe

from fanout.fetch import afetch
from fanout.response import PageResponse
from fanout.service import services
from fanout.transport import get_async_transport
from fanout.visit import aget_visit


@require_safe
async def home(request: HttpRequest) -> PageResponse:
    """The homepage, in the time of the slowest service."""
    visit = await aget_visit(request)
    async with get_async_transport() as transport:
        sections = await asyncio.gather(*[afetch(transport, s, visit) for s in services()])
    return PageResponse(request, "gather", sections, visit)
