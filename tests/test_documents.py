"""The documents say what is, and stay short."""

import ast
import re
import shutil
from itertools import product
from pathlib import Path

import pytest

from tests.conftest import ROOT, Copy
from tests.environments import Environment
from tests.test_rendering import CIS, DEPLOYS

ENGINE = ROOT / "template/fanout"

TEST_ABOUT = """
import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model

@pytest.mark.django_db
def test_about(async_client):
    def show():
        return async_to_sync(async_client.get)("/about/").content.decode()

    assert "About us" in show()
    assert "Log in" in show()
    assert "about.css" in show()
    async_client.force_login(get_user_model().objects.create_user("ann"))
    assert "Hello, ann" in show()
"""


# Of the template


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = re.findall(r"```sh\n(python3 .*)\n```", read("README.md"))
    assert len(commands) == 2
    assert read(".ci/run").splitlines()[-1] == commands[1]


def test_the_public_address_stands_in_one_place() -> None:
    address = re.findall(r'repository = "https://(.*)"', read("pyproject.toml"))[0]
    files = [path for path in ROOT.glob("*.*") if path.is_file() and path.name != "pyproject.toml"]
    files += [p for folder in ("template", "hooks") for p in (ROOT / folder).rglob("*.[jmpy]*")]
    own = [
        path for path in files if path.is_file() and not {".venv", "__pycache__"} & {*path.parts}
    ]
    assert not [path for path in own if address in path.read_text(encoding="utf-8")]


def test_the_readme_shows_the_pictures_that_are_made() -> None:
    made = re.findall(r' (?:photograph|draw_terminal)\(.*?"([\w.-]+)"', read("docs/screenshots.py"))
    shown = re.findall(r"!\[[^]]*]\(docs/(.*?)\)", read("README.md"))
    assert sorted(Path(name).stem for name in shown) == sorted(made)
    others = {"screenshots.py", "decisions.md", "others.md"}
    assert {path.name for path in (ROOT / "docs").glob("*.*")} == {*others, *shown}


def test_the_message_after_a_copy_names_commands_that_exist(
    copy: Copy, newest: Environment
) -> None:
    message = read("copier.yml").split("_message_after_copy")[1].split("_message_after_update")[0]
    assert re.findall(r"^    (.+?)(?:  |$)", message, re.MULTILINE) == [
        "cd {{ _copier_conf.dst_path | string | quote }}",
        'git init -b main && git add --all && git commit -m "Copy the template"',
        "uv run manage.py dev",
        "uv run pytest",
    ]
    newest.run(copy(), "python", "manage.py", "dev", "--help")


def test_documents_are_as_short_as_they_promise() -> None:
    assert len(read("README.md").splitlines()) < 150
    assert len(read("CONTRIBUTING.md").split()) <= 900
    assert len(read("template/AGENTS.md").splitlines()) <= 30
    assert len(read("template/comparison/README.md").splitlines()) <= 50
    assert len(read("template/fanout/README.md").splitlines()) <= 480
    for name in ("CONTRIBUTING.md", "docs/decisions.md"):
        assert [line for line in read(name).splitlines() if len(line) > 120] == [], name


def test_documents_name_tests_that_exist() -> None:
    tests = [*(ROOT / "tests").rglob("test_*.py")]
    names = {path.name for path in tests}
    for path in tests:
        names |= {*re.findall(r"def (test_\w+)", path.read_text(encoding="utf-8"))}
    said = re.findall(r"\btest_\w+(?:\.py)?", read("CONTRIBUTING.md") + read("docs/decisions.md"))
    assert len(said) > 10
    assert {*said} <= names


def test_links_of_the_template_lead_somewhere() -> None:
    for path in (*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md")):
        check_links(path)


# Of a project


@pytest.mark.parametrize(("deploy", "ci"), [*product(DEPLOYS, CIS)])
def test_the_readme_of_a_project_is_for_the_first_hour(copy: Copy, deploy: str, ci: str) -> None:
    project = copy(deploy=deploy, ci=ci)
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert len(readme.splitlines()) <= 120
    assert "\n\n\n" not in re.sub("```.*?```", "code", readme, flags=re.DOTALL)
    for path in project.rglob("*.md"):
        check_links(path)


def test_the_documents_of_a_project_name_its_files(copy: Copy) -> None:
    project = copy(project_name="A_b *c* <d>")
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# A\\_b \\*c\\* \\<d\\>\n")
    examples = {
        "homepage/about.py",
        "homepage/jinja2/about.html",
        "homepage/static/about.css",
        "homepage/jinja2/sections/recco.html",
    }
    folders = "config|comparison|fakes|fanout|homepage|tests"
    rooms = "policies|calls|pages|serving|telemetry"
    for path in project.rglob("*.md"):
        text = path.read_text(encoding="utf-8")
        names = {*re.findall(rf"`((?:{folders})/[\w/.]*)`", text)} - examples
        assert [name for name in names if not (project / name).exists()] == [], path
        names = {*re.findall(rf"`((?:{rooms})/[\w/.]*)`", text)}
        assert [name for name in names if not (ENGINE / name).exists()] == [], path


def test_every_module_of_the_engine_is_on_the_map_of_its_rooms() -> None:
    table = read("template/fanout/README.md").split("## Rooms")[1].split("\n## ")[0]
    for module in ENGINE.glob("*/*.py"):
        if module.name != "__init__.py":
            assert table.count(f"`{module.relative_to(ENGINE).as_posix()}`") == 1, module
    assert re.findall(r"\*\*(\w+)\*\*", table) == [
        *("policies", "calls", "pages", "serving", "telemetry")
    ]


def test_every_option_stands_in_the_documents_with_its_default() -> None:
    code = (ENGINE / "calls/service.py").read_text(encoding="utf-8")
    options = re.findall(r"^    (\w+): Annotated\[.*\] = (.*?)  #", code, re.MULTILINE)
    table = read("template/fanout/README.md").split("## Options")[1].split("| environment |")[0]
    rows = re.findall(r"^\| `(\w+)` \| [^|]* \| ([^|]*) \|", table, re.MULTILINE)
    assert sorted(rows) == sorted(options)


def test_every_class_in_the_documents_is_one_that_works() -> None:
    shown = read("template/fanout/README.md").split("## Services")[1].split("```python")[1]
    classes = re.findall(r"^class .*?(?=\n\n\n|\n```)", shown.split("```")[0] + "```", re.M | re.S)
    assert len(classes) == 6
    tried = read("tests/engine/shapes/services.py")
    assert all(cls in tried for cls in classes)


def test_every_variable_stands_in_the_documents() -> None:
    code = read("template/config/base.py")
    variables = {*re.findall(r"env\.\w+\(\s*\"(\w+)\"", code)} - {"DJANGO_DEVELOPMENT"}
    assert {"FANOUT_DEADLINE", "DATABASE_URL", "DJANGO_ADMIN_PATH"} <= variables
    told = {*re.findall(r"`([A-Z_]+)`", read("template/fanout/README.md"))}
    assert variables <= told


def test_every_figure_of_the_comparison_stands_in_its_document() -> None:
    tree = ast.parse(read("template/comparison/measurement.py"))
    [measurement] = [
        node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Measurement"
    ]
    figures = [ast.unparse(n.target) for n in measurement.body if isinstance(n, ast.AnnAssign)]
    table = read("template/comparison/README.md").split("| figure |")[1]
    cells = re.findall(r"^\| (`.*?`) \|", table, re.MULTILINE)
    assert sorted(figures) == sorted(re.findall(r"`(\w+)`", " ".join(cells)))


def test_the_comparison_can_be_deleted_as_it_says(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "comparison/README.md").read_text(encoding="utf-8")
    one, two, three = re.findall(r"^\d\. (.*)$", readme.split("## Delete it")[1], re.MULTILINE)
    assert one == "`git rm -r comparison`"
    shutil.rmtree(project / "comparison")
    for name in re.findall(r"`(config/.*?)`", two):
        edit(project / name, r".*comparison.*\n")
    [start] = re.findall(r"`(<nav .*?>)`", three)
    [name] = re.findall(r"`(homepage/.*?)`", three)
    edit(project / name, rf" *{re.escape(start)}(?:.*\n)*? *</nav>\n")
    newest.run(project, "python", "manage.py", "check", "--fail-level", "WARNING")
    newest.run(project, "pytest", "-p", "no:cacheprovider")
    newest.run(project, "ruff", "check", "--no-cache")
    newest.run(project, "djlint", "--lint", "homepage")
    show = """
from django.test import Client, override_settings

with override_settings(ALLOWED_HOSTS=["testserver"]):
    response = Client().get("/")
print(response.status_code, "Fetched with" in response.content.decode())
"""
    command = ("python", "manage.py", "shell", "--no-imports", "-c", show)
    shown = newest.run(project, *command, FAKES_URL="http://127.0.0.1:9")
    assert "503 True" in shown  # and no error about an address that is gone


def test_the_page_of_a_book_can_be_removed_as_it_says(copy: Copy, newest: Environment) -> None:
    project = copy()
    steps = (project / "README.md").read_text(encoding="utf-8").split("To remove it:")[1]
    one, two, three = re.findall(r"^\d\. (.*)$", steps, re.MULTILINE)
    for name in re.findall(r"(homepage/\S+?\.html)", one):
        (project / name).unlink()
    views, urls = re.findall(r"`(homepage/.*?)`", two)
    edit(project / views, r"BOOK = .*\n")
    edit(project / views, r"from homepage.services import Book\n")
    edit(project / views, r"from django.conf import settings\n")
    edit(project / ".env.example", r"BOOK_URL=\n")
    edit(project / urls, r".*\bBOOK\},.*\n")
    edit(project / urls, r"BOOK, ")
    [services] = re.findall(r"`(homepage/.*?)`", three)
    edit(project / services, r"\n\nclass Book\((?:.*\n)*")
    edit(project / services, r"import httpx\n\n")
    edit(project / services, r", Visit")
    newest.run(project, "python", "manage.py", "check", "--fail-level", "WARNING")
    newest.run(project, "pytest", "-p", "no:cacheprovider")
    newest.run(project, "ruff", "check", "--no-cache")
    newest.run(project, "ruff", "format", "--check", "--no-cache")


def test_the_example_of_a_section_works(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "fanout/README.md").read_text(encoding="utf-8")
    [(path, html)] = re.findall(r"write `(homepage/.*)`:\n\n```html\n(.*?)```", readme, re.DOTALL)
    (project / path).write_text(html, encoding="utf-8")
    show = f"""
from django.template.loader import render_to_string
from fanout.calls.call import Section

items = [{{"title": "<One>", "author": "Ann"}}, {{"title": "Two", "author": "Bo"}}]
section = Section(name="recco", title="Recco", state="ok", start=0, duration=0, data={{"items": items}})
print(render_to_string("{path.removeprefix("homepage/jinja2/")}", {{"section": section}}, using="jinja2"))
"""
    shown = newest.run(project, "python", "manage.py", "shell", "--no-imports", "-c", show)
    assert "<li>&lt;One&gt; by Ann</li><li>Two by Bo</li>" in shown


def test_the_example_of_a_chain_works(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "fanout/README.md").read_text(encoding="utf-8")
    chapter = readme.split("## Calls that need another's answer")[1]
    [example] = re.findall(r"```python\n(.*?)```", chapter.split("\n## ")[0], re.DOTALL)
    ask = """
from types import SimpleNamespace as Some

for items in ([{"title": "Sea & more"}], []):
    request = Recco("recco", "http://r.test/").request(Some(sections={"profile": Some(items=items)}))
    print(request and request.url)
"""
    shell = ("python", "manage.py", "shell", "--no-imports", "-c", example + ask)
    assert newest.run(project, *shell).splitlines()[-2:] == [
        "http://r.test/?shelf=Sea+%26+more",
        "None",
    ]


def test_the_example_of_a_page_of_ones_own_works(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "fanout/README.md").read_text(encoding="utf-8")
    examples = re.findall(r"This is `(.*?)`.*:\n\n```\w+\n((?:.*\n)*?)```", readme)
    assert len(examples) == 2
    for path, text in examples:
        (project / path).write_text(text, encoding="utf-8")
    (project / "homepage/static/about.css").write_text("h2 { color: red; }\n", encoding="utf-8")
    [route] = re.findall(r"`(path\(.*?\))`", readme)
    with (project / "config/urls.py").open("a", encoding="utf-8") as urls:
        urls.write(f"\nfrom homepage.about import about\n\nurlpatterns.append({route})\n")
    (project / "tests/test_about.py").write_text(TEST_ABOUT, encoding="utf-8")
    newest.run(project, "pytest", "-p", "no:cacheprovider", "tests/test_about.py")
    newest.run(project, "ruff", "check", "homepage")
    newest.run(project, "djlint", "--lint", "homepage")


def read(name: str) -> str:
    """A file of the template."""
    return (ROOT / name).read_text(encoding="utf-8")


def edit(path: Path, pattern: str) -> None:
    """Take out the one place that `pattern` finds."""
    text, count = re.subn(pattern, "", path.read_text(encoding="utf-8"))
    assert count == 1, path
    path.write_text(text, encoding="utf-8")


def check_links(path: Path) -> None:
    """Every link of a document leads to a file that is there, and to a heading in it."""
    text = path.read_text(encoding="utf-8")
    for link in re.findall(r"]\(([^)\s]+)\)", re.sub(r"```.*?```", "", text, flags=re.DOTALL)):
        target, _, heading = link.partition("#")
        if "://" not in link:
            file = path.parent / target if target else path
            assert file.exists(), f"{path}: {link}"
            if heading:
                titles = re.findall(r"^#+ (.*)$", file.read_text(encoding="utf-8"), re.MULTILINE)
                slugs = {re.sub(r"[^\w -]", "", t.lower()).replace(" ", "-") for t in titles}
                assert heading in slugs, f"{path}: {link}"
