"""The response that shows a page."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from fanout.headers import REQUEST_ID
from fanout.page import Page
from fanout.rendering import render_section
from fanout.section import Section
from fanout.visit import Visit

RETRY_AFTER = 5  # seconds; a paused service is tried again by then

logger = logging.getLogger("fanout")


class PageResponse(HttpResponse):
    """A homepage with its headers; `page` is what it shows."""

    def __init__(
        self, request: HttpRequest, style: str, sections: Iterable[Section], visit: Visit
    ) -> None:
        """Render `sections`, which were made in `visit`, in that order."""
        waited = visit.deadline.elapsed()
        rendered = [_render(section, request) for section in sections]
        self.page = Page(style=style, sections=tuple(s for s, _ in rendered), duration=waited)
        context = {
            "page": self.page,
            "sections": rendered,
            "viewer": visit.viewer,
            "compare": settings.FANOUT_COMPARE,
        }
        html = render_to_string("fanout/home.html", context, request, using="jinja2")
        super().__init__(
            html,
            status=self.page.status,
            headers={
                "Cache-Control": "private" if self.page.complete else "no-store",
                "Server-Timing": _server_timing(self.page, visit.deadline.elapsed()),
                "X-Fanout-Complete": "true" if self.page.complete else "false",
                REQUEST_ID: visit.headers[REQUEST_ID],
            },
        )
        if self.status_code == 503:
            self.headers["Retry-After"] = str(RETRY_AFTER)
        patch_vary_headers(self, ["Cookie"])


def _render(section: Section, request: HttpRequest) -> tuple[Section, str]:
    """The section and its HTML; one that its template cannot show is a failed one without."""
    if section.state == "failed":
        return section, ""
    try:
        return section, render_section(section, request)
    except Exception:
        if settings.DEBUG:
            raise
        logger.exception("%s has a template that fails", section.name)
        return replace(section, state="failed", error="has a template that fails"), ""


def _server_timing(page: Page, total: float) -> str:
    """Each call and the whole, in milliseconds, with the state of what is not ok.

    https://www.w3.org/TR/server-timing/
    """
    timings = [
        f"{s.name};dur={s.duration * 1000:.1f}" + (f";desc={s.state}" if s.state != "ok" else "")
        for s in page.sections
    ]
    return ", ".join([*timings, f"total;dur={total * 1000:.1f}"])
