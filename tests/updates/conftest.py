"""What the tests of updates share: versions of the template, projects, and ways to look at them."""

import json
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import copier
import pytest
import yaml
from copier import VcsRef
from jinja2 import Environment

import tests.environments
from tests.conftest import ROOT, get_folder
from tests.environments import clean_environment
from tests.test_rendering import read_files
from tests.updates.versions import commit, git, make_repository

Make = Callable[..., Path]


def cache_compiled(compile: Callable[..., Any]) -> Callable[..., Any]:
    """Remember what `Environment.compile` makes of a source."""
    compiled: dict[tuple[Any, ...], Any] = {}

    def compile_once(environment: Environment, source: Any, *args: Any, **options: Any) -> Any:
        key = (source, *args, *sorted(options.items()))
        if not isinstance(source, str) or key not in compiled:
            compiled[key] = compile(environment, source, *args, **options)
        return compiled[key]

    return compile_once


@pytest.fixture(scope="session")
def scratch() -> Iterator[Path]:
    """A folder for many small files, in memory where there is such a place; Copier's too.

    Two more things make an update take half the time: Jinja compiles each source once, and no Git
    process is asked for each file whether its executable bit has to be set by hand.
    """
    memory = Path("/dev/shm")  # noqa: S108
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder,
        pytest.MonkeyPatch.context() as patch,
    ):
        patch.setattr(tempfile, "tempdir", folder)
        patch.setattr(Environment, "compile", cache_compiled(Environment.compile))
        patch.setattr(
            "copier._main.Worker._sync_git_index_executable_bit", lambda *_: None, raising=False
        )
        yield Path(folder)


@pytest.fixture(scope="session")
def repository(scratch: Path) -> Path:
    """The template with synthetic versions."""
    return make_repository(scratch / "copier-django-fanout")


@pytest.fixture(scope="session")
def make(scratch: Path, repository: Path) -> Callable[..., Path]:
    """Make a committed project of version v0.1.0, a copy of one with the same answers."""

    @cache
    def original(style: str, count: int, deploy: str) -> Path:
        path = scratch / f"{style}-{count}-{deploy}"
        answers = {"style": style, "service_count": count, "deploy": deploy}
        copy_version(repository, path, "v0.1.0", **answers)
        commit(path, "from the template")
        return path

    def make(
        name: str = "project", style: str = "gather", count: int = 2, deploy: str = "none"
    ) -> Path:
        shutil.rmtree(scratch / name, ignore_errors=True)
        return Path(shutil.copytree(original(style, count, deploy), scratch / name))

    return make


@pytest.fixture(scope="session")
def system_check(pytestconfig: pytest.Config) -> Iterator[Callable[[Path], str]]:
    """What Django's checks find wrong with a project."""
    python = tests.environments.Environment(get_folder(pytestconfig) / "newest").path / "bin/python"
    with subprocess.Popen(
        [python, "-m", "tests.updates.system_check"],
        cwd=pytestconfig.rootpath,
        env=clean_environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        encoding="utf-8",
    ) as process:
        ask, answers = process.stdin, process.stdout
        assert ask
        assert answers

        def check(project: Path) -> str:
            print(project, file=ask, flush=True)
            return str(json.loads(answers.readline()))

        yield check
        ask.close()


def copy_version(repository: Path, path: Path, version: str, **answers: Any) -> Path:
    """A fresh copy of a version."""
    copier.run_copy(
        str(repository),
        path,
        answers,
        vcs_ref=version,
        defaults=True,
        quiet=True,
        settings=copier.Settings(),
    )
    return path


def update(project: Path, version: str, **answers: Any) -> None:
    """`copier update --defaults`, to a version or with other answers only."""
    copier.run_update(
        project,
        answers,
        vcs_ref=VcsRef.CURRENT if version == "same" else version,
        defaults=True,
        overwrite=True,
        quiet=True,
        settings=copier.Settings(),
    )


def find_conflicts(project: Path) -> list[str]:
    """Files that Git or Copier could not merge."""
    unmerged = git(project, "diff", "--name-only", "--diff-filter=U").splitlines()
    rejected = [str(path) for path in project.rglob("*.rej")]
    marked = [path for path, content in read_project(project).items() if b"\n<<<<<<< " in content]
    return unmerged + rejected + marked


def read_project(project: Path) -> dict[str, bytes]:
    """Every file of a project that is not Git's."""
    files = read_files(project)
    return {path: content for path, content in files.items() if not path.startswith(".git/")}


def get_files_written_once() -> list[str]:
    """The files that no update touches."""
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    return list(questions["_skip_if_exists"])


def assert_equal(project: Path, fresh: Path) -> None:
    """A project is what a fresh copy is, but for the files that are written once."""
    left, right = read_project(project), read_project(fresh)
    assert left.keys() == right.keys()
    differing = {path for path in left if left[path] != right[path]}
    assert differing <= set(get_files_written_once())
