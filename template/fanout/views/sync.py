"""A plain view: one call after another, and the thread waits for each."""

from django.conf import settings
from django.http import HttpRequest
from django.views.decorators.http import require_safe

from fanout.client import get_client
from fanout.deadline import Deadline
from fanout.fetch import fetch
from fanout.response import PageResponse
from fanout.service import services
from fanout.viewer import get_viewer


@require_safe
def home(request: HttpRequest) -> PageResponse:
    """The homepage, in the time of all services together."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    viewer = get_viewer(request)
    client = get_client()
    sections = [fetch(client, s, deadline, viewer) for s in services()]
    return PageResponse(request, "sync", sections, deadline, viewer)
