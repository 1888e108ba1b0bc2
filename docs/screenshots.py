"""Make the pictures of README.md: `uv run docs/screenshots.py`, with Chromium installed."""

import io
import re
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

from playwright.sync_api import Browser
from rich.console import Console
from rich.text import Text

sys.path.insert(0, str(Path(__file__).parent.parent))

from tests.browser.programs import run_chromium
from tests.browser.sight import Look
from tests.browser.site import Site, log_in, prepare, serve
from tests.conftest import ROOT, copy_project, copy_template
from tests.environments import SCRIPTS, Environment, clean_environment, make_environments

HERE = Path(__file__).parent
DESK = Look(1160, 800, "light")
PHONE = Look(390, 844, "dark")
COLUMNS = 84  # of the terminal


def main() -> None:
    """Make a small project and a larger one, and take the pictures."""
    with TemporaryDirectory() as temporary, run_chromium() as browser:
        folder = Path(temporary)
        template = copy_template(folder / "template")
        small = copy_project(template, folder / "small")
        large = copy_project(template, folder / "large", service_count=4)
        environments = ROOT / ".pytest_cache" / "environments"
        make_environments(small, environments)
        newest = Environment(environments / "newest")
        with serve(prepare(small, newest), newest, {}, quick=False) as site:
            photograph(browser, "homepage", site, DESK, viewer=True)
            photograph(browser, "homepage-phone-dark", site, PHONE, viewer=True)
        with serve(prepare(large, newest), newest, {}, quick=False) as site:
            site.break_service("recco", "status:500")
            photograph(browser, "homepage-one-failed", site, DESK)
            site.break_service("recco", "")
            photograph(browser, "comparison", site, DESK, "compare/", runs=10)
        draw_terminal("terminal", large, newest, "compare")


def photograph(
    browser: Browser,
    name: str,
    site: Site,
    look: Look,
    path: str = "",
    viewer: bool = False,
    runs: int = 1,
) -> None:
    """Write `name`.png, the page at `path`: all of it, or on a phone what fits its screen.

    A `viewer` is logged in. A comparison can be run so often.
    """
    with browser.new_context(color_scheme=look.scheme) as context:
        page = context.new_page()
        page.set_viewport_size({"width": look.width, "height": look.height})
        if viewer:
            log_in(page, site)
        page.goto(site.address + path)
        for _ in range(runs - 1):
            page.get_by_role("button", name="Run again").click()
        page.screenshot(path=HERE / f"{name}.png", full_page=look != PHONE)


def draw_terminal(name: str, project: Path, environment: Environment, command: str) -> None:
    """Write `name`.svg, what a command of `manage.py` prints into a terminal with colours."""
    process = subprocess.run(
        [environment.path / SCRIPTS / "python", "manage.py", command],
        cwd=project,
        env={
            **clean_environment(),
            "COLUMNS": str(COLUMNS),
            "FORCE_COLOR": "1",
            "TERM": "xterm-256color",
        },
        stdout=subprocess.PIPE,
        encoding="utf-8",
        check=True,
    )
    console = Console(file=io.StringIO(), record=True, width=COLUMNS)
    console.print(Text.from_ansi(process.stdout))
    drawing = console.export_svg(title=f"uv run manage.py {command}")
    fontless = re.sub(r"@font-face \{.*?\}\s*", "", drawing, flags=re.DOTALL)  # they are elsewhere
    (HERE / f"{name}.svg").write_text(fontless, encoding="utf-8")


if __name__ == "__main__":
    main()
