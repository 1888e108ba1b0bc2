"""A plain view: one call after another, and the thread waits for each."""

from django.http import HttpRequest
from django.views.decorators.http import require_safe

from fanout.fetch import fetch
from fanout.response import PageResponse
from fanout.service import services
from fanout.transport import get_transport
from fanout.visit import get_visit


@require_safe
def home(request: HttpRequest) -> PageResponse:
    """The homepage, in the time of all services together."""
    visit = get_visit(request)
    transport = get_transport()
    sections = [fetch(transport, s, visit) for s in services()]
    return PageResponse(request, "sync", sections, visit)
