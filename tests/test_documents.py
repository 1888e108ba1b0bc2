"""The documents say what is."""

import re
from pathlib import Path

from tests.conftest import ROOT, Copy
from tests.environments import Environment

TEST_ABOUT = """
import pytest
from asgiref.sync import async_to_sync
from tests.test_viewer import make_user

@pytest.mark.django_db
def test_about(async_client):
    def show():
        return async_to_sync(async_client.get)("/about/").content.decode()

    assert "About us" in show()
    assert "Log in" in show()
    async_client.force_login(make_user("ann"))
    assert "Hello, ann" in show()
"""


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
    shown = re.findall(r"]\(docs/(.*?)\)", read("README.md"))
    assert sorted(Path(name).stem for name in shown) == sorted(made)
    assert {path.name for path in (ROOT / "docs").glob("*.*")} == {"screenshots.py", *shown}


def test_the_message_after_a_copy_names_commands_that_exist(
    copy: Copy, newest: Environment
) -> None:
    message = read("copier.yml").split("_message_after_copy")[1].split("_message_after_update")[0]
    assert re.findall(r"^    (.+?)(?:  |$)", message, re.MULTILINE) == [
        "cd {{ _copier_conf.dst_path | string | quote }}",
        "uv run manage.py dev",
        "uv run pytest",
    ]
    newest.run(copy(), "python", "manage.py", "dev", "--help")


def test_the_readme_of_a_project_names_its_files(copy: Copy) -> None:
    project = copy(project_name="A_b *c* <d>")
    readme = (project / "README.md").read_text(encoding="utf-8")
    assert readme.startswith("# A\\_b \\*c\\* \\<d\\>\n")
    for name in re.findall(r"`((?:config|fanout|fakes|tests|homepage)/[\w/.]*)`", readme):
        if "homepage/" not in name:
            places = [project / name, project / "fanout/jinja2" / name]
            assert any(place.exists() for place in places), name


def test_the_example_of_an_overridden_section_works(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "README.md").read_text(encoding="utf-8")
    [(path, html)] = re.findall(r"write `(homepage/.*)`:\n\n```html\n(.*?)```", readme, re.DOTALL)
    (project / path).parent.mkdir(parents=True)
    (project / path).write_text(html, encoding="utf-8")
    show = f"""
from django.template.loader import render_to_string
from fanout.section import Section

items = [{{"title": "<One>", "author": "Ann"}}, {{"title": "Two", "author": "Bo"}}]
section = Section(name="recco", title="Recco", state="ok", start=0, duration=0, data={{"items": items}})
print(render_to_string("{path.removeprefix("homepage/jinja2/")}", {{"section": section}}, using="jinja2"))
"""
    shown = newest.run(project, "python", "manage.py", "shell", "--no-imports", "-c", show)
    assert "<li>&lt;One&gt; by Ann</li>\n  <li>Two by Bo</li>" in shown


def test_the_example_of_a_page_of_ones_own_works(copy: Copy, newest: Environment) -> None:
    project = copy()
    readme = (project / "README.md").read_text(encoding="utf-8")
    examples = re.findall(r"This is `(.*?)`.*:\n\n```\w+\n((?:.*\n)*?)```", readme)
    assert len(examples) == 2
    for path, text in examples:
        (project / path).parent.mkdir(exist_ok=True)
        (project / path).write_text(text, encoding="utf-8")
    [route] = re.findall(r"`(path\(.*\))` in `config/urls.py`", readme)
    with (project / "config/urls.py").open("a", encoding="utf-8") as urls:
        urls.write(f"\nfrom homepage.views import about\n\nurlpatterns.append({route})\n")
    (project / "tests/test_about.py").write_text(TEST_ABOUT, encoding="utf-8")
    newest.run(project, "pytest", "-p", "no:cacheprovider", "tests/test_about.py")
    newest.run(project, "ruff", "check", "homepage")
    newest.run(project, "djlint", "--lint", "homepage")


def read(name: str) -> str:
    """A file of the template."""
    return (ROOT / name).read_text(encoding="utf-8")
