"""Versioned migrations: none is shipped yet, so a synthetic one proves the machinery."""

import shutil
import subprocess
import sys
from pathlib import Path

import copier
import pytest

from tests.conftest import ROOT
from tests.environments import clean_environment
from tests.updates.conftest import assert_equal, copy_version, find_conflicts, read_project, update
from tests.updates.test_edits import NEWEST
from tests.updates.versions import append, commit, git, make_repository, replace

MIGRATIONS = """
_migrations:
  - version: v2.0.0
    when: true
    command: &move
      - "{{ _copier_python }}"
      - "{{ _copier_conf.src_path }}/hooks/migrate.py"
      - "--stage={{ _stage }}"
      - "--from={{ _version_from }}"
      - "--answers={{ _copier_conf.answers_file }}"
      - move
      - fanout/policies/deadline.py
      - fanout/policies/clock.py
  - version: v2.0.0
    when: true
    command: *move
  - version: v2.0.0
    when: true
    command:
      - "{{ _copier_python }}"
      - "{{ _copier_conf.src_path }}/hooks/migrate.py"
      - "--stage={{ _stage }}"
      - "--from={{ _version_from }}"
      - "--answers={{ _copier_conf.answers_file }}"
      - rename
      - timeout
      - seconds
      - config/settings.py
      - config/gone.py
"""


@pytest.fixture
def moved(scratch: Path) -> Path:
    """A template whose version v2.0.0 moves a file, renames an option, and migrates both."""
    path = scratch / "moved"
    shutil.rmtree(path, ignore_errors=True)
    make_repository(path)
    template = path / "template"
    (template / "fanout/policies/deadline.py").rename(template / "fanout/policies/clock.py")
    replace(template / "fanout/policies/clock.py", "SHARE = 0.85", "SHARE = 0.9")
    append(path / "copier.yml", MIGRATIONS)
    commit(path, "v2.0.0")
    git(path, "tag", "v2.0.0")
    return path


MOVE = ["move", "fanout/policies/deadline.py", "fanout/policies/clock.py"]


def run_step(project: Path, stage: str, *step: str, **variables: str) -> str:
    """What a step prints, run as Copier runs it."""
    options = (f"--stage={stage}", "--from=v0.1.0", "--answers=.copier-answers.yml")
    return subprocess.run(
        [sys.executable, ROOT / "hooks/migrate.py", *options, *step],
        cwd=project,
        env={**clean_environment(), **variables},
        capture_output=True,
        encoding="utf-8",
        check=True,
    ).stdout


def migrate(project: Path, answers_file: str | None = None) -> None:
    """Update across the migration, which needs trust."""
    copier.run_update(
        project,
        answers_file=answers_file,
        defaults=True,
        overwrite=True,
        unsafe=True,
        settings=copier.Settings(),
    )


def test_a_migration_takes_edits_along(
    moved: Path, scratch: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    replace(
        project / "fanout/policies/deadline.py", "class Deadline:", "MINE = 1\n\n\nclass Deadline:"
    )
    append(project / "config/settings.py", 'MINE = {"timeout": 1.0}\n')
    append(project / "config/settings.py", "# my_timeout stays\r\n")
    commit(project, "edit")
    migrate(project)
    clock = (project / "fanout/policies/clock.py").read_text("utf-8")
    assert "MINE = 1" in clock
    assert "SHARE = 0.9" in clock
    assert not (project / "fanout/policies/deadline.py").exists()
    settings = (project / "config/settings.py").read_bytes()
    assert b'MINE = {"seconds": 1.0}\n# my_timeout stays\r\n' in settings
    assert find_conflicts(project) == []
    assert not list((project / ".git").glob("copier/**/*.*"))
    printed = capfd.readouterr().out
    assert (
        printed.count(
            "move fanout/policies/deadline.py to fanout/policies/clock.py, with the edits in it"
        )
        == 1
    )
    assert printed.count("rename timeout to seconds in config/settings.py, 1 time\n") == 1
    shutil.rmtree(project)


def test_a_migration_finds_the_answers_wherever_they_are(moved: Path, scratch: Path) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    (project / "conf").mkdir()
    (project / ".copier-answers.yml").rename(project / "conf/other.yml")
    replace(project / "fanout/policies/deadline.py", "class D", "MINE = 1\n\n\nclass D")
    commit(project, "edit")
    migrate(project, "conf/other.yml")
    assert "MINE = 1" in (project / "fanout/policies/clock.py").read_text("utf-8")
    assert not (project / ".copier-answers.yml").exists()
    assert find_conflicts(project) == []
    shutil.rmtree(project)


def test_a_migration_shows_both_sides_where_it_cannot_decide(moved: Path, scratch: Path) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    replace(project / "fanout/policies/deadline.py", "SHARE = 0.85", "SHARE = 0.5")
    commit(project, "edit")
    migrate(project)
    clock = (project / "fanout/policies/clock.py").read_text("utf-8")
    assert "<<<<<<< before updating\nSHARE = 0.5" in clock
    assert "SHARE = 0.9" in clock
    shutil.rmtree(project)


def test_a_file_deleted_on_purpose_stays_deleted_where_it_moves_to(
    moved: Path, scratch: Path
) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    (project / "fanout/policies/deadline.py").unlink()
    commit(project, "delete")
    migrate(project)
    assert not (project / "fanout/policies/deadline.py").exists()
    assert not (project / "fanout/policies/clock.py").exists()
    assert find_conflicts(project) == []
    shutil.rmtree(project)


def test_without_edits_a_migrated_project_equals_a_fresh_copy(moved: Path, scratch: Path) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    commit(project, "copied")
    migrate(project)
    fresh = copy_version(moved, scratch / "fresh", "v2.0.0")
    assert_equal(project, fresh)
    shutil.rmtree(fresh)
    shutil.rmtree(project)


def test_a_migration_needs_trust_and_no_other_update_does(moved: Path, scratch: Path) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    commit(project, "copied")
    with pytest.raises(copier.errors.UnsafeTemplateError, match="trust"):
        update(project, "v2.0.0")
    update(project, NEWEST)
    shutil.rmtree(project)


def test_a_step_in_a_hook_is_about_this_project(moved: Path, scratch: Path) -> None:
    """Whatever repository Git's variables name."""
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    replace(project / "fanout/policies/deadline.py", "SHARE = 0.85", "SHARE = 0.5")
    commit(project, "copied")
    run_step(project, "before", *MOVE, GIT_DIR=str(moved / ".git"), GIT_INDEX_FILE="none")
    assert git(project, "status", "--porcelain") == "D  fanout/policies/deadline.py\n"
    kept = project / ".git/copier/fanout/policies"
    assert "SHARE = 0.5" in (kept / "clock.py.mine").read_text("utf-8")
    assert "SHARE = 0.85" in (kept / "clock.py.base").read_text("utf-8")
    assert not (moved / ".git/copier").exists()
    shutil.rmtree(project)


def test_a_dry_run_only_says_what_it_would_do(moved: Path, scratch: Path) -> None:
    project = copy_version(moved, scratch / "migrated", "v0.1.0")
    append(project / "config/settings.py", 'MINE = {"timeout": 1.0}\n')
    commit(project, "copied")
    before = read_project(project)
    for stage, step, said in (
        ("before", MOVE, "keep fanout/policies/deadline.py"),
        ("after", ["rename", "timeout", "seconds", "config/settings.py"], "rename timeout to"),
        ("before", ["rename", "timeout", "seconds", "config/settings.py"], ""),
        ("before", ["move", "fanout/policies/gone.py", "fanout/policies/clock.py"], ""),
    ):
        printed = run_step(project, stage, "--dry-run", *step)
        assert printed.startswith(said)
        assert bool(printed) == bool(said)
    assert read_project(project) == before
    assert not (project / ".git/copier").exists()
    shutil.rmtree(project)
