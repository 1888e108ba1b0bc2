"""A page, and the response that shows it."""

from collections.abc import Iterable
from dataclasses import dataclass

from django.conf import settings
from django.http import HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from fanout.calls.headers import REQUEST_ID
from fanout.calls.section import Section
from fanout.calls.visit import Visit
from fanout.pages.rendering import show_section

RETRY_AFTER = 5  # seconds; most paused services are tried again by then


@dataclass(frozen=True, slots=True)
class Page:
    """The outcome of all calls for one visitor, in the order of the services."""

    style: str
    sections: tuple[Section, ...]
    duration: float  # seconds, from the start of the visit to the end of the last call
    viewer_unknown: bool = False  # the visit's

    @property
    def complete(self) -> bool:
        """Whether every section is `ok`, and is the viewer's."""
        return not self.viewer_unknown and all(section.state == "ok" for section in self.sections)

    @property
    def missing(self) -> list[Section]:
        """The sections that could not be shown."""
        return [section for section in self.sections if section.state == "failed"]

    @property
    def status(self) -> int:
        """The HTTP status: 503 if a required section is missing, or all of them are; else 200."""
        needed = any(section.required for section in self.missing)
        return 503 if needed or len(self.missing) == len(self.sections) else 200


class PageResponse(HttpResponse):
    """A page with its headers; `page` is what it shows."""

    def __init__(self, visit: Visit, template: str, style: str, made: Iterable[Section]) -> None:
        waited = visit.deadline.elapsed()
        rendered = [show_section(s, visit.request, strict=settings.DEBUG) for s in made]
        shown = tuple(section for section, _ in rendered)
        self.page = Page(style, shown, waited, visit.viewer_unknown)
        context = make_context(self.page, visit, sections=rendered)
        html = render_to_string(template, context, visit.request, using="jinja2")
        super().__init__(html, status=self.page.status)
        set_headers(self, visit)
        lasting = self.page.complete and not visit.viewer
        self.headers["Cache-Control"] = "private" if lasting else "no-store"
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
    """Milliseconds of each call and of all, as in https://www.w3.org/TR/server-timing/."""
    timings = [
        f"{s.name};dur={s.duration * 1000:.1f}" + (f";desc={s.state}" if s.state != "ok" else "")
        for s in page.sections
    ]
    return ", ".join([*timings, f"total;dur={total * 1000:.1f}"])
