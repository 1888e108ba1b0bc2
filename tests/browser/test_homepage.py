"""The homepage: every style, every look, whatever services say."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Serve
from tests.browser.service import run_service
from tests.browser.sight import find_violations, list_heard, list_seen, try_looks
from tests.browser.site import DEMO, log_in
from tests.test_rendering import STYLES

PATHS = ["", *(f"compare/{style}/" for style in STYLES)]
BOOKS = ["books/9/", *(f"compare/{style}/books/9/" for style in STYLES)]

DO = "parent.broken=1"
TEXTS = [
    f"<script>{DO}</script><b>bold</b>&amp;{{{{ 7 * 7 }}}}{{% raw %}}",
    f"""\"' onerror="{DO}" x='""",
    "\u202etfel ot thgir \u2066",
    "unbreakable" * 40,
]
ADDRESSES = [
    (f"javascript:{DO}", f"javascript:{DO}"),
    (f'?"onfocus="{DO}"autofocus="', f'data:image/png,x" onerror="{DO}'),
    (
        f" JavaScript:{DO}",
        f"data:image/svg+xml,<svg xmlns='http://www.w3.org/2000/svg' onload='{DO}'/>",
    ),
    (f"data:text/html,<script>{DO}</script>", f"data:text/html,<script>{DO}</script>"),
]
HOSTILE = {
    "title": TEXTS[0],
    "items": [
        {
            **dict.fromkeys(("title", "author", "text", "price", "badge"), text),
            "url": url,
            "image": image,
        }
        for text, (url, image) in zip(TEXTS, ADDRESSES, strict=True)
    ],
}


@pytest.mark.parametrize("count", [1, 2, 12, 32])
def test_every_style_shows_all_sections_in_order(serve_site: Serve, page: Page, count: int) -> None:
    site = serve_site(count)
    for viewer in ("", DEMO):
        if viewer:
            log_in(page, site)
        for path in PATHS:
            page.goto(site.address + path)
            account = page.get_by_role("navigation", name="Account")
            expect(account).to_contain_text(f"Hello, {viewer}" if viewer else "Log in")
            colours = set()
            for look in try_looks(page):
                assert list_seen(page) == [f"section-{name}" for name in site.names], look
                colours.add(page.evaluate("getComputedStyle(document.body).backgroundColor"))
            assert len(colours) == 2
            assert list_heard(page) == [
                page.locator(f"#section-{name} h2").inner_text() for name in site.names
            ]


def test_every_style_is_accessible(serve_site: Serve, page: Page, packages: Path) -> None:
    site = serve_site(2)
    for viewer in ("", DEMO):
        if viewer:
            log_in(page, site)
        for path in PATHS + BOOKS:
            page.goto(site.address + path)
            for look in try_looks(page):
                assert not find_violations(page, packages), (path, look)


def test_a_cover_leads_to_its_book(serve_site: Serve, page: Page) -> None:
    site = serve_site(2)
    for path in PATHS:
        page.goto(site.address + path)
        cover = page.locator("#section-recco li").first
        title = cover.locator("h3").inner_text()
        cover.get_by_role("link").click()
        expect(page).to_have_title(f"{title} · Bookshop")
        expect(page.locator("#section-book").get_by_role("heading")).to_have_text(title)
        assert list_seen(page) == ["section-book", "section-promo", "section-recco"]


def test_failed_and_stale_sections_stay_in_their_places(
    serve_site: Serve, page: Page, packages: Path
) -> None:
    site = serve_site(12)
    failed, stale = site.names[1], site.names[2]
    site.break_service(failed, "status:500")
    page.goto(site.address)
    site.break_service(stale, "status:500")
    for path in PATHS:
        page.goto(site.address + path)
        expect(page.locator(f"#section-{failed}")).to_contain_text("We could not load this")
        expect(page.locator(f"#section-{stale}")).to_contain_text("we could not load it anew")
        expect(page.get_by_role("contentinfo")).to_contain_text("Missing right now: Recco.")
        for look in try_looks(page):
            assert list_seen(page) == [f"section-{name}" for name in site.names], look
            assert not find_violations(page, packages), (path, look)


def test_a_page_without_any_section_says_so(
    serve_site: Serve, page: Page, packages: Path, complaints: list[str]
) -> None:
    site = serve_site(2)
    for name in site.names:
        site.break_service(name, "status:500")
    page.goto(site.address)
    expect(page.get_by_text("Please try again in a moment.")).to_be_visible()
    assert not find_violations(page, packages)
    assert "503" in complaints.pop()


def test_what_services_say_is_shown_as_text(serve_site: Serve, page: Page) -> None:
    with run_service(HOSTILE) as hostile:
        site = serve_site(2, promo=hostile, recco=hostile)
        for path in PATHS:
            page.goto(site.address + path)
            page.get_by_label("Pause and show all").check()
            for look in try_looks(page):
                assert list_seen(page) == ["section-promo", "section-recco"], look
            for name, shown in (("promo", 3), ("recco", 5)):
                section = page.locator(f"#section-{name}")
                assert section.locator("h2").inner_text() == TEXTS[0]
                said = section.locator("li").locator("h3, p").all_inner_texts()
                assert said == [text.strip() for text in TEXTS for _ in range(shown)]
                hrefs = section.locator("a").evaluate_all("all => all.map(one => one.href)")
                assert all(href.startswith(site.address) for href in hrefs)
                assert len(hrefs) == 1
            assert not page.locator("main").locator("script, b, [onerror], [onfocus]").count()
            assert not page.evaluate("'broken' in window")
