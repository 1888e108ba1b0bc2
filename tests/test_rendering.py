"""Every combination of answers gives a project that is in order before anybody runs it."""

import ast
import sys
import tomllib
from itertools import combinations, product
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT, Copy, copy_project, copy_template
from tests.environments import Environment

STYLES = ["sync", "naive", "gather", "stream"]
DEPLOYS = ["none", "container", "kubernetes"]
CIS = ["github", "gitlab", "none"]
COUNTS = [1, 2, 3, 8, 32]
PROJECT_NAMES = [
    "Bookshop",
    """O'Reilly's "Books": 100% & <b>more</b> \\ #1""",
    "کتاب\u200cفروشی\u00a0👨\u200d👩\u200d👧 {{ 7 * 7 }} {% raw %} {# … #} ${HOME}",
    "'''\"\"\"\\",
    "本" * 60,
]
SERVICE_NAMES = [
    "promo",
    "a",
    "x" * 40,
    "self",
    "items",
    "request",
    "print",
    "settings",
    "page",
    "end_",
]


def awkward_names(count: int) -> str:
    """As many names as that, which mean something in Python, Django or Jinja."""
    names = [*SERVICE_NAMES, *(f"n{number}" for number in range(32))]
    return ",".join(names[:count])


# Every combination of the choices; each of them, and each count, with each of the names.
ROWS = [
    (*choices, COUNTS[index % 5], PROJECT_NAMES[(index + index // 5) % 5])
    for index, choices in enumerate(product(STYLES, DEPLOYS, CIS))
]
QUESTIONS = ("style", "deploy", "ci", "service_count", "project_name")


def test_every_answer_meets_every_other() -> None:
    for one, other in combinations(range(len(QUESTIONS)), 2):
        met = {(row[one], row[other]) for row in ROWS}
        assert len(met) == len({row[one] for row in ROWS}) * len({row[other] for row in ROWS})


@pytest.mark.parametrize("row", ROWS, ids=lambda row: "-".join(map(str, row[:4])))
def test_a_project_is_in_order(
    copy: Copy, newest: Environment, row: tuple[str, str, str, int, str]
) -> None:
    style, _, _, count, project_name = row
    names = awkward_names(count)
    answers = {**dict(zip(QUESTIONS, row, strict=True)), "service_names": names}
    project = copy(**answers)
    assert read_answers(project) == answers
    for module in project.rglob("*.py"):
        compile(module.read_text(encoding="utf-8"), module, "exec")
    generated: dict[str, object] = {}
    exec((project / "config/generated.py").read_text(encoding="utf-8"), generated)  # noqa: S102
    assert generated["TITLE"] == project_name
    assert generated["STYLE"] == style
    assert list(generated["SERVICES"]) == names.split(",")  # type: ignore[call-overload]
    assert tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    newest.run(project, "ruff", "check", "--no-cache")
    newest.run(project, "ruff", "format", "--check", "--no-cache")
    newest.run(project, "mypy", "--cache-dir", str(newest.path / ".mypy_cache"))
    newest.run(project, "djlint", "--lint", ".")
    newest.run(project, "python", "manage.py", "check", "--fail-level", "WARNING")


def test_where_a_project_runs_does_not_change_its_code(copy: Copy) -> None:
    """So the tests of a project, which are run without containers, hold with them too."""
    codes = [
        read_code(copy(f"{deploy}-{ci}", deploy=deploy, ci=ci))
        for deploy, ci in product(DEPLOYS, CIS)
    ]
    assert codes == codes[:1] * 9
    assert {"config/generated.py", "pyproject.toml", "tests/test_homepage.py"} <= codes[0].keys()


def test_defaults_alone_are_enough(copy: Copy) -> None:
    assert read_answers(copy()) == {
        "project_name": "Bookshop",
        "service_count": 2,
        "service_names": "promo, recco",
        "style": "gather",
        "deploy": "none",
        "ci": "github",
    }


def test_the_same_answers_give_the_same_bytes(copy: Copy) -> None:
    assert read_files(copy("one", service_count=12)) == read_files(copy("two", service_count=12))


def test_nothing_but_the_project_is_copied(copy: Copy) -> None:
    folders = {path.name for path in copy().iterdir() if path.is_dir()}
    assert folders == {*(".github", "comparison", "config", "fakes", "fanout", "homepage", "tests")}


def test_what_running_in_place_leaves_behind_is_not_copied(copy: Copy, tmp_path: Path) -> None:
    used = copy_template(tmp_path / "used")
    for path in (".venv/bin/x", ".env", ".ruff_cache/x", "config/x.pyc", "db.sqlite3", "uv.lock"):
        (used / "template" / path).parent.mkdir(parents=True, exist_ok=True)
        (used / "template" / path).touch()
    (used / "template/.venv/bin/python").symlink_to(sys.executable)
    assert read_files(copy_project(used, tmp_path / "copied")).keys() == read_files(copy()).keys()


def test_file_names_are_legal_on_windows(copy: Copy) -> None:
    names = [str(path) for path in (ROOT / "template").rglob("*{*")]
    assert len(names) > 4
    gitlab = read_files(copy("gitlab", ci="gitlab"))
    for path in [*read_files(copy(deploy="kubernetes")), *gitlab, *names]:
        assert not set(path) & set('|":?*<>'), path


@pytest.mark.parametrize("rendered", sorted((ROOT / "template").rglob("*.jinja")), ids=str)
def test_plain_siblings_have_not_drifted(copy: Copy, rendered: Path) -> None:
    """The template runs in place with the defaults, in files that Copier ignores."""
    sibling = rendered.with_suffix("")
    if sibling.exists():
        copied = copy() / sibling.relative_to(ROOT / "template")
        assert copied.read_text(encoding="utf-8") == sibling.read_text(encoding="utf-8"), (
            f"cp {copied} {sibling}"
        )


def test_the_views_are_short_enough_to_be_read_side_by_side() -> None:
    module = ast.parse((ROOT / "template/homepage/views.py").read_text(encoding="utf-8"))
    views = [node for node in module.body if getattr(node, "name", "") in STYLES]
    assert len(views) == len(STYLES)
    assert all((view.end_lineno or 0) - view.lineno < 10 for view in views)


def test_the_template_runs_in_place(newest: Environment) -> None:
    template = ROOT / "template"
    newest.run(template, "python", "-B", "manage.py", "check")
    newest.run(template, "ruff", "check", "--no-cache")
    newest.run(template, "ruff", "format", "--check", "--no-cache")


def read_answers(project: Path) -> dict[str, object]:
    """What Copier will remember of the questions."""
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    return {name: answer for name, answer in answers.items() if not name.startswith("_")}


def read_code(project: Path) -> dict[str, bytes]:
    """What a project's Python, its tools and its tests read."""
    endings = (".py", ".html", ".css", ".js", ".toml")
    return {path: text for path, text in read_files(project).items() if path.endswith(endings)}


def read_files(project: Path) -> dict[str, bytes]:
    """Every file of a project, by its path."""
    return {
        path.relative_to(project).as_posix(): path.read_bytes()
        for path in project.rglob("*")
        if path.is_file()
    }
