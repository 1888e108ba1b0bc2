"""Steps of a versioned migration: they keep what people wrote when the template's layout changes.

Copier runs a step on updates across its version, and only those ask for --trust. In copier.yml:

    _migrations:
      - version: v0.3.0
        when: true
        command:
          - "{{ _copier_python }}"
          - "{{ _copier_conf.src_path }}/hooks/migrate.py"
          - "--stage={{ _stage }}"
          - "--from={{ _version_from }}"
          - "--answers={{ _copier_conf.answers_file }}"
          - move
          - fanout/old.py
          - fanout/new.py

`move OLD NEW` takes the edits of a file along: before the update it keeps the user's file and the
one it came from, after the update it merges both with the new one. `rename OLD NEW FILE ...`
replaces a whole word in the user's files, after the update: a setting, a key, a variable.
Every step may run twice. It says what it does; with --dry-run it does nothing else.
"""

import argparse
import os
import re
import shutil
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml


def main() -> None:
    """Run one step in the current folder, which is the project."""
    forget_repositories()
    parser = argparse.ArgumentParser(prog="migrate.py")
    parser.add_argument("--stage", choices=["before", "after"], required=True)
    parser.add_argument("--from", dest="version", required=True, help="the version before")
    parser.add_argument("--answers", type=Path, required=True, help="the file of Copier's answers")
    parser.add_argument("--dry-run", action="store_true")
    steps = parser.add_subparsers(dest="step", required=True)
    step = steps.add_parser("move")
    step.add_argument("old", type=Path)
    step.add_argument("new", type=Path)
    step = steps.add_parser("rename")
    step.add_argument("old")
    step.add_argument("new")
    step.add_argument("files", type=Path, nargs="+")
    options = parser.parse_args()
    if options.step == "rename":
        if options.stage == "after":
            rename(options.old, options.new, options.files, options.dry_run)
    elif options.stage == "before":
        keep(options.old, options.new, options.version, options.answers, options.dry_run)
    else:
        move(options.old, options.new, options.dry_run)


def forget_repositories() -> None:
    """Drop Git's variables: in a hook they name another repository or index than the project's."""
    for name in [name for name in os.environ if name.startswith("GIT_")]:
        del os.environ[name]


def keep(old: Path, new: Path, version: str, answers: Path, dry_run: bool) -> None:
    """Keep the user's `old`, and `old` as `version` of the template made it, for `move`.

    To Copier, `old` then is a file that was deleted on purpose. One that really was leaves only the
    template's.
    """
    mine, base = get_kept(new)
    if new.exists() or (base.exists() and not old.exists()):
        return
    pristine = render(old, version, answers)
    if pristine is None and not old.exists():
        return
    print(f"keep {old}, which becomes {new}" if old.exists() else f"keep {old} deleted, as {new}")
    if dry_run:
        return
    base.parent.mkdir(parents=True, exist_ok=True)
    base.write_bytes(pristine or b"")
    mine.unlink(missing_ok=True)
    if old.exists():
        shutil.copy(old, mine)
        subprocess.run(["git", "rm", "--quiet", "--force", old], check=True)


def move(old: Path, new: Path, dry_run: bool) -> None:
    """Merge what `keep` kept into `new`; where both sides changed a line, markers show both."""
    mine, base = get_kept(new)
    if not base.exists():
        return
    print(f"move {old} to {new}, {'with the edits in it' if mine.exists() else 'which is deleted'}")
    if dry_run:
        return
    if mine.exists() and new.exists():
        labels = ("-L", "before updating", "-L", "last update", "-L", "after updating")
        subprocess.run(["git", "merge-file", *labels, mine, base, new], check=False)
    new.parent.mkdir(parents=True, exist_ok=True)
    if mine.exists():
        shutil.move(mine, new)
    else:
        new.unlink(missing_ok=True)
    base.unlink()


def rename(old: str, new: str, files: list[Path], dry_run: bool) -> None:
    """Replace the word `old` by `new` in those of the `files` that are there."""
    for file in filter(Path.is_file, files):
        text = file.read_bytes().decode()  # with the line ends as they are
        text, count = re.subn(rf"(?<!\w){re.escape(old)}(?!\w)", new, text)
        if count:
            print(f"rename {old} to {new} in {file}, {count} time{'s' if count > 1 else ''}")
            if not dry_run:
                file.write_bytes(text.encode())


def get_kept(new: Path) -> tuple[Path, Path]:
    """Where the user's file and the one it came from wait, out of the way of the update."""
    git = ["git", "rev-parse", "--git-path", "copier"]
    folder = Path(subprocess.run(git, capture_output=True, check=True).stdout.decode().strip())
    kept = folder / new
    return kept.with_name(f"{kept.name}.mine"), kept.with_name(f"{kept.name}.base")


def render(path: Path, version: str, answers_file: Path) -> bytes | None:
    """The file at `path` as `version` of the template makes it from the project's answers, if so."""
    import copier  # not before: it keeps the environment that it finds

    answers = yaml.safe_load(answers_file.read_text("utf-8"))
    data = {name: answer for name, answer in answers.items() if not name.startswith("_")}
    with TemporaryDirectory() as folder:
        copier.run_copy(
            answers["_src_path"], folder, data, vcs_ref=version, defaults=True, quiet=True
        )
        rendered = Path(folder) / path
        return rendered.read_bytes() if rendered.is_file() else None


if __name__ == "__main__":
    main()
