"""Tags may not travel with a clone, so each release is kept as a bundle, too."""

import re
import shutil
from pathlib import Path

from tests.conftest import ROOT, copy_template
from tests.updates.conftest import assert_equal, copy_version, find_conflicts, update
from tests.updates.versions import commit, git


def list_releases() -> list[str]:
    """The versions in CHANGELOG.md."""
    changelog = (ROOT / "CHANGELOG.md").read_text("utf-8")
    return re.findall(r"^## (\d+\.\d+\.\d+)", changelog, re.MULTILINE)


def list_bundles() -> set[str]:
    """The tags that are kept."""
    return {path.stem for path in (ROOT / "tests/releases").glob("*.bundle")}


def test_every_release_has_a_bundle() -> None:
    """But the one that this commit is: its bundle is made of it, and stands in the next."""
    released = {f"v{version}" for version in list_releases()}
    if without := released ^ list_bundles():
        assert without == set(git(ROOT, "tag", "--points-at", "HEAD").split())


def test_every_release_reaches_the_working_tree(scratch: Path) -> None:
    for tag in list_bundles():
        assert_reaches_the_working_tree(scratch, tag)


def assert_reaches_the_working_tree(scratch: Path, tag: str) -> None:
    """A project of that release becomes what a fresh copy is now."""
    repository = scratch / f"release-{tag}"
    bundle = ROOT / f"tests/releases/{tag}.bundle"
    git(ROOT, "clone", "--quiet", f"--branch={tag}", str(bundle), str(repository))
    project = copy_version(repository, scratch / f"from-{tag}", tag)
    commit(project, "released")
    for path in ("copier.yml", "hooks", "template"):
        target = repository / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    copy_template(repository)
    commit(repository, "working tree")
    git(repository, "tag", "v99.0.0")
    update(project, "v99.0.0")
    fresh = copy_version(repository, scratch / f"to-{tag}", "v99.0.0")
    assert find_conflicts(project) == []
    assert_equal(project, fresh)
