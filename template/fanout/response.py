"""The response that shows a page."""

from collections.abc import Iterable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.http.response import HttpResponseBase
from django.template.loader import render_to_string

from fanout.headers import REQUEST_ID
from fanout.page import Page
from fanout.rendering import show_section
from fanout.section import Section
from fanout.visit import Visit

RETRY_AFTER = 5  # seconds; a paused service is tried again by then


class PageResponse(HttpResponse):
    """A homepage with its headers; `page` is what it shows."""

    def __init__(
        self, request: HttpRequest, style: str, sections: Iterable[Section], visit: Visit
    ) -> None:
        """Render `sections`, which were made in `visit`, in that order."""
        waited = visit.deadline.elapsed()
        rendered = [show_section(s, request, strict=settings.DEBUG) for s in sections]
        self.page = Page(style=style, sections=tuple(s for s, _ in rendered), duration=waited)
        context = make_context(self.page, visit, sections=rendered)
        html = render_to_string("fanout/home.html", context, request, using="jinja2")
        super().__init__(html, status=self.page.status)
        set_headers(self, visit)
        self.headers["Cache-Control"] = "private" if self.page.complete else "no-store"
        self.headers["Server-Timing"] = make_timings(self.page, visit.deadline.elapsed())
        self.headers["X-Fanout-Complete"] = "true" if self.page.complete else "false"


def make_context(page: Page, visit: Visit, **more: object) -> dict[str, object]:
    """What a page's template gets."""
    return {"page": page, "viewer": visit.viewer, "compare": settings.FANOUT_COMPARE, **more}


def set_headers(response: HttpResponseBase, visit: Visit) -> None:
    """Set the headers that do not depend on what is on the page."""
    response.headers[REQUEST_ID] = visit.headers[REQUEST_ID]
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)


def make_timings(page: Page, total: float) -> str:
    """Each call and the whole, in milliseconds, with the state of what is not ok.

    https://www.w3.org/TR/server-timing/
    """
    timings = [
        f"{s.name};dur={s.duration * 1000:.1f}" + (f";desc={s.state}" if s.state != "ok" else "")
        for s in page.sections
    ]
    return ", ".join([*timings, f"total;dur={total * 1000:.1f}"])
