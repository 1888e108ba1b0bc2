"""Generated projects pass their own tests and strict types, and the engine's suite covers all of it.

The suite is `engine/`; a project has it only here.
"""

import re
import shutil
from pathlib import Path

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import Environment
from tests.test_rendering import PROJECT_NAMES, awkward_names

# Every style, on both Pythons, with few services and many: a project has the views of all styles,
# whichever it chose. The engine's suite takes minutes, so it is run for half of the rows.
ROWS = [
    ("sync", 1, "oldest"),
    ("naive", 32, "newest"),
    ("gather", 3, "newest"),
    ("stream", 8, "oldest"),
]

# What requests go through on their way to a page; the rest is about calls and commands.
SERVING = (
    *("handler", "headers", "health", "log", "middleware", "security"),
    *("servers", "streaming", "throttle", "views", "visit"),
)


def run_suite(environment: Environment, project: Path, *options: str) -> str:
    """What the engine's suite, or some of it, prints in that project."""
    add_suite(project)
    command = ("pytest", "--ds=engine.settings", "-p", "no:cacheprovider")
    return environment.run(project, *command, *options)


def add_suite(project: Path) -> None:
    """Give a project the engine's suite."""
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "tests/engine", project / "engine", ignore=ignored)


def test_both_ends_are_there(copy: Copy, environment: Environment) -> None:
    versions = environment.run(
        copy(),
        "python",
        "-c",
        "import django, sys; print(*sys.version_info[:2], *django.VERSION[:2])",
    )
    python, django = (
        tuple(map(int, pair)) for pair in (versions.split()[:2], versions.split()[2:])
    )
    if environment.path.name == "oldest":
        assert django == (5, 2)
    else:
        assert django >= ((6, 1) if python >= (3, 12) else (5, 2))


def copy_row(copy: Copy, style: str, count: int) -> Path:
    """A project in that style with so many services, whose names and title are awkward."""
    return copy(
        project_name=PROJECT_NAMES[count % len(PROJECT_NAMES)],
        service_count=count,
        service_names=awkward_names(count),
        style=style,
    )


@pytest.mark.parametrize(("style", "count", "environment"), ROWS, indirect=["environment"])
def test_a_project_passes_its_own_tests(
    copy: Copy, environment: Environment, style: str, count: int
) -> None:
    project = copy_row(copy, style, count)
    printed = environment.run(project, "pytest", "-p", "no:cacheprovider")
    assert not re.search(r"\d skipped", printed), printed
    environment.run(project, "python", "manage.py", "makemigrations", "--check")
    environment.run(project, "mypy", "--cache-dir", str(environment.path / ".mypy_cache"))


@pytest.mark.parametrize(("style", "count", "environment"), ROWS[1::2], indirect=["environment"])
def test_the_engines_suite_covers_the_engine(
    copy: Copy, environment: Environment, style: str, count: int
) -> None:
    project = copy_row(copy, style, count)
    without = ("--ignore", "engine/resilience")  # which takes long
    coverage = ("--cov", "--cov-config=engine/coverage.toml")
    printed = run_suite(environment, project, "engine", *without, *coverage)
    assert not re.search(r"\d skipped", printed), printed
    assert "Total coverage: 100.00%" in printed, printed


@pytest.mark.parametrize(
    ("style", "environment"), [("sync", "oldest"), ("gather", "newest")], indirect=["environment"]
)
def test_a_project_can_go_back_to_djangos_own_middleware_and_entry(
    copy: Copy, environment: Environment, style: str
) -> None:
    project = copy(style=style)
    with (project / "config/settings.py").open("a", encoding="utf-8") as settings:
        settings.write(
            "\nMIDDLEWARE = [\n"
            '    "django.middleware.security.SecurityMiddleware",\n'
            '    "django.contrib.sessions.middleware.SessionMiddleware",\n'
            '    "django.middleware.common.CommonMiddleware",\n'
            '    "django.middleware.csrf.CsrfViewMiddleware",\n'
            '    "django.contrib.auth.middleware.AuthenticationMiddleware",\n'
            '    "django.contrib.messages.middleware.MessageMiddleware",\n'
            '    "django.middleware.clickjacking.XFrameOptionsMiddleware",\n'
            "]\n"
        )
    entry = project / "config/asgi.py"
    ours = entry.read_text(encoding="utf-8")
    assert ours.count("from fanout.serving.entries import get_asgi_application") == 1
    entry.write_text(
        ours.replace("from fanout.serving.entries", "from django.core.asgi"), encoding="utf-8"
    )
    environment.run(project, "pytest", "-p", "no:cacheprovider")
    printed = run_suite(environment, project, *(f"engine/test_{name}.py" for name in SERVING))
    assert re.search(r"\d passed in", printed), printed
