"""The middleware is Django's in all that Django's own tests know of it, on every Django supported.

The tests come with Django's source distribution, which is fetched when they run. `django_suite/run.py`
puts the classes of a generated project in place of Django's, and says which tests are left out.
"""

import json
import re
import tarfile
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT, Copy, get_folder
from tests.environments import Environment, find_pythons, uv

# What goes through middleware or through the ASGI handler.
MODULES = [
    # the eight classes themselves, and what goes with them
    *("middleware", "csrf_tests", "sessions_tests", "messages_tests", "signed_cookies_tests"),
    *("auth_tests.test_middleware", "auth_tests.test_context_processors"),
    # middleware of others around them, and views that change a response on its way through them
    *("middleware_exceptions", "flatpages_tests", "redirects_tests", "auth_tests.test_remote_user"),
    *("decorators", "conditional_processing", "responses"),
    # the handler, and async code
    *("asgi", "handlers", "logging_tests", "async.tests", "async.test_async_auth"),
    # whole requests: log-in and log-out, uploads, errors, debug pages, streams
    *("auth_tests.test_views", "auth_tests.test_login", "auth_tests.test_mixins"),
    *("auth_tests.test_decorators", "test_client", "test_client_regress", "view_tests"),
]
PYTHONS = {"5.2": "3.11", "6.0": "3.12", "6.1": "3.12"}  # the oldest that each can run with


@pytest.mark.parametrize("series", PYTHONS)
def test_djangos_tests_pass_with_our_middleware(
    copy: Copy,
    pytestconfig: pytest.Config,
    series: str,
    record_property: Callable[[str, object], None],
) -> None:
    project = copy()
    environment = install(series, project, get_folder(pytestconfig))
    version, tests = fetch_tests(environment)
    plain, _ = run("plain", tests, project, environment)
    loop, calls = run("loop", tests, project, environment)
    assert loop > 2000
    assert len(calls) == 8 - (series == "5.2"), calls  # which has no Content-Security-Policy
    assert min(calls.values()) > 10, calls
    record_property(
        "figure",
        f"Django {version}: {plain} of its tests as they are, {loop} with sync requests on the "
        f"loop too, where the middleware ran {sum(calls.values())} times",
    )


def run(
    way: str, tests: Path, project: Path, environment: Environment
) -> tuple[int, dict[str, int]]:
    """How many tests passed, and how often each of our classes ran on the loop."""
    program = [str(ROOT / "tests/django_suite/run.py"), way, str(tests / "runtests.py"), *MODULES]
    printed = environment.run(tests, "python", *program, PYTHONPATH=str(project))
    said = dict(re.findall(r"^fanout: (.+?): (.*)$", printed, re.MULTILINE))
    assert said["left out"] == said["to be left out"], "the list of what is left out is stale"
    assert said["the ASGI handler is"] == "fanout.serving.handler"
    return int(*re.findall(r"^Ran (\d+) tests", printed, re.MULTILINE)), json.loads(
        said["on the loop"]
    )


def install(series: str, project: Path, folder: Path) -> Environment:
    """An environment in `folder` with the newest Django of `series` and what a project needs.

    The oldest Django runs with the oldest Python here, the others with the newest.
    """
    oldest = as_numbers(PYTHONS[series])
    pythons = [(v, path) for v, path in find_pythons().items() if as_numbers(v) >= oldest]
    if not pythons:
        pytest.skip(f"Django {series} needs Python {PYTHONS[series]} or newer.")
    python, path = pythons[0 if series == "5.2" else -1]
    environment = Environment(folder / f"django-{series}-python-{python}")
    if not environment.path.exists():
        run_uv("venv", "--seed", "--python", path, str(environment.path))
    needs = ("-r", str(project / "pyproject.toml"), f"django=={series}.*")
    run_uv("pip", "install", "--upgrade", "--python", str(environment.path), *needs)
    return environment


def fetch_tests(environment: Environment) -> tuple[str, Path]:
    """The version of Django there, and the folder with its tests, kept beside it."""
    show = ("python", "-c", "import django; print(django.__version__)")
    version = environment.run(environment.path, *show).strip()
    source = environment.path / f"django-{version}"
    if not source.exists():
        packages = ("--no-deps", "--no-binary", "django", f"django=={version}")
        environment.run(environment.path, "python", "-m", "pip", "download", "--quiet", *packages)
        with tarfile.open(f"{source}.tar.gz") as archive:
            archive.extractall(environment.path, filter="data")
    return version, source / "tests"


def run_uv(*command: str) -> None:
    """Run uv; AssertionError with what it prints if it fails."""
    process = uv("--quiet", *command)
    assert process.returncode == 0, process.stderr


def as_numbers(version: str) -> tuple[int, ...]:
    """`3.9` comes before `3.11`."""
    return tuple(map(int, version.split(".")))
