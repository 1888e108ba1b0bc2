"""What programs that judge pages have to say."""

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Serve, needed
from tests.browser.programs import check_html, run_lighthouse
from tests.browser.sight import find_violations, fits, try_looks
from tests.browser.site import log_in
from tests.browser.test_homepage import BOOKS, PATHS


def test_html_is_valid(serve_site: Serve, page: Page, packages: Path, tmp_path: Path) -> None:
    broken, site = serve_site(1), serve_site(12)
    saved: list[Path] = []

    def save(address: str, status: int = 200) -> None:
        response = page.request.get(address)
        assert response.status == status
        saved.append(tmp_path / f"{len(saved)}.html")
        saved[-1].write_bytes(response.body())

    def save_homepages() -> None:
        for path in PATHS + BOOKS:
            save(site.address + path)

    login = f"{site.address}accounts/login/"
    save(site.fakes)
    save(login)
    save(f"{site.address}compare/")
    save_homepages()
    log_in(page, site)
    for name in site.names[1:]:
        site.break_service(name, "status:500")
    save_homepages()
    broken.break_service("promo", "status:500")
    save(broken.address, status=503)
    save(f"{site.address}books/99/", status=404)
    save(f"{site.address}nowhere/", status=404)
    page.goto(login)
    with page.expect_navigation() as refusal:
        page.locator("form").evaluate("form => form.submit()")
    assert refusal.value
    saved.append(tmp_path / "refused.html")
    saved[-1].write_bytes(refusal.value.body())
    with needed():
        assert check_html(packages, saved) == []


def test_the_other_pages_are_accessible(
    serve_site: Serve, page: Page, packages: Path, complaints: list[str]
) -> None:
    site = serve_site(12)
    for address in (f"{site.address}accounts/login/", f"{site.address}nowhere/", site.fakes):
        page.goto(address)
        for look in try_looks(page):
            assert fits(page), (address, look)
            assert not find_violations(page, packages), (address, look)
    assert "404" in complaints.pop()


def test_the_log_in_page_has_the_frame_of_the_site(serve_site: Serve, page: Page) -> None:
    site = serve_site(2)
    page.goto(f"{site.address}accounts/login/")
    headings = page.get_by_role("heading").evaluate_all(
        "all => all.map(h => [h.tagName, h.innerText])"
    )
    assert headings == [["H1", "Bookshop"], ["H2", "Log in"]]
    expect(page.get_by_role("main").get_by_role("button", name="Log in")).to_be_visible()
    expect(page.get_by_role("navigation", name="Account")).to_have_count(0)
    page.get_by_role("link", name="Bookshop").click()
    expect(page).to_have_url(site.address)


@pytest.mark.parametrize("path", ["", "compare/stream/", "books/9/"])
def test_lighthouse_finds_nothing(
    serve_site: Serve, packages: Path, path: str, record_property: Callable[[str, object], None]
) -> None:
    site = serve_site(2)
    with needed():
        report = run_lighthouse(packages, site.address + path)
    scores = {name: category["score"] for name, category in report["categories"].items()}
    costly = [
        f"{part['id']} {report['audits'][part['id']].get('displayValue', '')}".strip()
        for category in report["categories"].values()
        for part in category["auditRefs"]
        if part["weight"] and report["audits"][part["id"]]["score"] not in (None, 1)
    ]
    performance = f"Lighthouse of /{path}: performance {scores.pop('performance') * 100:.0f}"
    record_property("figure", f"{performance}; costly: {', '.join(costly) or 'nothing'}")
    assert scores == {"accessibility": 1, "best-practices": 1, "seo": 1}, costly
