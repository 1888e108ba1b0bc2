"""A repository with synthetic versions of the template: v0.1.0 is the working tree, then it changes."""

import subprocess
from pathlib import Path

from tests.conftest import copy_template
from tests.environments import clean_environment

LINE = 'TIME_ZONE = "UTC"\n'  # of config/base.py, which a version and a team change
DOCKERFILE = "{% if deploy != 'none' %}Dockerfile{% endif %}"

# What the newest version asks besides; projects that were never asked get the default.
QUESTION = """
greeting:
  type: str
  help: How does the homepage greet?
  default: Hello

# Computed"""


def git(folder: Path, *command: str) -> str:
    """What Git prints in `folder`."""
    identity = ("-c", "user.name=Somebody", "-c", "user.email=somebody@example.test")
    return subprocess.run(
        ["git", *identity, *command],
        cwd=folder,
        env=clean_environment(),
        check=True,
        capture_output=True,
        encoding="utf-8",
    ).stdout


def commit(folder: Path, message: str) -> None:
    """Commit all there is, also where it is a new repository."""
    if not (folder / ".git").exists():
        git(folder, "init", "--quiet", "--initial-branch=main")
    git(folder, "add", "--all")
    git(folder, "commit", "--quiet", "--allow-empty", f"--message={message}")


def replace(path: Path, old: str, new: str) -> None:
    """Replace the first `old` in a file, which has to be there."""
    text = path.read_text(encoding="utf-8")
    assert old in text, f"{old!r} is not in {path}"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")


def append(path: Path, text: str) -> None:
    """Write `text` at the end of a file, or into a new one."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a", encoding="utf-8") as file:
        file.write(text)


def make_repository(path: Path) -> Path:
    """The template with its versions v0.1.0, v0.2.0 (minor) and v1.0.0 (major) at `path`."""
    copy_template(path)
    release(path, "v0.1.0")
    change_little(path)
    release(path, "v0.2.0")
    change_much(path)
    release(path, "v1.0.0")
    return path


def release(repository: Path, version: str) -> None:
    """Commit and tag."""
    commit(repository, version)
    git(repository, "tag", version)


# What people find of each version in the files that they edit, too.
BROUGHT = {
    "v0.2.0": {
        "README.md": "There are up to 32.",
        "config/base.py": "USE_MINOR",
        "fanout/calls/service.py": "MOST_SERVICES = 32",
        "homepage/views.py": "MINOR_VIEWS",
        "homepage/jinja2/base.html": 'name="minor"',
        "homepage/static/site.css": "min-inline-size: 0",
        "pyproject.toml": '"sniffio"',
        "comparison/runs.py": "KEPT = 20",
    },
    "v1.0.0": {
        "README.md": "There are up to 32.",
        "config/base.py": "MAJOR",
        "fanout/calls/service.py": "MOST_SERVICES = 64",
        "homepage/views.py": "MINOR_VIEWS",
        "homepage/jinja2/base.html": 'name="minor"',
        "homepage/jinja2/home.html": "{# major #}",
        "homepage/jinja2/sections/default.html": "items major",
        "homepage/static/site.css": "--major: 1",
        "pyproject.toml": '"asgiref"',
        "comparison/runs.py": "KEPT = 40",
    },
}


def change_little(repository: Path) -> None:
    """What a minor version may bring: a setting, a dependency's bound, a rule, a file, a test."""
    project = repository / "template"
    page = project / "homepage"
    replace(project / "config/base.py", LINE, f"{LINE}USE_MINOR = True\n")
    replace(project / "pyproject.toml.jinja", '"jinja2>=3.1.6"', '"jinja2>=3.1.5"')
    for line in ("    # Your own dependencies", "    # Your own development tools"):
        replace(project / "pyproject.toml.jinja", line, f'    "sniffio",\n{line}')
    replace(page / "static/site.css", "* {\n", "* {\n  min-inline-size: 0;\n")
    replace(page / "views.py", "HOME =", "MINOR_VIEWS = True\nHOME =")
    viewport = '  <meta name="viewport"'
    replace(page / "jinja2/base.html", viewport, f'  <meta name="minor" content="">\n{viewport}')
    replace(project / "README.md.jinja", "## Services\n", "## Services\n\nThere are up to 32.\n")
    append(project / "fanout/calls/service.py", "\n\nMOST_SERVICES = 32\n")
    append(project / "fanout/minor.py", '"""What the minor version brings."""\n')
    append(project / "tests/test_minor.py", "def test_minor() -> None:\n    pass\n")
    append(project / ".gitignore", "/minor/\n")
    replace(project / DOCKERFILE, "EXPOSE 8000\n", "EXPOSE 8000\nLABEL version=minor\n")


def change_much(repository: Path) -> None:
    """What a major version may bring: more of all that, a file gone, another question."""
    project = repository / "template"
    replace(repository / "copier.yml", "\n# Computed", QUESTION)
    replace(project / "config/base.py", 'TIME_ZONE = "UTC"\n', 'TIME_ZONE = "UTC"\nMAJOR = True\n')
    replace(
        project / "config/generated.py.jinja", "STYLE =", 'GREETING = "{{ greeting }}"\nSTYLE ='
    )
    replace(
        project / "pyproject.toml.jinja", "dependencies = [\n", 'dependencies = [\n    "asgiref",\n'
    )
    replace(project / "fanout/calls/service.py", "MOST_SERVICES = 32", "MOST_SERVICES = 64")
    page = project / "homepage"
    replace(page / "jinja2/home.html", "{% block main %}\n", "{% block main %}\n{# major #}\n")
    replace(page / "jinja2/sections/default.html", 'class="items"', 'class="items major"')
    replace(page / "static/site.css", "  --gap:", "  --major: 1;\n  --gap:")
    replace(project / "comparison/runs.py", "KEPT = 20 ", "KEPT = 40 ")
    (project / "fanout/minor.py").unlink()
    for path in ("config/settings.py", "config/urls.py", "homepage/services.py.jinja"):
        append(project / path, "# A better beginning, for new projects only.\n")
    append(project / "fanout/major.py", '"""What the major version brings."""\n')
