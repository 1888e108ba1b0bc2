"""The style `stream`: every section is seen as it comes, in its place."""

from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from threading import Event

from playwright.sync_api import Page, Route, expect

from tests.browser.conftest import Serve
from tests.browser.service import run_service
from tests.browser.sight import find_violations, list_heard, list_seen, try_looks

NAMES = ["promo", "recco", "reviews", "bestsellers"]
PATIENCE = """
from fanout import Service

FANOUT_DEADLINE = 600.0
Service.timeout = 300.0
"""


def test_sections_are_seen_before_the_slow_ones_are_there(
    serve_site: Serve,
    page: Page,
    packages: Path,
    record_property: Callable[[str, object], None],
) -> None:
    opened = {name: Event() for name in NAMES}
    with ExitStack() as stack:
        urls = {
            name: stack.enter_context(
                run_service({"title": f"The {name}", "items": []}, opened[name])
            )
            for name in NAMES
        }
        site = serve_site(len(NAMES), PATIENCE, **urls)
        assert site.names == NAMES
        page.goto(f"{site.address}compare/stream/", wait_until="commit")
        expect(page.get_by_text("On its way …")).to_have_count(len(NAMES))
        first_byte = page.evaluate("performance.getEntriesByType('navigation')[0].responseStart")
        record_property("figure", f"stream: first byte after {first_byte:.0f} ms, no service yet")
        assert first_byte < 10_000  # the services would take for ever
        expected = [f"{name}-waiting" for name in NAMES]
        for look in try_looks(page):
            assert list_seen(page) == expected, look
            assert not find_violations(page, packages), look
        for name in ("reviews", "promo", "bestsellers", "recco"):
            opened[name].set()
            expect(page.get_by_role("heading", name=f"The {name}")).to_be_visible()
            expected[NAMES.index(name)] = f"section-{name}"
            for look in try_looks(page):
                assert list_seen(page) == expected, look
                assert not find_violations(page, packages), look
        page.wait_for_load_state()
        assert list_heard(page) == [f"The {name}" for name in NAMES]
        expect(page.get_by_role("contentinfo")).to_contain_text("Fetched with stream")


def test_without_shadow_roots_sections_are_seen_as_they_come(serve_site: Serve, page: Page) -> None:
    site = serve_site(12)

    def forget_shadow_roots(route: Route) -> None:
        response = route.fetch()
        route.fulfill(
            response=response, body=response.text().replace("shadowrootmode=", "data-mode=")
        )

    page.route("**/compare/stream/", forget_shadow_roots)
    page.goto(f"{site.address}compare/stream/")
    assert sorted(list_seen(page)) == sorted(f"section-{name}" for name in site.names)
