"""The middleware is Django's in all that Django's own tests know of it, on every Django that is supported.

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
PYTHONS = {"5.2": "3.11", "6.0": "3.12", "6.1": "3.12"}  # the oldest that each is run with


@pytest.mark.parametrize("series", PYTHONS)
def test_djangos_tests_pass_with_our_middleware(
    copy: Copy,
    pytestconfig: pytest.Config,
    series: str,
    record_property: Callable[[str, object], None],
) -> None:
    project = copy()
    version, environment = install(series, project, get_folder(pytestconfig) / f"django-{series}")
    tests = fetch_tests(version, environment)
    counts = {}
    for way in ("plain", "loop"):
        program = str(ROOT / "tests/django_suite/run.py")
        printed = environment.run(
            tests,
            "python",
            program,
            way,
            str(tests / "runtests.py"),
            *MODULES,
            PYTHONPATH=str(project),
        )
        said = dict(re.findall(r"^fanout: (.+?): (.*)$", printed, re.MULTILINE))
        assert said["left out"] == said["to be left out"], "the list of tests to leave out is stale"
        assert said["the ASGI handler is"] == (
            "fanout.handler"
            if (project / "fanout/handler.py").exists()
            else "django.core.handlers.asgi"
        )
        calls = json.loads(said["on the loop"])
        counts[way] = (int(*re.findall(r"^Ran (\d+) tests", printed, re.MULTILINE)), calls)
    tests_run, calls = counts["loop"]
    assert tests_run > 2000
    assert len(calls) == (7 if series == "5.2" else 8), (
        calls
    )  # 5.2 knows no Content-Security-Policy
    assert all(number > 5 for number in calls.values()), calls
    assert sum(calls.values()) > 5 * sum(counts["plain"][1].values())
    record_property(
        "figure",
        f"Django {version}: {counts['plain'][0]} of its tests as they are, {tests_run} with sync "
        f"requests on the loop too, where the middleware ran {sum(calls.values())} times",
    )


def install(series: str, project: Path, path: Path) -> tuple[str, Environment]:
    """An environment at `path` with the newest Django of `series` and what a project needs."""
    pythons = find_pythons()
    python = next(
        (p for v, p in pythons.items() if as_numbers(v) >= as_numbers(PYTHONS[series])), ""
    )
    if not python:
        pytest.skip(f"Django {series} needs Python {PYTHONS[series]} or newer.")
    environment = Environment(path)
    if not path.exists():
        run_uv("venv", "--seed", "--python", python, str(path))
    needs = ("-r", str(project / "pyproject.toml"), f"django=={series}.*")
    run_uv("pip", "install", "--upgrade", "--python", str(path), *needs)
    version = environment.run(project, "python", "-c", "import django; print(django.__version__)")
    return version.strip(), environment


def fetch_tests(version: str, environment: Environment) -> Path:
    """The folder with the tests of that Django, next to the environment."""
    source = environment.path / f"django-{version}"
    if not source.exists():
        packages = ("--no-deps", "--no-binary", "django", f"django=={version}")
        environment.run(environment.path, "python", "-m", "pip", "download", "--quiet", *packages)
        with tarfile.open(f"{source}.tar.gz") as archive:
            archive.extractall(environment.path, filter="data")
    return source / "tests"


def run_uv(*command: str) -> None:
    """Run uv; AssertionError with what it prints if it fails."""
    process = uv("--quiet", *command)
    assert process.returncode == 0, process.stderr


def as_numbers(version: str) -> tuple[int, ...]:
    """`3.9` comes before `3.11`."""
    return tuple(map(int, version.split(".")))
