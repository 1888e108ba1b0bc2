"""What becomes of a page, and the response that shows it."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import partial

from asgiref.sync import sync_to_async
from django.conf import settings
from django.core.handlers.exception import response_for_exception
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseBase
from django.template.loader import render_to_string

from fanout.calls.headers import REQUEST_ID
from fanout.calls.section import GONE, Section
from fanout.calls.visit import Visit
from fanout.pages.page import Page
from fanout.pages.rendering import show_section

RETRY_AFTER = 5  # seconds; most paused services are tried again by then
JSON, HTML = "application/json", "text/html"
# Django's own takes 40 us, and raises errors for some headers.
_ACCEPTED = re.compile(rf"(?:^|,)\s*({JSON}|{HTML})\s*(?=[,;]|$)(?:;[^,]*?\bq=(\d(?:\.\d*)?))?")


@dataclass(slots=True)
class Outcome:
    """What became of a page: the outcome of all its calls for one visitor, in its order."""

    style: str
    sections: tuple[Section, ...]
    duration: float  # seconds, from the start of the visit to the end of the last call
    required: Collection[str] = ()  # names
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
        """The HTTP status: what `find_gone` finds, 503 if a required section or all are missing, or 200."""
        if not (missing := self.missing) and self.sections:
            return 200
        needed = any(section.name in self.required for section in missing)
        broken = needed or len(missing) == len(self.sections)
        return find_gone(missing, self.required) or (503 if broken else 200)


def find_gone(sections: Iterable[Section], required: Collection[str]) -> int | None:
    """404 or 410 if a required service says that; else None."""
    failed = [s.status for s in sections if s.state == "failed" and s.name in required]
    return next((status for status in failed if status in GONE), None)


class PageResponse(HttpResponse):
    """A page with its headers, as HTML or as JSON; `page` is what became of it."""

    def __init__(self, visit: Visit, page: Page, style: str, made: Iterable[Section]) -> None:
        waited = visit.deadline.elapsed()
        as_json = wants_json(visit.request)
        services = page.sections
        places = {service.name: place for place, service in enumerate(services)}
        ordered = sorted(made, key=lambda section: places.get(section.name, len(places)))
        show = partial(show_section, as_json=as_json, strict=settings.DEBUG)
        rendered = [show(section, visit.request) for section in ordered]
        shown = tuple(section for section, _ in rendered)
        required = page.find_required(services)
        self.page = Outcome(style, shown, waited, required, visit.viewer_unknown)
        status, complete = self.page.status, "true" if self.page.complete else "false"
        self.gone = status in GONE and not as_json  # the site has a page for that
        content = ""
        if as_json:
            texts = ", ".join(f'"{section.name}": {text}' for section, text in rendered)
            content = f'{{"complete": {complete}, "sections": {{{texts}}}}}'
        elif not self.gone:
            context = make_context(self.page, visit, sections=rendered)
            content = render_to_string(page.template, context, visit.request, using="jinja2")
        kind, charset = JSON if as_json else None, settings.DEFAULT_CHARSET  # else looked for often
        super().__init__(content, kind, status, charset=charset)
        set_headers(self, visit)
        lasting = self.page.complete and not visit.viewer  # Django 5.2 heeds only private
        self.headers["Cache-Control"] = "private" if lasting else "no-store, private"
        self.headers["Server-Timing"] = make_timings(self.page, visit.deadline.elapsed())
        self.headers["X-Fanout-Complete"] = complete


def show_page(visit: Visit, page: Page, style: str, made: Iterable[Section]) -> PageResponse:
    """The response of a view that blocks its thread."""
    response = PageResponse(visit, page, style, made)
    if response.gone:
        response.content = _show_gone(visit.request)
    return response


async def ashow_page(visit: Visit, page: Page, style: str, made: Iterable[Section]) -> PageResponse:
    """The response of an async view."""
    response = PageResponse(visit, page, style, made)
    if response.gone:
        response.content = await sync_to_async(_show_gone)(visit.request)
    return response


def wants_json(request: HttpRequest) -> bool:
    """Whether a visitor names JSON, and HTML less or not; browsers do not, nor who takes anything."""
    accepted = request.META.get("HTTP_ACCEPT", "").lower()
    found = _ACCEPTED.findall(accepted) if JSON in accepted else ()
    weights = {kind: float(weight or 1) for kind, weight in found}
    return weights.get(JSON, 0.0) > weights.get(HTML, 0.0)


def _show_gone(request: HttpRequest) -> bytes:
    """What the site shows where there is no page; it may ask the database."""
    error = Http404("A required service says that there is nothing.")
    return bytes(response_for_exception(request, error).content)


def make_context(page: object, visit: Visit, **more: object) -> dict[str, object]:
    """What a page's template gets."""
    more["fakes_url"] = settings.DEBUG and settings.FAKES_URL
    return {"page": page, "viewer": visit.viewer, "compare": settings.FANOUT_COMPARE, **more}


def set_headers(response: HttpResponseBase, visit: Visit) -> None:
    """Set the headers that do not depend on what is on the page."""
    response.headers[REQUEST_ID] = visit.headers[REQUEST_ID]
    response.headers["Vary"] = "Accept"
    if response.status_code == 503:
        response.headers["Retry-After"] = str(RETRY_AFTER)


def make_timings(page: Outcome, total: float) -> str:
    """Milliseconds of each call and of all, as in https://www.w3.org/TR/server-timing/."""
    timings = [
        f"{s.name};dur={s.duration * 1000:.1f}" + (f";desc={s.state}" if s.state != "ok" else "")
        for s in page.sections
    ]
    return ", ".join([*timings, f"total;dur={total * 1000:.1f}"])
