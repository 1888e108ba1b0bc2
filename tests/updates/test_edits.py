"""`copier update` loses nothing that anybody wrote, and conflicts only where it has to."""

import ast
import re
import shutil
import sys
import tomllib
from collections.abc import Callable
from functools import cache
from itertools import cycle
from pathlib import Path
from typing import Any

import pytest

from tests.environments import Environment, uv
from tests.test_rendering import STYLES
from tests.updates.conftest import (
    Make,
    assert_equal,
    copy_version,
    find_conflicts,
    read_project,
    update,
)
from tests.updates.versions import BROUGHT, append, commit, replace

NEWEST = "v1.0.0"

# What people do to their project. Each leaves something to look for, or deletes something.


def edit_settings(project: Path) -> None:
    append(project / "config/settings.py", "MY_SETTING = True\n")


def tune_a_service(project: Path) -> None:
    replace(project / "homepage/services.py", "    personal = True\n", "    timeout = 0.5\n")


def add_an_app(project: Path) -> None:
    append(project / "shop/__init__.py", "")
    append(project / "shop/models.py", "from django.db import models\n")
    append(project / "shop/views.py", "MY_VIEW = True\n")
    append(project / "config/settings.py", 'INSTALLED_APPS += ["shop"]  # noqa: F405\n')


def add_a_url(project: Path) -> None:
    replace(project / "config/urls.py", "]\n", '    path("about/", lambda request: None),\n]\n')


def edit_the_views(project: Path) -> None:
    mine = "def my_view(request: HttpRequest) -> None:\n    pass\n"
    replace(project / "homepage/views.py", "VIEWS: dict", f"{mine}\n\nVIEWS: dict")


def edit_the_page(project: Path) -> None:
    footer = '<footer class="site">\n'
    replace(project / "homepage/jinja2/home.html", footer, f"{footer}  <p>My page</p>\n")
    append(project / "homepage/jinja2/404.html", "<p>My not found</p>\n")


def edit_the_frame(project: Path) -> None:
    main = '  <main id="main">\n'
    replace(project / "homepage/jinja2/base.html", main, f"  <p>My frame</p>\n{main}")
    replace(project / "homepage/jinja2/login.html", "<h2>Log in</h2>", "<h2>My log-in</h2>")


def edit_the_style(project: Path) -> None:
    replace(project / "homepage/static/site.css", "--accent: #8a2f1d", "--accent: #123456")
    append(project / "homepage/static/site.css", "\n.mine {\n  margin: 0;\n}\n")


def edit_the_sections(project: Path) -> None:
    sections = project / "homepage/jinja2/sections"
    replace(sections / "default.html", "Nothing here today.", "My nothing.")
    replace(sections / "promo.html", "Pause and show all", "My pause")
    append(sections / "recco.html", "<h2>My section</h2>\n")


def delete_the_comparison(project: Path) -> None:
    """As its README says; the homepage no longer links to it."""
    shutil.rmtree(project / "comparison")
    replace(project / "config/settings.py", 'INSTALLED_APPS += ["comparison"]\n', "")
    replace(project / "config/urls.py", '    path("compare/", include("comparison.urls")),\n', "")
    home = project / "homepage/jinja2/home.html"
    text = home.read_text("utf-8")
    links = re.compile(r' *<nav aria-label="Styles">.*?</nav>\n', re.DOTALL)
    home.write_text(links.sub("", text), "utf-8")


def add_a_dependency(project: Path) -> None:
    for command in (["my-package>=1.0"], ["--dev", "my-tool>=1.0"]):
        added = uv("add", "--frozen", "--project", str(project), *command, UV_PYTHON=sys.executable)
        assert added.returncode == 0, added.stderr


def write_documents(project: Path) -> None:
    replace(project / "README.md", "## Run it\n", "## Our rules\n\nMy rules.\n\n## Run it\n")
    append(project / "README.md", "\n## Contact\n\nMy address.\n")


def add_tests(project: Path) -> None:
    append(project / "tests/test_mine.py", "def test_mine() -> None:\n    assert True\n")


def add_a_workflow(project: Path) -> None:
    append(project / ".github/workflows/mine.yml", "name: my checks\n")


def edit_the_templates_python(project: Path) -> None:
    replace(project / "fanout/calls/service.py", "def services(", "MINE = 1\n\n\ndef services(")


def edit_the_templates_settings(project: Path) -> None:
    replace(project / "config/base.py", 'LANGUAGE_CODE = "en-us"', 'LANGUAGE_CODE = "fr"')


# What is in which file after each of them; nothing where the file or the folder is gone.
EDITS: dict[Callable[[Path], None], dict[str, str | None]] = {
    edit_settings: {"config/settings.py": "MY_SETTING"},
    tune_a_service: {"homepage/services.py": "timeout = 0.5"},
    add_an_app: {"shop/views.py": "MY_VIEW", "config/settings.py": '"shop"'},
    add_a_url: {"config/urls.py": "about/"},
    edit_the_views: {"homepage/views.py": "my_view"},
    edit_the_page: {
        "homepage/jinja2/home.html": "My page",
        "homepage/jinja2/404.html": "My not found",
    },
    edit_the_frame: {
        "homepage/jinja2/base.html": "My frame",
        "homepage/jinja2/login.html": "My log-in",
    },
    edit_the_style: {"homepage/static/site.css": "#123456"},
    edit_the_sections: {
        "homepage/jinja2/sections/default.html": "My nothing.",
        "homepage/jinja2/sections/promo.html": "My pause",
        "homepage/jinja2/sections/recco.html": "My section",
    },
    delete_the_comparison: {"comparison": None},
    add_a_dependency: {"pyproject.toml": "my-package"},
    write_documents: {"README.md": "My address"},
    add_tests: {"tests/test_mine.py": "test_mine"},
    add_a_workflow: {".github/workflows/mine.yml": "my checks"},
    edit_the_templates_python: {"fanout/calls/service.py": "MINE = 1"},
    edit_the_templates_settings: {"config/base.py": '"fr"'},
}

# From how many services, to which version, with which answers.
UPDATES: dict[str, tuple[int, str, dict[str, Any]]] = {
    "minor": (2, "v0.2.0", {}),
    "major": (2, NEWEST, {}),
    "2 to 5": (2, "same", {"service_count": 5}),
    "5 to 2": (5, "same", {"service_count": 2}),
    "renamed": (2, "same", {"service_names": "banners, tips"}),
    "reordered": (5, "same", {"service_names": "news, recco, events, promo, deals"}),
    "style": (2, "same", {"style": "naive"}),
    "deploy": (2, "same", {"deploy": "kubernetes"}),
    "ci": (2, "same", {"ci": "gitlab"}),
    "all": (2, NEWEST, {"service_count": 5, "style": "sync", "project_name": 'The "Book" Shop'}),
}


@cache
def parse(module: bytes) -> ast.Module:
    """Parse a module, once for all projects that have the same."""
    return ast.parse(module)


def assert_sound(project: Path, system_check: Callable[[Path], str]) -> None:
    """No conflict; everything compiles, parses, and passes Django's checks."""
    assert find_conflicts(project) == []
    for path, content in read_project(project).items():
        if path.endswith(".py"):
            parse(content)
    tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))
    assert system_check(project) == ""


def assert_kept(project: Path, *edits: Callable[[Path], None]) -> None:
    """What the edits wrote is still there, and what they deleted is not."""
    for edit in edits:
        for path, mark in EDITS[edit].items():
            if mark is None:
                assert not (project / path).exists(), (edit.__name__, path)
            else:
                assert mark in (project / path).read_text(encoding="utf-8"), (edit.__name__, path)


def assert_brought(project: Path, version: str) -> None:
    """What the version changes has come, in edited files too; but to a folder that was deleted."""
    for path, mark in BROUGHT.get(version, {}).items():
        if (project / path).parent.exists():
            assert mark in (project / path).read_text(encoding="utf-8"), (version, path)


# All edits at once meet every update, each alone meets these. A style is one word in one file, so
# every edit meets some of them, not every pair.
ALONE = ["minor", "2 to 5", "all"]
PAIRS = [
    (STYLES[(row + column) % len(STYLES)], name, edit)
    for row, edit in enumerate(EDITS)
    for column, name in enumerate(ALONE)
]


@pytest.mark.parametrize(("style", "name", "edit"), PAIRS)
def test_an_edit_survives_an_update(
    make: Make,
    system_check: Callable[[Path], str],
    style: str,
    name: str,
    edit: Callable[[Path], None],
) -> None:
    count, version, answers = UPDATES[name]
    project = make(style=style, count=count)
    edit(project)
    commit(project, "edit")
    update(project, version, **answers)
    assert_kept(project, edit)
    assert_brought(project, version)
    assert_sound(project, system_check)


@pytest.mark.parametrize(("name", "style"), [*zip(UPDATES, cycle(STYLES))])
def test_all_edits_survive_an_update(
    make: Make, system_check: Callable[[Path], str], style: str, name: str
) -> None:
    count, version, answers = UPDATES[name]
    project = make(style=style, count=count)
    for edit in EDITS:
        edit(project)
    commit(project, "all edits")
    update(project, version, **answers)
    assert_kept(project, *EDITS)
    assert_brought(project, version)
    assert_sound(project, system_check)


@pytest.mark.parametrize("name", UPDATES)
def test_without_edits_an_update_equals_a_fresh_copy(
    make: Make, repository: Path, scratch: Path, name: str
) -> None:
    count, version, answers = UPDATES[name]
    project = make(count=count)
    update(project, version, **answers)
    fresh = copy_version(
        repository,
        scratch / "fresh",
        "v0.1.0" if version == "same" else version,
        **{"service_count": count, **answers},
    )
    assert_equal(project, fresh)
    shutil.rmtree(fresh)


def test_after_an_update_with_all_edits_the_generated_suite_passes(
    make: Make, newest: Environment
) -> None:
    count, version, answers = UPDATES["all"]
    project = make(count=count)
    for edit in EDITS:
        edit(project)
    commit(project, "all edits")
    update(project, version, **answers)
    newest.run(project, "pytest", "-p", "no:cacheprovider")
