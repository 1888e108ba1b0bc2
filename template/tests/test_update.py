"""What an update could not merge fails `manage.py check`."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from pytest_django import Settings

from config.checks import check_update


@pytest.fixture
def git(settings: Settings, tmp_path: Path) -> Callable[..., None]:
    """Run git in an empty repository, which the checks take for the project."""
    if not shutil.which("git"):
        pytest.skip("Git is not installed.")
    settings.DEBUG = True
    settings.BASE_DIR = tmp_path

    def git(*command: str) -> None:
        identity = ["-c", "user.name=a", "-c", "user.email=a@b.test"]
        subprocess.run(["git", *identity, *command], cwd=tmp_path, check=False)  # noqa: S603, S607

    git("init", "--quiet", "--initial-branch=main")
    return git


def test_conflict_markers_are_an_error_until_they_are_gone(
    git: Callable[..., None], tmp_path: Path
) -> None:
    page = tmp_path / "a page.html"
    page.write_text("<<<<<<< before updating\nmine\n=======\ntheirs\n>>>>>>> after updating\n")
    (tmp_path / "other.py.rej").touch()
    assert [error.msg for error in check_update()] == [
        "a page.html has changes that an update could not merge.",
        "other.py.rej has changes that an update could not merge.",
    ]
    page.write_text("mine\n")
    (tmp_path / "other.py.rej").unlink()
    assert check_update() == []


def test_an_unmerged_path_is_an_error_until_it_is_added(
    git: Callable[..., None], tmp_path: Path
) -> None:
    page = tmp_path / "page.html"
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


def test_without_git_there_is_nothing_to_check(
    git: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "page.html").write_text("<<<<<<< before updating\n")
    assert check_update()
    monkeypatch.setattr(shutil, "which", lambda name: None)
    assert check_update() == []
