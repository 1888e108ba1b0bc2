"""What a change costs: `uv run benchmarks/change.py [COMMIT]`, by default the commit before.

It prints the processor time of a page and of its parts, now and as of that commit, in turns: in one
process and with no load from outside, so it hardly depends on what else the machine does.
"""

import argparse
import json
import shutil
import subprocess
import sys
import tarfile
from collections import defaultdict
from collections.abc import Mapping
from io import BytesIO
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

from benchmarks.contestants import GATHER, GATHER_ALONE, PERSONAL, STARLETTE, Contestant
from benchmarks.install import (
    CACHE,
    HERE,
    get_program,
    install,
    make_environment,
    make_project,
    newest_python,
    run,
)
from benchmarks.machine import pin
from benchmarks.report import show_table
from benchmarks.server import run_fakes
from tests.conftest import ROOT

COUNT, PAGES = 8, 160
BEFORE = f"{COUNT}-before"
OURS = (GATHER, GATHER_ALONE, PERSONAL)
APPLICATIONS = {STARLETTE: "starlette_aiohttp:app"}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("commit", nargs="?", default="HEAD" if _is_changed() else "HEAD~1")
    parser.add_argument("--rounds", type=int, default=1, help="how often; default: once")
    options = parser.parse_args()
    install()
    print(show(measure(find(options.commit), options.rounds)))


def find(commit: str) -> dict[str, Path]:
    """The project of today, and as of a commit if that is here: a shallow clone has none before."""
    projects = {"now": make_project(COUNT)}
    template = CACHE / "before"
    shutil.rmtree(template, ignore_errors=True)
    template.mkdir()
    parts = ("template", "hooks", "copier.yml")
    packed = subprocess.run(["git", "archive", commit, *parts], cwd=ROOT, capture_output=True)
    if packed.returncode:
        print(f"There is no {commit} here to compare with.")
        return projects
    with tarfile.open(fileobj=BytesIO(packed.stdout)) as files:
        files.extractall(template, filter="data")
    project = projects[commit] = make_project(COUNT, template, BEFORE)
    make_environment(BEFORE, newest_python(), "--requirements", str(project / "pyproject.toml"))
    return projects


def measure(projects: Mapping[str, Path], rounds: int) -> dict[str, dict[str, int]]:
    """Microseconds of each contestant, by where it ran: the least of the rounds."""
    found: dict[str, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    pin(0, site=True)
    with run_fakes(COUNT) as fakes:
        for project in projects.values():
            _run(GATHER, project, fakes.ports, "manage.py", "collectstatic", "--noinput")
        for _ in range(rounds):
            for contestant in OURS:
                for name, project in projects.items():
                    found[contestant.name][name].append(_time(contestant, project, fakes.ports))
            for name, project in projects.items():
                try:
                    printed = _run(GATHER_ALONE, project, fakes.ports, "-m", "measured.parts")
                except SystemExit as error:  # the engine may have been called in another way then
                    if name == "now":
                        raise
                    print(f"The parts of {name} are not measured: {str(error).splitlines()[-1]}")
                    continue
                for part, time in json.loads(printed).items():
                    found[part][name].append(time)
            folder = STARLETTE.get_folder(COUNT)
            found[STARLETTE.name]["now"].append(_time(STARLETTE, folder, fakes.ports))
    return {
        name: {where: min(times) for where, times in places.items()}
        for name, places in found.items()
    }


def show(found: Mapping[str, Mapping[str, int]]) -> str:
    """A table of them."""
    before = [name for name in found[GATHER.name] if name != "now"]
    return show_table(
        ("CPU, us", "now", *before, *("change" for _ in before)),
        (
            (
                name,
                str(times["now"]),
                *(str(times.get(where, "")) for where in before),
                *(f"{times['now'] / times[w] - 1:+.0%}" if w in times else "" for w in before),
            )
            for name, times in found.items()
        ),
    )


def _time(contestant: Contestant, folder: Path, ports: list[int]) -> int:
    name = APPLICATIONS.get(contestant, contestant.command[-1])
    program = str(HERE / "measured/in_process.py")
    return int(_run(contestant, folder, ports, program, name, str(PAGES)))


def _run(contestant: Contestant, folder: Path, ports: list[int], *command: str) -> str:
    ours = BEFORE if folder.name == BEFORE else "site"  # each with what it needs
    python = get_program(ours if contestant.ours else "peers", "python")
    return run([python, *command], folder, **contestant.get_variables(ports, 0))


def _is_changed() -> bool:
    command = ["git", "status", "--porcelain", "template"]
    return bool(subprocess.run(command, cwd=ROOT, capture_output=True, check=False).stdout)


if __name__ == "__main__":
    main()
