"""Generated projects hold when their services do not: `engine/resilience/` is run in one of them.

What was measured is printed at the end of the whole run.
"""

import os
import re
import shutil
from collections.abc import Callable
from glob import glob

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import Environment
from tests.test_generated_suite import add_suite, run_suite

ROWS = [
    *[
        (module, end)
        for module in ("matrix", "leaks", "properties")
        for end in ("oldest", "newest")
    ],
    ("cache", "oldest"),
    ("cache", "newest"),
    ("production", "oldest"),
    ("production", "newest"),
    ("soak", "newest"),  # takes long, and is about time, not about versions
]
PROGRAMS = {
    "cache": ["redis-server"],
    "production": ["nginx", "openssl", "pg_ctl", "redis-server"],
}
# Debian has the first where only root looks, and the second where nobody does.
PATH = os.pathsep.join([os.environ["PATH"], "/usr/sbin", *glob("/usr/lib/postgresql/*/bin")])


@pytest.mark.parametrize(("module", "environment"), ROWS, indirect=["environment"])
def test_a_project_holds(
    copy: Copy,
    environment: Environment,
    module: str,
    record_property: Callable[[str, object], None],
) -> None:
    absent = [name for name in PROGRAMS.get(module, []) if not shutil.which(name, path=PATH)]
    if absent:
        skip = pytest.fail if os.environ.get("CI") else pytest.skip
        skip(f"NOT TESTED IN {module.upper()}: {', '.join(absent)} not installed.")
    project = copy()
    add_suite(project)
    command = ("pytest", f"engine/resilience/test_{module}.py", "--ds=engine.settings")
    printed = environment.run(project, *command, "-p", "no:cacheprovider", PATH=PATH)
    assert not re.search(r"\d skipped", printed), printed
    for figure in re.findall(r"^figure: (.*)$", printed, re.MULTILINE):
        record_property("figure", f"{environment.path.name} {module}: {figure}")


def test_a_project_holds_in_any_company(copy: Copy, environment: Environment) -> None:
    company = "engine.resilience.company"
    options = (f"--ds={company}.settings", "--no-migrations", company.replace(".", "/"))
    printed = run_suite(environment, copy(), *options)
    assert re.search(r" 52 passed in ", printed), printed


def test_the_suites_that_run_elsewhere_are_typed_and_tidy(copy: Copy, newest: Environment) -> None:
    project = copy()
    add_suite(project)
    shutil.copytree(ROOT / "tests/django_suite", project / "django_suite")
    asserts = ("--extend-per-file-ignores", "django_suite/*:S101")
    newest.run(project, "ruff", "check", "--no-cache", *asserts)
    newest.run(project, "ruff", "format", "--no-cache", "--check")
    newest.run(project, "mypy", "--cache-dir", str(newest.path / ".mypy_cache_resilience"))
