"""A generated project is laid out in rooms, of which each knows only those below it."""

import ast
import subprocess
from pathlib import Path

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import clean_environment
from tests.updates.versions import append

RULES = ROOT / "tests/rooms.toml"
ROOMS = ("comparison", "fakes", "homepage", "fanout")


@pytest.fixture
def project(copy: Copy) -> Path:
    """A project in which import-linter sees the commands, too: it passes over folders that are no packages."""
    project = copy()
    for folder in project.glob("*/management/**/"):
        (folder / "__init__.py").touch()
    return project


def lint(project: Path) -> str:
    """What import-linter says of a project."""
    process = subprocess.run(
        ["lint-imports", str(RULES), "--no-cache"],
        cwd=project,
        env={**clean_environment(), "PYTHONPATH": str(project)},
        capture_output=True,
        text=True,
        check=False,
    )
    return process.stdout + process.stderr


def test_a_room_knows_only_the_rooms_below_it(project: Path) -> None:
    said = lint(project)
    assert " 0 broken" in said, said


@pytest.mark.parametrize(
    ("module", "line", "broken"),
    [
        ("fanout/calls/call.py", "from homepage import views", "The rooms of a project"),
        ("fakes/app.py", "from comparison import runs", "The rooms of a project"),
        ("fanout/policies/retry.py", "from fanout.calls import headers", "The rooms of the engine"),
        ("fanout/calls/answer.py", "from fanout.pages import response", "The rooms of the engine"),
        (
            "fanout/serving/health.py",
            "from fanout.pages import response",
            "The rooms of the engine",
        ),
        (
            "fanout/calls/fetch.py",
            "from fanout.telemetry import tracing",
            "The rooms of the engine",
        ),
        (
            "fanout/telemetry/__init__.py",
            "from fanout.calls import call",
            "The switch of telemetry",
        ),
        ("fanout/policies/breaker.py", "import httpx", "Policies know neither"),
        ("fanout/calls/answer.py", "from fanout.calls import call", "No circle in a room"),
        ("homepage/management/commands/x.py", "import comparison", "The rooms of a project"),
    ],
)
def test_a_door_that_leads_upwards_is_found(
    project: Path, module: str, line: str, broken: str
) -> None:
    for folder in ("homepage/management", "homepage/management/commands"):
        append(project / folder / "__init__.py", "")
    append(project / module, f"\n{line}\n")
    assert f"{broken}" in "".join(
        row for row in lint(project).splitlines() if row.endswith(" BROKEN")
    )


def test_no_room_names_a_higher_one_in_a_string(copy: Copy) -> None:
    project = copy()
    for height, room in enumerate(ROOMS):
        higher = tuple(f"{name}." for name in ("config", *ROOMS[:height]))
        for path in (project / room).rglob("*.py"):
            for node in ast.walk(ast.parse(path.read_text("utf-8"))):
                if isinstance(node, ast.Constant) and isinstance(node.value, str):
                    assert not node.value.startswith(higher), f"{path}:{node.lineno}"
