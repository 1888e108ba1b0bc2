"""What an update could not merge fails `manage.py check`."""

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from config.update import check_update

Git = Callable[..., None]


def run_git(folder: Path, *command: str) -> None:
    """Run git in `folder`, and nowhere else: inside a hook, its variables name another repository."""
    identity = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
    environment = {k: v for k, v in os.environ.items() if not k.startswith("GIT_")}
    environment["GIT_CONFIG_GLOBAL"] = os.devnull  # nothing of the user's own
    command = ("git", *identity, *command)
    subprocess.run(command, cwd=folder, env=environment, check=False)  # noqa: S603


@pytest.fixture
def git(settings: Settings, tmp_path: Path) -> Git:
    """Run git in an empty repository, which the checks take for the project."""
    if not shutil.which("git"):
        pytest.skip("Git is not installed.")
    project = tmp_path / "project"
    project.mkdir()
    settings.DEBUG = True
    settings.BASE_DIR = project
    run_git(project, "init", "--quiet", "--initial-branch=main")
    return lambda *command: run_git(project, *command)


@pytest.fixture(params=["alone", "in a hook"])
def elsewhere(
    request: pytest.FixtureRequest, git: Git, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Path:
    """Another repository, with one file that is not committed; Git's variables may name it."""
    other = tmp_path / "other"
    other.mkdir()
    (other / "other.html").touch()
    run_git(other, "init", "--quiet")
    run_git(other, "add", "other.html")
    if request.param == "in a hook":
        monkeypatch.setenv("GIT_DIR", str(other / ".git"))
        monkeypatch.setenv("GIT_INDEX_FILE", str(other / ".git" / "index"))
        monkeypatch.setenv("GIT_WORK_TREE", str(other))
    return other


def test_conflict_markers_are_an_error_until_they_are_gone(
    elsewhere: Path, settings: Settings
) -> None:
    page = settings.BASE_DIR / "a page.html"
    page.write_text("<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n")
    (settings.BASE_DIR / "other.py.rej").touch()
    (settings.BASE_DIR / ".venv").mkdir()
    (settings.BASE_DIR / ".venv" / "somebody's.rej").touch()
    (settings.BASE_DIR / ".gitignore").write_text("*.rej\n.venv/\n")  # as people have it
    assert [error.msg for error in check_update()] == [
        "a page.html has changes that an update could not merge.",
        "other.py.rej has changes that an update could not merge.",
    ]
    page.write_text("mine\n")
    (settings.BASE_DIR / "other.py.rej").unlink()
    assert check_update() == []


def test_an_unmerged_path_is_an_error_until_it_is_added(
    git: Git, elsewhere: Path, settings: Settings
) -> None:
    index = (elsewhere / ".git" / "index").read_bytes()
    page = settings.BASE_DIR / "page.html"
    for branch, text in (("main", "base"), ("mine", "mine"), ("theirs", "theirs")):
        git("checkout", "--quiet", "-B", branch, "main")
        page.write_text(text)
        git("add", "page.html")
        git("commit", "--quiet", "-m", branch)
    git("merge", "--quiet", "mine")
    page.write_text("both")
    [error] = check_update()
    assert error.id == "fanout.E003"
    git("add", "page.html")
    assert check_update() == []
    assert (elsewhere / ".git" / "index").read_bytes() == index
    assert not list((elsewhere / ".git" / "refs" / "heads").iterdir())  # nobody committed there


def test_without_git_there_is_nothing_to_check(
    git: Git, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    (settings.BASE_DIR / "page.html").write_text("<<<<<<< before updating\n")
    assert check_update()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert check_update() == []


@pytest.mark.usefixtures("git")
def test_a_project_of_somebody_else_is_a_warning_with_the_way_out(
    settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    git = tmp_path / "git"
    variables = (
        "GIT_TEST_ASSUME_DIFFERENT_OWNER=1 GIT_CONFIG_GLOBAL=/dev/null GIT_CONFIG_NOSYSTEM=1"
    )
    git.write_text(f'#!/bin/sh\n{variables} {shutil.which("git")} "$@"\n')
    git.chmod(0o755)
    monkeypatch.setattr(shutil, "which", lambda name: str(git))
    [warning] = check_update()
    assert warning.id == "fanout.W005"
    assert warning.hint == f"Run git config --global --add safe.directory {settings.BASE_DIR}"
