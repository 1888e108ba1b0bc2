"""The response that shows a page."""

import logging
from collections.abc import Iterable
from dataclasses import replace

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from django.template.loader import render_to_string
from django.utils.cache import patch_vary_headers

from fanout.deadline import Deadline
from fanout.page import Page
from fanout.section import Section
from fanout.viewer import Viewer

logger = logging.getLogger("fanout")


class PageResponse(HttpResponse):
    """A homepage with its headers; `page` is what it shows."""

    def __init__(
        self,
        request: HttpRequest,
        style: str,
        sections: Iterable[Section],
        deadline: Deadline,
        viewer: Viewer,
    ) -> None:
        """Render `sections`, which were made within `deadline` for `viewer`, in that order."""
        waited = deadline.elapsed()
        rendered = [_render(section, request) for section in sections]
        self.page = Page(
            style=style,
            sections=tuple(section for section, _ in rendered),
            duration=waited,
        )
        context = {
            "page": self.page,
            "sections": rendered,
            "viewer": viewer,
            "compare": settings.FANOUT_COMPARE,
        }
        html = render_to_string("fanout/home.html", context, request, using="jinja2")
        super().__init__(
            html,
            status=self.page.status,
            headers={
                "Cache-Control": "private" if self.page.complete else "no-store",
                "Server-Timing": _server_timing(self.page, deadline.elapsed()),
                "X-Fanout-Complete": "true" if self.page.complete else "false",
            },
        )
        patch_vary_headers(self, ["Cookie"])


def _render(section: Section, request: HttpRequest) -> tuple[Section, str]:
    """The section and its HTML; one that its template cannot show is a failed one without."""
    if section.state == "failed":
        return section, ""
    templates = [f"fanout/sections/{section.name}.html", "fanout/sections/default.html"]
    try:
        return section, render_to_string(templates, {"section": section}, request, using="jinja2")
    except Exception:
        if settings.DEBUG:
            raise
        logger.exception("%s has a template that fails", section.name)
        return replace(section, state="failed", error="has a template that fails"), ""


def _server_timing(page: Page, total: float) -> str:
    """Each call and the whole of the page, in milliseconds: https://www.w3.org/TR/server-timing/."""
    timings = [(section.name, section.duration) for section in page.sections]
    return ", ".join(
        f"{name};dur={seconds * 1000:.1f}" for name, seconds in [*timings, ("total", total)]
    )
