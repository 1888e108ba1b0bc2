"""What an update promises besides merging: it says what is left to do, and starts from anywhere."""

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import copier
import pytest
import yaml

from tests.conftest import ROOT
from tests.environments import Environment, clean_environment
from tests.test_rendering import read_answers
from tests.updates.conftest import (
    Make,
    copy_version,
    find_conflicts,
    get_files_written_once,
    read_project,
    update,
)
from tests.updates.test_edits import NEWEST, delete_the_comparison
from tests.updates.versions import BROUGHT, LINE, append, commit, git, replace


def test_a_file_deleted_on_purpose_stays_deleted(make: Make) -> None:
    project = make()
    deleted = [project / "homepage/static/icon.svg", *(project / "tests").glob("test_*.py")]
    for path in deleted:
        path.unlink()
    commit(project, "delete")
    update(project, NEWEST, service_count=3)
    assert not [path for path in deleted if path.exists()]
    assert find_conflicts(project) == []


def test_the_comparison_stays_deleted_and_all_else_is_updated(make: Make) -> None:
    project = make()
    delete_the_comparison(project)
    commit(project, "we have chosen")
    update(project, NEWEST, service_count=3)
    assert not (project / "comparison").exists()
    assert find_conflicts(project) == []
    assert read_answers(project)["service_names"] == "promo, recco, reviews"
    assert '"reviews",' in (project / "config/generated.py").read_text("utf-8")
    for path, mark in BROUGHT[NEWEST].items():
        assert path.startswith("comparison") or mark in (project / path).read_text("utf-8"), path


def test_files_written_once_are_never_touched(make: Make) -> None:
    project = make()
    written_once = ["config/settings.py", "config/urls.py", "homepage/services.py"]
    assert get_files_written_once() == written_once
    before = read_project(project)
    update(project, NEWEST)
    after = read_project(project)
    assert all(after[path] == before[path] for path in written_once)


def test_only_files_written_once_come_back(make: Make) -> None:
    project = make()
    written_once = get_files_written_once()
    for path in written_once:
        (project / path).unlink()
    commit(project, "delete")
    update(project, NEWEST)
    assert all((project / path).exists() for path in written_once)


def test_both_sides_of_a_line_are_shown_and_the_checks_fail_until_one_is_chosen(
    make: Make, newest: Environment
) -> None:
    project = make()
    replace(project / "config/base.py", LINE, f"{LINE}MY_LINE = True\n")
    replace(project / ".gitignore", "/staticfiles/\n", "/staticfiles/\n/mine/\n")
    commit(project, "edit what the template will change too")
    update(project, "v0.2.0")
    assert {"config/base.py", ".gitignore"} == set(find_conflicts(project))
    for path, mine, theirs in (
        ("config/base.py", "MY_LINE", "USE_MINOR"),
        (".gitignore", "/mine/", "/minor/"),
    ):
        text = (project / path).read_text("utf-8")
        assert mine in text
        assert theirs in text
    with pytest.raises(AssertionError, match=r"SyntaxError"):
        newest.run(project, "python", "manage.py", "check")
    resolve(project / "config/base.py")
    with pytest.raises(AssertionError, match=r"fanout.E003\) .gitignore has changes"):
        newest.run(project, "python", "manage.py", "check")
    resolve(project / ".gitignore")
    with pytest.raises(AssertionError, match=r"fanout.E003\) .gitignore has changes"):
        newest.run(project, "python", "manage.py", "check")  # still unmerged for Git
    git(project, "add", "--all")
    newest.run(project, "python", "manage.py", "check")


def resolve(path: Path) -> None:
    """Keep both sides."""
    text = path.read_text("utf-8")
    path.write_text(re.sub(r"^(<{7} .*|={7}|>{7} .*)\n", "", text, flags=re.MULTILINE), "utf-8")


def test_the_class_of_a_service_that_is_gone_is_kept_and_warned_of(
    make: Make, newest: Environment
) -> None:
    project = make(count=5)
    append(project / "homepage/services.py", "\n\nclass Reviews(Service):\n    timeout = 0.5\n")
    append(project / "homepage/jinja2/sections/reviews.html", "My section\n")
    commit(project, "tune")
    update(project, "same", service_count=2)
    assert "class Reviews" in (project / "homepage/services.py").read_text("utf-8")
    assert (project / "homepage/jinja2/sections/reviews.html").exists()
    printed = newest.run(project, "python", "manage.py", "check")
    assert "(fanout.W001) homepage.services.Reviews is of the service 'reviews', which" in printed


def test_a_recco_that_an_update_brings_wants_a_class(make: Make, newest: Environment) -> None:
    project = make(count=1)
    before = (project / "homepage/services.py").read_bytes()
    update(project, "same", service_count=2)
    assert (project / "homepage/services.py").read_bytes() == before
    printed = newest.run(project, "python", "manage.py", "check")
    assert "class Recco(Service): personal = True" in printed


def test_names_given_earlier_survive_a_changed_count(make: Make) -> None:
    project = make()
    update(project, "same", service_names="tips, banners")
    commit(project, "rename")
    update(project, "same", service_count=4)
    assert read_answers(project)["service_names"] == "tips, banners, promo, recco"


def test_a_question_added_later_defaults_to_the_old_behaviour(make: Make) -> None:
    project = make()
    update(project, NEWEST)
    assert read_answers(project)["greeting"] == "Hello"


def test_edits_of_what_is_deployed_survive_an_update(make: Make) -> None:
    project = make(deploy="kubernetes")
    replace(project / "Dockerfile", "WORKDIR /app\n", "WORKDIR /app\nLABEL mine=yes\n")
    replace(project / "compose.yaml", "127.0.0.1:8000:8000", "127.0.0.1:9000:8000")
    overlay = project / "deploy/kubernetes/overlays/prod/kustomization.yaml"
    mine = "MY_HOST\n      - PROMO_URL=https://promo.example.com/\n"
    replace(overlay, "shop.example.com,localhost # the second for the probes\n", mine)
    append(project / "deploy/kubernetes/overlays/staging/kustomization.yaml", "# mine\n")
    commit(project, "edit")
    before = read_project(project)
    update(project, NEWEST, service_count=5, style="naive", project_name="Shop")
    assert find_conflicts(project) == []
    after = read_project(project)
    for path in ("compose.yaml", overlay.relative_to(project).as_posix()):
        assert after[path] == before[path]
    assert {b"LABEL mine=yes", b"LABEL version=minor"} <= {*after["Dockerfile"].splitlines()}
    assert b"BESTSELLERS_URL" in after["deploy/kubernetes/overlays/prod/services.env"]


def test_what_is_no_longer_deployed_can_be_brought_back_as_the_message_says(make: Make) -> None:
    project = make(deploy="kubernetes")
    append(project / "Dockerfile", "LABEL mine=yes\n")
    append(project / "deploy/mine.yaml", "# mine\n")
    commit(project, "edit")
    edited = read_project(project)
    update(project, "same", deploy="none")
    assert not (project / "Dockerfile").exists()
    assert [*(project / "deploy").rglob("*.*")] == [project / "deploy/mine.yaml"]
    [message] = re.findall(r"(git checkout HEAD -- FILE) brings", (ROOT / "copier.yml").read_text())
    git(project, *message.replace("FILE", "Dockerfile").split()[1:])
    assert read_project(project)["Dockerfile"] == edited["Dockerfile"]


def test_a_dockerfile_that_was_there_before_is_not_lost(make: Make) -> None:
    project = make()
    append(project / "Dockerfile", "FROM mine\n")
    commit(project, "a Dockerfile of our own")
    update(project, "same", deploy="container")
    assert "Dockerfile" in find_conflicts(project)
    assert "FROM mine" in (project / "Dockerfile").read_text("utf-8")


def test_edits_of_ci_survive_an_update_and_can_be_brought_back(make: Make) -> None:
    project = make()
    workflow = project / ".github/workflows/ci.yml"
    replace(workflow, 'UV_PYTHON: "3.13"\n', 'UV_PYTHON: "3.14"\n  MINE: "1"\n')
    append(workflow, "\n  mine:\n    runs-on: mine\n")
    commit(project, "edit")
    edited = read_project(project)
    update(project, NEWEST, deploy="container")
    assert find_conflicts(project) == []
    assert read_project(project)[".github/workflows/ci.yml"] == edited[".github/workflows/ci.yml"]
    commit(project, "updated")
    update(project, "same", ci="none")
    assert not (project / ".github").exists()
    git(project, "checkout", "HEAD", "--", ".github/workflows/ci.yml")
    assert read_project(project)[".github/workflows/ci.yml"] == edited[".github/workflows/ci.yml"]


def test_no_update_asks_for_trust_unless_the_changelog_says_so() -> None:
    questions = yaml.safe_load((ROOT / "copier.yml").read_text("utf-8"))
    assert "_tasks" not in questions
    assert "_jinja_extensions" not in questions
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    for migration in questions.get("_migrations", []):
        section = changelog.split(f"## {migration['version'].removeprefix('v')}")[1]
        assert "--trust" in section.split("\n## ")[0]


# Starting from anywhere, as people do it: on the command line.

FOREIGN = {  # Git takes all folders for somebody else's
    "GIT_TEST_ASSUME_DIFFERENT_OWNER": "1",
    "GIT_CONFIG_GLOBAL": os.devnull,
    "GIT_CONFIG_NOSYSTEM": "1",
}


def run_copier(folder: Path, *command: str, **variables: str) -> "subprocess.CompletedProcess[str]":
    """Run Copier in `folder`, with a Git that knows who somebody is."""
    identity = {
        f"GIT_{role}_{part}": value
        for role in ("AUTHOR", "COMMITTER")
        for part, value in (("NAME", "Somebody"), ("EMAIL", "somebody@example.test"))
    }
    return subprocess.run(
        [sys.executable, "-m", "copier", *command],
        cwd=folder,
        env={**clean_environment(), **identity, **variables},
        capture_output=True,
        encoding="utf-8",
        check=False,
    )


def copy_and_update(
    folder: Path, source: str, destination: str = "project", **variables: str
) -> Path:
    """Copy the first version and update to the newest; both have to end well."""
    options = ("--defaults", "--quiet", "--vcs-ref=v0.1.0")
    copied = run_copier(folder, "copy", *options, source, destination, **variables)
    assert copied.returncode == 0, copied.stderr
    commit(folder / destination, "copied")
    updated = run_copier(folder / destination, "update", "--defaults", "--quiet", **variables)
    assert updated.returncode == 0, updated.stderr
    assert (folder / destination / "fanout/major.py").exists()
    return folder / destination


@pytest.fixture
def place(repository: Path, scratch: Path) -> Path:
    """A folder with spaces and letters of other languages, and the template in it."""
    place = scratch / "a place, où"
    shutil.rmtree(place, ignore_errors=True)
    shutil.copytree(repository, place / "tem plate")
    return place


@pytest.mark.parametrize("source", ["tem plate", "./tem plate", "link", "~/tem plate"])
def test_the_source_may_be_written_in_any_way(place: Path, source: str) -> None:
    (place / "link").symlink_to("tem plate")
    copy_and_update(place, source, HOME=str(place))


def test_the_destination_may_be_behind_a_link(place: Path) -> None:
    (place / "real").mkdir()
    (place / "link").symlink_to("real")
    copy_and_update(place, "tem plate", "link/my shop")


def test_the_project_may_be_a_folder_of_a_larger_repository(place: Path) -> None:
    copy_version(place / "tem plate", place / "mono" / "shop", "v0.1.0")
    commit(place / "mono", "copied")
    updated = run_copier(place / "mono" / "shop", "update", "--defaults", "--quiet")
    assert updated.returncode == 0, updated.stderr
    assert (place / "mono/shop/fanout/major.py").exists()


@pytest.mark.parametrize("option", ["--depth=1", "--no-tags"])
def test_a_shallow_clone_and_one_without_tags_will_do(place: Path, option: str) -> None:
    git(place, "clone", "--quiet", option, (place / "tem plate").as_uri(), "clone")
    copied = run_copier(place, "copy", "--defaults", "--quiet", "clone", "project")
    assert copied.returncode == 0, copied.stderr
    commit(place / "project", "copied")
    updated = run_copier(place / "project", "update", "--defaults", "--quiet")
    assert updated.returncode == 0, updated.stderr


def test_what_cannot_be_updated_ends_in_a_sentence(place: Path) -> None:
    project = copy_version(place / "tem plate", place / "project", "v0.1.0")
    assert refuse(project) == "Updating is only supported in git-tracked subprojects."
    git(project, "init", "--quiet")
    dirty = "Destination repository is dirty; cannot continue."
    assert refuse(project).startswith(dirty)  # no commit yet
    commit(project, "copied")
    append(project / "config/settings.py", "MINE = True\n")
    assert refuse(project).startswith(dirty)
    commit(project, "edited")
    assert refuse(project, **FOREIGN) == "Updating is only supported in git-tracked subprojects."
    update(project, "v0.2.0")
    commit(project, "updated")
    downgrade = "Downgrades are not supported."
    assert refuse(project, "--vcs-ref=v0.1.0").endswith(downgrade)
    assert downgrade in (ROOT / "README.md").read_text("utf-8")


def test_an_unmerged_neighbour_stops_an_update_and_the_readme_knows_the_message(
    place: Path,
) -> None:
    project = copy_version(place / "tem plate", place / "mono/shop", "v0.1.0")
    commit(place / "mono", "copied")
    for branch in ("mine", "theirs"):
        git(place / "mono", "checkout", "--quiet", "-b", branch, "main")
        append(place / "mono/neighbour.txt", branch)
        commit(place / "mono", branch)
    with pytest.raises(subprocess.CalledProcessError):
        git(place / "mono", "merge", "mine")
    before = read_project(place / "mono")
    last_line = "git-write-tree: error building trees"
    assert last_line in refuse(project)
    assert read_project(place / "mono") == before
    assert last_line in (ROOT / "README.md").read_text("utf-8")


@pytest.mark.parametrize(
    ("option", "edit", "variables", "said"),
    [
        ("--tags", "", {}, ""),
        ("--tags", "mine", {}, "Updates will not work: clone has changes"),
        ("--no-tags", "", {}, "Updates bring the newest commit, and run no migrations"),
        ("--depth=1", "", {}, "Updates may miss versions and migrations"),
        ("--tags", "", FOREIGN, "safe.directory {clone} first"),
    ],
)
def test_what_updates_will_lack_is_said_before_a_copy(
    place: Path, option: str, edit: str, variables: dict[str, str], said: str
) -> None:
    git(place, "clone", "--quiet", option, (place / "tem plate").as_uri(), "clone")
    append(place / "clone/copier.yml", edit and f"# {edit}\n")
    command = ("copy", "--defaults", "--pretend", *(["--vcs-ref=HEAD"] if edit else []))
    copied = run_copier(place, *command, "clone", "project", **variables)
    assert copied.returncode == 0, copied.stderr
    before, _ = copied.stderr.split("Copying from template version")
    assert said.format(clone=place / "clone") in before
    assert bool(said) == ("Updates " in before)


def test_a_copy_of_a_folder_without_git_can_not_be_updated_and_says_so(
    template: Path, place: Path
) -> None:
    project = place / "project"
    copier.run_copy(str(template), project, defaults=True, quiet=True, settings=copier.Settings())
    commit(project, "copied")
    assert refuse(project).startswith("Cannot update because cannot obtain old template references")


@pytest.mark.parametrize(
    ("break_it", "last_line"),
    [
        (lambda text: None, "Template not found"),
        (lambda text: "", "object has no attribute 'items'"),
        (lambda text: f"{text}  : [", ".copier-answers.yml"),
        (lambda text: text.replace("_src_path", "src"), "Template not found"),
        (lambda text: text.replace("tem plate", "x"), "Local template must be a directory."),
        (lambda text: text.replace("v0.1.0", "v9"), "Unknown revision"),
        (lambda text: text.replace("count: 2", "count: 99"), "service_count"),
    ],
)
def test_a_broken_answers_file_changes_nothing_and_the_readme_knows_the_message(
    place: Path, break_it: Callable[[str], str | None], last_line: str
) -> None:
    project = copy_version(place / "tem plate", place / "project", "v0.1.0")
    answers_file = project / ".copier-answers.yml"
    broken = break_it(answers_file.read_text("utf-8"))
    answers_file.unlink() if broken is None else answers_file.write_text(broken, "utf-8")
    commit(project, "broken")
    before = read_project(project)
    assert last_line in refuse(project)
    assert read_project(project) == before
    assert last_line in (ROOT / "README.md").read_text("utf-8")


def refuse(project: Path, *options: str, **variables: str) -> str:
    """The last line of an update that has to fail."""
    updated = run_copier(project, "update", "--defaults", "--quiet", *options, **variables)
    assert updated.returncode != 0
    return updated.stderr.strip().splitlines()[-1]
