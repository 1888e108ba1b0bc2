"""What is not Python: the system's browser, and checkers of pages from npm."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from playwright.sync_api import Browser, sync_playwright

HERE = Path(__file__).parent
CHROMIUM = [
    *filter(None, [os.environ.get("CHROME_PATH")]),
    *("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"),
]
FLAGS = [
    "--no-sandbox",  # root has none
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-quic",
]


def find_program(*names: str) -> str:
    """The path of the first of these programs that is here. Raises LookupError."""
    for path in filter(None, map(shutil.which, names)):
        return path
    raise LookupError(f"{names[0]} is not installed.")


@contextmanager
def run_chromium() -> Iterator[Browser]:
    """The system's browser, without a window. Raises LookupError."""
    path = find_program(*CHROMIUM)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=FLAGS)
        yield browser
        browser.close()


def install_packages(cache: Path) -> Path:
    """The `node_modules` that package-lock.json asks for. Raises LookupError.

    They are installed once, and run no code for it.
    """
    lock = (HERE / "package-lock.json").read_bytes()
    folder = cache / f"npm-{sha256(lock).hexdigest()[:16]}"
    if not folder.exists():
        npm = find_program("npm")
        cache.mkdir(parents=True, exist_ok=True)
        with TemporaryDirectory(dir=cache) as temporary:
            new = Path(temporary) / "new"
            new.mkdir()
            for name in ("package.json", "package-lock.json"):
                shutil.copy(HERE / name, new)
            _run(npm, "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--prefix", str(new))
            try:
                new.rename(folder)
            except OSError:
                assert folder.exists()  # another worker was faster
    return folder / "node_modules"


def check_html(packages: Path, pages: list[Path]) -> list[str]:
    """What the Nu HTML checker has to say about these files; nothing is right. Raises LookupError."""
    jar = str(packages / "vnu-jar/build/dist/vnu.jar")
    options = ("--format", "json", "--stdout", "--exit-zero-always")
    said = _run(find_program("java"), "-jar", jar, *options, *map(str, pages))
    return [
        f"{message['url'].rpartition('/')[2]}:{message.get('lastLine')}: {message['message']}"
        for message in json.loads(said)["messages"]
    ]


def run_lighthouse(packages: Path, address: str) -> dict[str, Any]:
    """Lighthouse's report on a page, as on a mobile phone, its default. Raises LookupError."""
    os.environ["CHROME_PATH"] = find_program(*CHROMIUM)
    lighthouse = (find_program("node"), str(packages / "lighthouse/cli/index.js"))
    still = "--force-prefers-reduced-motion"  # else it may look while a banner fades
    flags = " ".join(["--headless=new", still, *FLAGS])
    with TemporaryDirectory() as temporary:
        path = Path(temporary) / "report.json"  # through a pipe it may come cut off
        options = ("--quiet", "--output=json", f"--output-path={path}", f"--chrome-flags={flags}")
        for _ in range(5):  # on a busy machine it may miss the beginning, and asks to be run again
            process = subprocess.run(
                [*lighthouse, address, *options], capture_output=True, encoding="utf-8", timeout=300
            )
            assert path.exists(), process.stderr
            report: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
            if "runtimeError" not in report:
                return report
    raise AssertionError(report["runtimeError"]["message"])


def _run(*command: str) -> str:
    """What a command prints; AssertionError with its errors if it fails."""
    process = subprocess.run(
        command, capture_output=True, text=True, encoding="utf-8", check=False, timeout=300
    )
    assert process.returncode == 0, f"{command}:\n{process.stdout}{process.stderr}"
    return process.stdout
