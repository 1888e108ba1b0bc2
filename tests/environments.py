"""The virtual environments that generated projects run in: the oldest of all, and the newest.

What a project needs does not depend on the answers, so all projects share them.
"""

import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest

SCRIPTS = "Scripts" if sys.platform == "win32" else "bin"
MORE = [  # what the tests here need, and projects do not
    *("defusedxml>=0.7.1", "types-defusedxml>=0.7.0.20240218"),
    *("hypothesis>=6.130", "pytest-cov>=6.2"),
    *("pytest-asyncio>=1.1", "pytest-randomly>=3.16", "pytest-xdist>=3.8"),  # what a team may add
    *("django-allauth>=65.0", "django-cors-headers>=4.6", "django-debug-toolbar>=6.0"),
    *("sentry-sdk>=2.30", "daphne>=4.2", "granian>=2.5", "gunicorn>=25.0", "hypercorn>=0.17"),
]
OTHERS = (
    *("DJANGO_", "FANOUT_", "FAKES_", "CACHE_URL", "DATABASE_URL", "OTEL_"),
    *("COV_", "COVERAGE_", "PYTEST_", "GIT_"),
)
CANDIDATES = ["3.11", "3.12", "3.13", "3.14"]


@dataclass(frozen=True)
class Environment:
    """A virtual environment with everything that a generated project needs."""

    path: Path

    def run(self, project: Path, *command: str, **variables: str) -> str:
        """What `command` prints, run in `project`; AssertionError with all of it if it fails."""
        try:
            process = subprocess.run(
                [self.path / SCRIPTS / command[0], *command[1:]],
                cwd=project,
                env={**clean_environment(), "PYTEST_ADDOPTS": "-p no:randomly", **variables},
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                encoding="utf-8",
                check=False,
                timeout=1800,  # many times what anything takes, also on a busy machine
            )
        except subprocess.TimeoutExpired as error:
            printed = (error.stdout or b"").decode()
            raise AssertionError(f"{' '.join(command)} in {project} hangs:\n{printed}") from None
        printed = process.stdout
        assert process.returncode == 0, f"{' '.join(command)} in {project}:\n{printed}"
        return printed


def clean_environment() -> dict[str, str]:
    """The environment without what the template's own `uv run`, a user's .env and a hook put there."""
    return {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(OTHERS) and name not in ("VIRTUAL_ENV", "UV_PROJECT_ENVIRONMENT")
    }


def uv(*command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run uv; `uv run` leaves its own path in UV. All of pyenv's Pythons are there for it."""
    executable = os.environ.get("UV") or shutil.which("uv")
    if not executable:
        raise pytest.UsageError("The tests need uv: run them with `uv run pytest`.")
    if pyenv := find_pyenv_versions():
        variables["PYENV_VERSION"] = pyenv
    return subprocess.run(
        [executable, *command],
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )


@cache
def find_pyenv_versions() -> str:
    """All versions that pyenv has, as it wants them; its commands for any other are errors."""
    if not shutil.which("pyenv"):
        return ""
    versions = subprocess.run(["pyenv", "versions", "--bare"], capture_output=True, text=True)
    return ":".join(versions.stdout.split())


def find_pythons() -> dict[str, str]:
    """The path of each Python of this machine that a project supports, oldest first."""
    found = {
        version: uv("python", "find", "--system", "--no-python-downloads", version)
        for version in CANDIDATES
    }
    return {version: p.stdout.strip() for version, p in found.items() if p.returncode == 0}


def make_environments(project: Path, folder: Path) -> None:
    """Make `folder`/oldest and `folder`/newest. Raises AssertionError with what uv prints.

    The oldest has the oldest Python here and the lowest version of each dependency that the project
    allows, the newest the newest of both.
    """
    pythons = list(find_pythons().values())
    for name, python, resolution in (
        ("oldest", pythons[0], "lowest-direct"),
        ("newest", pythons[-1], "highest"),
    ):
        installed = uv(
            *("sync", "--quiet", "--compile-bytecode", "--project", str(project)),
            *("--python", python, "--resolution", resolution, "--group", "postgres"),
            UV_PROJECT_ENVIRONMENT=str(folder / name),
        )
        assert installed.returncode == 0, installed.stderr
        python = str(folder / name / SCRIPTS / "python")
        added = uv("pip", "install", "--quiet", "--python", python, *MORE)
        assert added.returncode == 0, added.stderr
