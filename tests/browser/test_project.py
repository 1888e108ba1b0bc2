"""A generated project looks at its own pages."""

from tests.browser.conftest import needed
from tests.browser.programs import CHROMIUM, find_program
from tests.conftest import Copy
from tests.environments import Environment


def test_a_project_passes_its_own_tests_in_a_browser(copy: Copy, environment: Environment) -> None:
    with needed():
        browser = find_program(*CHROMIUM)
    command = ("pytest", "-p", "no:cacheprovider", "tests/browser.py")
    environment.run(copy(service_count=12), *command, CHROME_PATH=browser)
