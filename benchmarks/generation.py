"""How long it takes to make a project, beside other generators: whole processes, A B A B."""

import os
import shutil
import time
from collections import defaultdict
from collections.abc import Collection
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmarks.figures import Figure, ratio
from benchmarks.install import CACHE, get_program, install_generators, make_project, run
from tests.conftest import copy_template

COPIER = "copier copy"
TRIVIAL = "copier copy, a template of one file"
EMPTY = "copier copy, as many empty files"
UPDATE = "copier update"
COOKIECUTTER = "cookiecutter, the same files"
STARTPROJECT = "django-admin startproject"
EVERYBODY = (COPIER, TRIVIAL, EMPTY, COOKIECUTTER, STARTPROJECT, UPDATE)
ANSWERS = ("--defaults", "--quiet", "--data", "service_count=8")


def measure_generation(rounds: int, names: Collection[str] = EVERYBODY) -> dict[str, list[float]]:
    """Seconds of each, round by round; the first round, which fills caches, is not counted."""
    with TemporaryDirectory() as folder:  # in no repository: generators look for one
        return _measure(Path(folder), rounds, names)


def measure_copy(rounds: int) -> Figure:
    """How many times as long as of a template of one file a copy takes. Installs what it needs."""
    install_generators()
    found = measure_generation(rounds, (COPIER, TRIVIAL))
    return ratio(found[COPIER], found[TRIVIAL])


def _measure(folder: Path, rounds: int, names: Collection[str]) -> dict[str, list[float]]:
    variables = _configure(folder)
    templates = _make_templates(folder, variables)
    copier = get_program("generators", "copier")
    project = folder / "project"
    first = [copier, "copy", *ANSWERS, "--vcs-ref", "v1", str(templates[0]), str(project)]
    run(first, folder, **variables)
    _commit(project, variables)

    found: dict[str, list[float]] = defaultdict(list)
    for number in range(rounds + 1):
        out = folder / str(number)
        out.mkdir()
        shutil.copytree(project, out / "updated")
        for name, (command, place) in _list_commands(templates, out).items():
            if name in names:
                start = time.perf_counter()
                run(command, place, **variables)
                if number:
                    found[name].append(time.perf_counter() - start)
        if names == EVERYBODY:
            _expect_the_same(out)
        shutil.rmtree(out)
    return found


def _list_commands(templates: tuple[Path, ...], out: Path) -> dict[str, tuple[list[str], Path]]:
    """What is measured, and where it is run."""
    ours, trivial, empty, cookie = map(str, templates)
    copier, cookiecutter, startproject = (
        get_program("generators", name) for name in ("copier", "cookiecutter", "django-admin")
    )
    copy = [copier, "copy", "--defaults", "--quiet"]
    return {
        COPIER: ([copier, "copy", *ANSWERS, ours, "ours"], out),
        TRIVIAL: ([*copy, trivial, "trivial"], out),
        EMPTY: ([*copy, empty, "empty"], out),
        COOKIECUTTER: ([cookiecutter, "--no-input", cookie], out),
        STARTPROJECT: ([startproject, "startproject", "bookshop"], out),
        UPDATE: ([copier, "update", "--defaults", "--quiet"], out / "updated"),
    }


def _expect_the_same(out: Path) -> None:
    """Copier and cookiecutter have made as many files, and the update has brought something."""
    made, cooked = (
        {path.relative_to(out / name) for path in (out / name).rglob("*") if path.is_file()}
        for name in ("ours", "cooked")
    )
    if made != cooked:
        raise SystemExit(f"Not the same files: {sorted(map(str, made ^ cooked))}")
    if "newer" not in (out / "updated/homepage/static/site.css").read_text("utf-8"):
        raise SystemExit("copier update has brought nothing.")


def _configure(folder: Path) -> dict[str, str]:
    """Settings of Git and cookiecutter that do not depend on who runs this."""
    git, cookiecutter = folder / "gitconfig", folder / "cookiecutter.yml"
    git.write_text("[user]\nname = Benchmark\nemail = benchmark@example.invalid\n", "utf-8")
    cookiecutter.write_text(f"replay_dir: {folder / 'replay'}\n", "utf-8")
    return {
        "GIT_CONFIG_GLOBAL": str(git),
        "GIT_CONFIG_SYSTEM": os.devnull,
        "COOKIECUTTER_CONFIG": str(cookiecutter),
    }


def _make_templates(folder: Path, variables: dict[str, str]) -> tuple[Path, Path, Path, Path]:
    """This template with two versions, one of one file, one of empty files, one for cookiecutter."""
    ours = copy_template(folder / "copier-django-fanout")
    _commit(ours, variables, "v1")
    with (ours / "template/homepage/static/site.css").open("a", encoding="utf-8") as css:
        css.write("/* newer */\n")
    _commit(ours, variables, "v2")

    trivial = folder / "trivial"
    trivial.mkdir()
    (trivial / "copier.yml").write_text("name: { type: str, default: World }\n", "utf-8")
    (trivial / "hello.txt.jinja").write_text("Hello, {{ name }}!\n", "utf-8")
    _commit(trivial, variables, "v1")

    empty = folder / "empty"
    for path in (ours / "template").rglob("*"):
        if path.is_file() and not path.with_name(f"{path.name}.jinja").exists():
            file = empty / path.relative_to(ours / "template")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.with_name(file.name.removesuffix(".jinja")).touch()
    shutil.copy(trivial / "copier.yml", empty)
    _commit(empty, variables, "v1")
    return ours, trivial, empty, _make_cookiecutter(folder / "cookiecutter")


def _make_cookiecutter(folder: Path) -> Path:
    """What this template gives, as a template for cookiecutter: as many files, as many rendered."""
    inside = folder / "{{ cookiecutter.name }}"
    shutil.copytree(make_project(8), inside, ignore=shutil.ignore_patterns("measured"))
    template = CACHE / "template/template"
    plain = []
    for path in (path for path in inside.rglob("*") if path.is_file()):
        name = path.relative_to(inside).as_posix()
        if (template / f"{name}.jinja").exists() or name == ".copier-answers.yml":
            text = path.read_text(encoding="utf-8")
            path.write_text(f"{{% raw %}}{text}{{% endraw %}}", encoding="utf-8")
        else:
            plain.append(f'"{name}"')
    (folder / "cookiecutter.json").write_text(
        f'{{"name": "cooked", "_copy_without_render": [{", ".join(plain)}]}}', encoding="utf-8"
    )
    return folder


def _commit(folder: Path, variables: dict[str, str], tag: str = "") -> None:
    git = shutil.which("git") or "git"
    for command in (
        ("init", "--quiet"),
        ("add", "--all"),
        ("commit", "--quiet", "--message", "Everything"),
        *([("tag", tag)] if tag else []),
    ):
        run([git, *command], folder, **variables)
