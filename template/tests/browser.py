"""The pages in Chromium or Chrome: `uv run --group browser pytest tests/browser.py`.

Not among the other tests: the event loop of Playwright runs in their thread, where Django wants none.
"""

import os
import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from django.urls import reverse
from playwright.sync_api import Browser, Page, sync_playwright
from pytest_django import Settings

from fanout.asgi import get_asgi_application
from fanout.views import VIEWS
from tests.conftest import serve

NAMES = ("chromium", "chromium-browser", "google-chrome", "chrome")
PATHS = [
    reverse("home"),
    *(reverse(f"compare-{style}") for style in VIEWS),
    reverse("compare"),
    reverse("login"),
]


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser of this machine."""
    path = os.environ.get("CHROME_PATH") or next(filter(None, map(shutil.which, NAMES)), None)
    if not path:
        pytest.fail("There is neither Chromium nor Chrome: install one, or set CHROME_PATH.")
    with (
        sync_playwright() as playwright,
        playwright.chromium.launch(executable_path=path) as browser,
    ):
        yield browser


@pytest.fixture
def site(settings: Settings) -> Iterator[str]:
    """The address of the site."""
    settings.DEBUG = True  # static files need not be collected
    with serve(get_asgi_application()) as address:
        yield address


@pytest.fixture
def page(browser: Browser, site: str) -> Iterator[Page]:
    """A window. A page must not complain, nor fetch anything from elsewhere."""
    complaints: list[str] = []

    def note_request(request: Any) -> None:
        if not request.url.startswith((site, "data:")):
            complaints.append(request.url)

    with browser.new_context(base_url=site) as context:
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note_request)
        yield page
    assert complaints == []


@pytest.mark.parametrize("width", [320, 1280])
@pytest.mark.parametrize("path", PATHS)
def test_a_page_fits_its_window(page: Page, path: str, width: int) -> None:
    page.set_viewport_size({"width": width, "height": 800})
    response = page.goto(path)
    assert response
    assert response.ok
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")


@pytest.mark.usefixtures("fanout_html")
@pytest.mark.parametrize("style", VIEWS)
def test_sections_are_seen_in_the_order_of_the_services(
    page: Page, style: str, settings: Settings
) -> None:
    page.goto(reverse(f"compare-{style}"))
    names = [f"section-{name}" for name in settings.FANOUT_SERVICES]
    boxes = [page.locator(f"#{name}").bounding_box() for name in names]
    tops = [box["y"] for box in boxes if box]
    assert len(tops) == len(names)
    assert tops == sorted(tops)
