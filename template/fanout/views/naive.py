"""An async view that awaits one call after another: async, yet not concurrent."""

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.http import require_safe

from fanout.client import get_async_client
from fanout.deadline import Deadline
from fanout.fetch import afetch
from fanout.response import PageResponse
from fanout.service import services
from fanout.viewer import aget_viewer


@require_safe
async def home(request: HttpRequest) -> PageResponse:
    """The homepage, in the time of all services together."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    viewer = await aget_viewer(request)
    async with get_async_client() as client:
        sections = [await afetch(client, s, deadline, viewer) for s in services()]
    return PageResponse(request, "naive", sections, deadline, viewer)
