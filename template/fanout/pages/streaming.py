"""The response that shows a page while its services still answer."""

from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from functools import partial
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.http import StreamingHttpResponse
from django.template.loader import get_template
from django.utils.safestring import SafeString

from fanout.calls.section import Section
from fanout.calls.visit import Visit
from fanout.pages.page import Page
from fanout.pages.rendering import find_block, show_section
from fanout.pages.response import (
    Outcome,
    PageResponse,
    ashow_page,
    find_gone,
    make_context,
    make_timings,
    set_headers,
    wants_json,
)

Sections = AsyncGenerator[list[Section], None]
CUT = SafeString("<!-- sections -->")  # where the page is parted to let them in


async def stream_page(
    visit: Visit, page: Page, style: str, arriving: Sections
) -> "PageResponse | StreamedPageResponse":
    """The response, once its status is known: when every required service has answered.

    JSON, what says that there is no page, and what answers HTTP/1.0, is in one piece.
    """
    old = vars(visit.request)["scope"].get("http_version") == "1.0"  # it knows no chunks
    services, whole = page.sections, old or wants_json(visit.request)
    required = page.find_required(services)
    first = {service.name for service in services} if whole else required
    arrived: list[Section] = []
    while not first <= {section.name for section in arrived}:
        arrived += await anext(arriving)
    if whole or find_gone(arrived, required):
        await arriving.aclose()
        return await ashow_page(visit, page, style, arrived)
    return StreamedPageResponse(visit, page, style, arrived, arriving)


class StreamedPageResponse(StreamingHttpResponse):
    """A page in parts. `page` is what has been sent; a section that has not arrived yet is empty."""

    def __init__(
        self, visit: Visit, page: Page, style: str, arrived: list[Section], arriving: Sections
    ) -> None:
        self._visit, self._template = visit, page.template
        self._frame: Any = get_template("fanout/stream.html", using="jinja2")
        services = page.sections
        make = partial(Section, state="ok", start=0.0, duration=0.0)
        self._waiting = {s.name: make(name=s.name, title=s.title) for s in services}
        waiting = tuple(self._waiting.values())
        self.page = Outcome(style, waiting, 0.0, page.find_required(services), visit.viewer_unknown)
        template: Any = get_template(self._template, using="jinja2")
        context = make_context(self.page, visit, sections=[], slot=True)
        self._render_sections = find_block(template.template, "sections", context)
        first = self._add(arrived) if arrived else ""
        shell, self._end = self._render()  # whole, so that cookies and errors are not too late
        self._parts = self._stream(shell + first, arriving)
        # Without the charset, Django looks for it in the content type, for every part.
        super().__init__(self._parts, status=self.page.status, charset=settings.DEFAULT_CHARSET)
        set_headers(self, visit)
        self.headers["Cache-Control"] = "no-store, private"  # it may end incomplete
        self.headers["X-Accel-Buffering"] = "no"  # nginx and others keep parts back without it
        self.headers["Content-Encoding"] = "identity"  # else middleware compresses each part alone

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """The parts; whoever stops taking them stops the calls, which Django alone would not."""
        async with aclosing(self._parts):
            async for part in self._iterator:  # type: ignore[attr-defined]
                yield self.make_bytes(part)

    async def _stream(self, shell: str, arriving: Sections) -> AsyncGenerator[str, None]:
        async with aclosing(arriving):
            yield shell
            if self._visit.request.method == "HEAD":
                return
            part = ""  # the last one goes with the end
            async for sections in arriving:
                part = self._add(sections)
                if self._waiting:
                    yield part
        same = all(getattr(self.page, what) == it for what, it in self._asked.answers.items())
        end = self._end if same else self._render()[1]
        if settings.FANOUT_COMPARE:  # what buffered pages say in a header
            end += f"<!-- Server-Timing: {make_timings(self.page, self.page.duration)} -->\n"
        yield part + end

    def _add(self, arrived: list[Section]) -> str:
        """The HTML of sections, which from now on are part of the page."""
        shown = [show_section(section, self._visit.request) for section in arrived]
        known = {section.name: section for section, _ in shown}
        for name in known:
            del self._waiting[name]
        page = self.page
        page.sections = tuple(known.get(section.name, section) for section in page.sections)
        page.duration = self._visit.deadline.elapsed()
        return self._render_sections({"page": self.page, "sections": shown})

    def _render(self) -> tuple[str, str]:
        """The page before its sections, and after them."""
        self._asked = _Asked(self.page)
        parts = {"sections": CUT, "waiting": self._waiting.values(), "template": self._template}
        context = make_context(self._asked, self._visit, places=self.page.sections, **parts)
        shell, cut, end = self._frame.render(context, self._visit.request).partition(CUT)
        if not cut:
            message = f"{self._template} has no block named sections: they are streamed to there."
            raise ImproperlyConfigured(message)
        return shell, end


class _Asked:
    """What became of a page, with a note of what its template asks about that."""

    def __init__(self, page: Outcome) -> None:
        self._page = page
        self.answers: dict[str, Any] = {}

    def __getattr__(self, name: str) -> Any:
        self.answers[name] = answer = getattr(self._page, name)
        return answer
