"""Sites and a browser. Whatever a test does, no page may complain or fetch anything from elsewhere."""

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect

from tests.browser.programs import install_packages, run_chromium
from tests.browser.site import Site, prepare, serve
from tests.conftest import copy_project, get_folder
from tests.environments import Environment

Serve = Callable[..., Site]

expect.set_options(timeout=60_000)  # as on a busy machine: only a failure takes so long


@contextmanager
def needed() -> Iterator[None]:
    """Skip the test, aloud, if a program is not installed; in CI fail it."""
    try:
        yield
    except LookupError as error:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"NOT TESTED IN A BROWSER: {error}")


@pytest.fixture(scope="session")
def packages(pytestconfig: pytest.Config) -> Path:
    """What npm installed."""
    with needed():
        return install_packages(get_folder(pytestconfig).parent)


@pytest.fixture(scope="session")
def make_project(
    template: Path, tmp_path_factory: pytest.TempPathFactory, pytestconfig: pytest.Config
) -> Callable[[int, str], Path]:
    """Make a project with so many services and with more settings, once."""

    @cache
    def make(service_count: int, settings: str) -> Path:
        path = tmp_path_factory.mktemp("site") / "project"
        project = copy_project(template, path, service_count=service_count)
        with (project / "config/settings.py").open("a", encoding="utf-8") as file:
            file.write(settings)
        return prepare(project, Environment(get_folder(pytestconfig) / "newest"))

    return make


@pytest.fixture
def serve_site(make_project: Callable[[int, str], Path], newest: Environment) -> Iterator[Serve]:
    """Serve a project: `serve_site(2, promo=URL)`; the services without a URL are fakes."""
    with ExitStack() as stack:

        def start(service_count: int, settings: str = "", **urls: str) -> Site:
            project = make_project(service_count, settings)
            return stack.enter_context(serve(project, newest, urls))

        yield start


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The system's browser."""
    with ExitStack() as stack:
        with needed():
            browser = stack.enter_context(run_chromium())
        yield browser


@pytest.fixture
def complaints() -> list[str]:
    """What is wrong with the pages of this test; it fails if anything is left in here."""
    return []


@pytest.fixture
def page(browser: Browser, complaints: list[str]) -> Iterator[Page]:
    """A window of a new visitor, who wants motion."""
    site = ""

    def note_message(message: ConsoleMessage) -> None:
        complaints.append(message.text)

    def note_request(request: Request) -> None:
        nonlocal site
        origin = "{0.scheme}://{0.netloc}".format(urlsplit(request.url))
        if request.is_navigation_request():
            site = origin
        elif origin != site and not request.url.startswith("data:"):
            complaints.append(f"{site} fetches {request.url}")

    with browser.new_context(reduced_motion="no-preference") as context:
        page = context.new_page()
        page.on("console", note_message)
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("request", note_request)
        yield page
    assert not complaints
