"""What every test shares: a way to copy a project, and the Pythons to run it with."""

import shutil
from collections.abc import Callable, Generator
from pathlib import Path
from typing import Any

import copier
import pytest

from tests.environments import CANDIDATES, Environment, find_pythons, make_environments

ROOT = Path(__file__).parent.parent

collect_ignore = ["engine"]  # runs in a generated project, see test_resilience.py

LONG = ("test_generated_suite.py", "test_resilience.py", "test_django_suite.py", "test_walks.py")

Copy = Callable[..., Path]


def copy_template(path: Path) -> Path:
    """The template at `path`, as a plain folder: faster to copy from than a repository."""
    shutil.copytree(ROOT / "hooks", path / "hooks")
    shutil.copy(ROOT / "copier.yml", path)
    ignored = shutil.ignore_patterns(".venv", "__pycache__", ".*_cache", "uv.lock", "staticfiles")
    shutil.copytree(ROOT / "template", path / "template", ignore=ignored)
    return path


def copy_project(template: Path, path: Path, **answers: Any) -> Path:
    """A project at `path`; questions without an answer get their defaults. Never `unsafe`."""
    copier.run_copy(
        str(template),
        path,
        data=answers,
        defaults=True,
        overwrite=True,
        quiet=True,
        settings=copier.Settings(),  # not the settings of whoever runs this
    )
    return path


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The template as a plain folder."""
    return copy_template(tmp_path_factory.mktemp("template") / "copier-django-fanout")


@pytest.fixture
def copy(template: Path, tmp_path: Path) -> Copy:
    """Copy a project into the test's own folder: `copy(service_count=3)`."""

    def copy(folder: str = "project", **answers: Any) -> Path:
        return copy_project(template, tmp_path / folder, **answers)

    return copy


def get_folder(config: pytest.Config) -> Path:
    """Where the environments are kept from one run to the next."""
    return config.rootpath / ".pytest_cache" / "environments"


def pytest_sessionstart(session: pytest.Session) -> None:
    """Install what generated projects need, once, before the workers start."""
    if hasattr(session.config, "workerinput"):
        return
    folder = get_folder(session.config)
    shutil.rmtree(folder / "template", ignore_errors=True)
    shutil.rmtree(folder / "project", ignore_errors=True)
    make_environments(copy_project(copy_template(folder / "template"), folder / "project"), folder)


@pytest.hookimpl(wrapper=True)
def pytest_xdist_auto_num_workers() -> Generator[None, int, int]:
    """Three workers for two cores: what takes minutes waits for half of the time."""
    cores = yield
    return cores * 3 // 2


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with what takes minutes, so that at the end no worker is alone with it."""
    items.sort(key=lambda item: item.path.name not in LONG)


def pytest_report_header() -> str:
    """Say aloud which Pythons are here, and which are not."""
    pythons = find_pythons()
    absent = [version for version in CANDIDATES if version not in pythons]
    return (
        f"generated projects run on: Python {min(pythons)} and {list(pythons)[-1]}; "
        f"not here: {', '.join(absent) or 'none'}"
    )


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print what was measured: figures to read, not to fail on."""
    for report in terminalreporter.getreports("passed"):
        for name, value in report.user_properties:
            if name == "figure":
                terminalreporter.write_line(value)


@pytest.fixture(params=["oldest", "newest"])
def environment(request: pytest.FixtureRequest, pytestconfig: pytest.Config) -> Environment:
    """The oldest Python with its Django, and the newest."""
    return Environment(get_folder(pytestconfig) / request.param)


@pytest.fixture
def newest(pytestconfig: pytest.Config) -> Environment:
    """The newest Python with the newest Django."""
    return Environment(get_folder(pytestconfig) / "newest")
