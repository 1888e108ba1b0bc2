"""The comparison: waterfalls that everybody can read."""

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Serve
from tests.browser.sight import find_violations, fits, try_looks
from tests.test_rendering import STYLES


@pytest.mark.parametrize("count", [2, 32])
def test_waterfalls_fit_every_window_and_are_accessible(
    serve_site: Serve, page: Page, packages: Path, count: int
) -> None:
    page.goto(f"{serve_site(count).address}compare/")
    for look in try_looks(page):
        assert fits(page), look
        assert not find_violations(page, packages), look


def test_waterfalls_show_how_each_style_waits(serve_site: Serve, page: Page) -> None:
    site = serve_site(12)
    failed = site.names[4]
    site.break_service(failed, "status:500")
    page.goto(f"{site.address}compare/")
    for style in STYLES:
        waterfall = page.get_by_role("region", name=style)
        assert waterfall.locator("tbody th").all_inner_texts() == site.names
        bars = waterfall.locator("tbody").get_by_role("img").locator("rect")
        boxes = bars.evaluate_all("all => all.map(one => one.getBoundingClientRect().toJSON())")
        lefts = [box["left"] for box in boxes]
        assert len(lefts) == 12
        if style in ("sync", "naive"):  # a staircase: each begins when the one before it is done
            assert lefts == sorted(set(lefts))
        else:  # an overlap: all begin before the first is done
            assert max(lefts) < boxes[0]["right"]
        row = waterfall.get_by_role("row").filter(has=page.get_by_role("rowheader", name=failed))
        expect(row).to_contain_text("failed")


def test_it_can_be_run_again(serve_site: Serve, page: Page) -> None:
    page.goto(f"{serve_site(2).address}compare/")
    expect(page.get_by_text("Last run")).to_have_count(len(STYLES))
    page.get_by_role("button", name="Run again").press("Enter")
    expect(page.get_by_text("Last 2 runs")).to_have_count(len(STYLES))
