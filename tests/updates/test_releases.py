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


def test_every_release_has_a_bundle() -> None:
    bundles = {path.stem for path in (ROOT / "tests/releases").glob("*.bundle")}
    assert bundles == {f"v{version}" for version in list_releases()}


def test_every_release_reaches_the_working_tree(scratch: Path) -> None:
    for version in list_releases():
        assert_reaches_the_working_tree(scratch, version)


def assert_reaches_the_working_tree(scratch: Path, version: str) -> None:
    """A project of that release becomes what a fresh copy is now."""
    repository = scratch / f"release-{version}"
    bundle = ROOT / f"tests/releases/v{version}.bundle"
    git(ROOT, "clone", "--quiet", f"--branch=v{version}", str(bundle), str(repository))
    project = copy_version(repository, scratch / f"from-{version}", f"v{version}")
    commit(project, "released")
    for path in ("copier.yml", "hooks", "template"):
        target = repository / path
        shutil.rmtree(target) if target.is_dir() else target.unlink()
    copy_template(repository)
    commit(repository, "working tree")
    git(repository, "tag", "v99.0.0")
    update(project, "v99.0.0")
    fresh = copy_version(repository, scratch / f"to-{version}", "v99.0.0")
    assert find_conflicts(project) == []
    assert_equal(project, fresh)
