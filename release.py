"""Release a version: `uv run release.py 1.2.0`; with --dry-run it says what it would do.

Nothing happens unless the working tree is clean, on main, and passes `.ci/run`. Then two commits
follow: the version, with an annotated tag, and the tag as a bundle, since tags may not travel with
a clone. Pushing is left to people.
"""

import argparse
import os
import re
import subprocess
import sys
from datetime import date
from pathlib import Path

UNRELEASED = "## Unreleased\n"


class NotReleasable(Exception):
    """What has to be done before there can be a release."""


def main() -> None:
    """Release the template; what is in the way ends in one sentence."""
    parser = argparse.ArgumentParser(prog="release.py")
    parser.add_argument("version", help="such as 1.2.0")
    parser.add_argument("--dry-run", action="store_true")
    options = parser.parse_args()
    os.chdir(Path(__file__).parent)
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]  # in a hook they name another repository or index than this one
    try:
        check(options.version)
        tested = git("rev-parse", "HEAD")
        changes = prepare(options.version, f"{date.today():%Y-%m-%d}")
        print(f"run .ci/run, write {', '.join(changes)}, commit, tag v{options.version}, bundle")
        if options.dry_run:
            return
        if subprocess.run(["bash", ".ci/run"], check=False).returncode:
            raise NotReleasable(".ci/run has failed, see above.")
        check(options.version)  # once more: the tests take a while
        if git("rev-parse", "HEAD") != tested:
            raise NotReleasable("there is a commit that was not tested; run it again.")
        release(options.version, changes)
    except NotReleasable as problem:
        sys.exit(f"Not released: {problem}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"Not released: {' '.join(error.cmd)} failed, see above.")
    print(f"Done. Look at it, then: git push origin main v{options.version}")


def check(version: str) -> None:
    """Raise NotReleasable unless this tree can become that version."""
    if not re.fullmatch(r"\d+\.\d+\.\d+", version):
        raise NotReleasable(f"{version} is not a version; give three numbers, such as 1.2.0.")
    if git("branch", "--show-current") != "main":
        raise NotReleasable("this is not the branch main; git switch main.")
    if git("status", "--porcelain"):
        raise NotReleasable("there is something that is not committed; see git status.")
    newest = max(map(parse, git("tag", "--list", "v*.*.*").split()), default=(0, 0, 0))
    if parse(version) <= newest:
        raise NotReleasable(f"v{'.'.join(map(str, newest))} is there already; give a newer one.")


def prepare(version: str, day: str) -> dict[str, str]:
    """The texts of the files that say the version, by their paths."""
    changelog = read("CHANGELOG.md")
    _, found, notes = changelog.partition(UNRELEASED)
    if not found or not notes.split("\n## ")[0].strip():
        raise NotReleasable(
            'CHANGELOG.md has nothing under "## Unreleased"; write what has changed.'
        )
    own = r'(name = "copier-django-fanout"\nversion = ")[\d.]+'
    return {
        "CHANGELOG.md": changelog.replace(UNRELEASED, f"{UNRELEASED}\n## {version} - {day}\n", 1),
        **{
            path: re.sub(own, rf"\g<1>{version}", read(path), count=1)
            for path in ("pyproject.toml", "uv.lock")
        },
    }


def release(version: str, changes: dict[str, str]) -> None:
    """Commit the version, tag it, and keep the tag as a bundle."""
    for path, text in changes.items():
        Path(path).write_text(text, encoding="utf-8", newline="\n")
    git("commit", "--quiet", "--allow-empty", "--all", f"--message=Release {version}")
    git("tag", "--annotate", f"v{version}", f"--message=Version {version}")
    bundle = Path(f"tests/releases/v{version}.bundle")
    bundle.parent.mkdir(parents=True, exist_ok=True)
    git("bundle", "create", "--quiet", str(bundle), f"v{version}")
    git("add", str(bundle))
    git("commit", "--quiet", f"--message=Keep version {version} as a bundle")


def parse(version: str) -> tuple[int, ...]:
    """`v1.2.0` or `1.2.0` as numbers."""
    return tuple(map(int, version.removeprefix("v").split(".")))


def read(path: str) -> str:
    """A file of the template."""
    return Path(path).read_text(encoding="utf-8")


def git(*command: str) -> str:
    """What Git prints."""
    return subprocess.run(
        ["git", *command], check=True, stdout=subprocess.PIPE, encoding="utf-8"
    ).stdout.strip()


if __name__ == "__main__":
    main()
