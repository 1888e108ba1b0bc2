"""Generated projects hold when their services do not: `resilience/` is run in one of them.

What was measured is printed at the end of the whole run.
"""

import re
import shutil
from collections.abc import Callable

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import Environment

ROWS = [
    *[
        (module, end)
        for module in ("matrix", "leaks", "properties")
        for end in ("oldest", "newest")
    ],
    ("cache", "oldest"),
    ("cache", "newest"),
    ("soak", "newest"),  # takes long, and is about time, not about versions
]


@pytest.mark.parametrize(("module", "environment"), ROWS, indirect=["environment"])
def test_a_project_holds(
    copy: Copy,
    environment: Environment,
    module: str,
    record_property: Callable[[str, object], None],
) -> None:
    if module == "cache" and not shutil.which("redis-server"):
        pytest.skip("redis-server is not installed.")
    project = copy()
    shutil.copytree(ROOT / "tests/resilience", project / "tests/resilience")
    file = f"tests/resilience/test_{module}.py"
    printed = environment.run(project, "pytest", "-p", "no:cacheprovider", file)
    assert not re.search(r"\d skipped", printed), printed
    for figure in re.findall(r"^figure: (.*)$", printed, re.MULTILINE):
        record_property("figure", f"{environment.path.name} {module}: {figure}")


def test_these_tests_are_typed_and_tidy(copy: Copy, newest: Environment) -> None:
    project = copy()
    for folder in ("tests/resilience", "tests/django_suite"):
        shutil.copytree(ROOT / folder, project / folder)
    newest.run(project, "ruff", "check", "--no-cache")
    newest.run(project, "ruff", "format", "--no-cache", "--check")
    newest.run(project, "mypy", "--cache-dir", str(newest.path / ".mypy_cache_resilience"))
