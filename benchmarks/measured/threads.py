"""The project's plain view, but for one line: a thread for every call."""

from concurrent.futures import ThreadPoolExecutor

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.views.decorators.http import require_safe

from fanout.calls.fetch import fetch
from fanout.calls.visit import get_visit
from fanout.pages.response import PageResponse
from homepage.views import HOME

threads = ThreadPoolExecutor(256)  # 32 pages in flight, 8 calls each


@require_safe
def home(request: HttpRequest) -> HttpResponseBase:
    """The thread of the page waits for those of its calls."""
    visit = get_visit(request)
    sections = list(threads.map(lambda service: fetch(service, visit), HOME.services))
    return PageResponse(visit, HOME, "sync", sections)
