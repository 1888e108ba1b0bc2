"""An async view that sends the page's shell at once, and each section as its service answers."""

from asgiref.sync import sync_to_async
from django.core.handlers.asgi import ASGIRequest
from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from fanout.fetch import afetch_as_completed
from fanout.service import services
from fanout.streaming import stream_page
from fanout.views import sync
from fanout.visit import aget_visit


@require_safe
async def home(request: HttpRequest) -> HttpResponseBase:
    """The homepage: something of it at once, all in the time of the slowest service."""
    if not isinstance(request, ASGIRequest):  # WSGI cannot send what an event loop makes
        return await sync_to_async(sync.home)(request)
    visit = await aget_visit(request)
    return await stream_page(request, "stream", afetch_as_completed(services(), visit), visit)
