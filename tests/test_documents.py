"""The documents say what is."""

import re

from tests.conftest import ROOT, Copy
from tests.environments import Environment


def test_ci_runs_the_test_command_of_the_readme() -> None:
    commands = re.findall(r"```sh\n(python3 .*)\n```", read("README.md"))
    assert len(commands) == 2
    assert read(".ci/run").splitlines()[-1] == commands[1]


def test_the_public_address_stands_in_one_place() -> None:
    address = re.findall(r'repository = "https://(.*)"', read("pyproject.toml"))[0]
    files = [path for path in ROOT.glob("*.*") if path.is_file() and path.name != "pyproject.toml"]
    files += [p for folder in ("template", "hooks") for p in (ROOT / folder).rglob("*.[jmpy]*")]
    assert not [path for path in files if address in path.read_text(encoding="utf-8")]


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
            assert (project / name).exists(), name


def read(name: str) -> str:
    """A file of the template."""
    return (ROOT / name).read_text(encoding="utf-8")
