"""Running manage.py beside a test, as people run it."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from secrets import randbelow
from threading import Timer

import pytest

PROJECT = Path(__file__).parent.parent

Process = subprocess.Popen[str]
Manage = Callable[..., Process]


@contextmanager
def run_commands(folder: Path, settings: str, variables: Mapping[str, str]) -> Iterator[Manage]:
    """A function that starts `manage.py` with these settings; all of it is killed after the block."""
    if sys.platform == "win32":
        pytest.skip("A test cannot press Ctrl-C on Windows.")
    (folder / "own_settings.py").write_text(settings, encoding="utf-8")
    own = {"PYTHONPATH": str(folder), "DJANGO_SETTINGS_MODULE": "own_settings"}
    with ExitStack() as stack:

        def start(*command: str, **more: str) -> Process:
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - the project's own command
                    [sys.executable, "manage.py", *command],
                    cwd=PROJECT,
                    env={**os.environ, **own, **variables, **more},
                    start_new_session=True,
                    stdout=subprocess.PIPE,
                    stderr=subprocess.STDOUT,
                    text=True,
                )
            )
            stack.callback(kill, process)
            timer = Timer(60, kill, [process])  # else a command that prints nothing hangs the tests
            timer.start()
            stack.callback(timer.cancel)
            return process

        yield start


def kill(process: Process) -> None:
    """End a command and its children."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)


def find_free_ports() -> int:
    """The first of two neighbouring ports that nobody uses.

    Below those that systems give to whoever asks for any, so that no connection takes them meanwhile.
    """
    while True:
        port = 10_000 + randbelow(20_000)
        with suppress(OSError):
            for number in (port, port + 1):
                socket.create_server(("127.0.0.1", number)).close()
            return port


def read_until(process: Process, word: str) -> list[str]:
    """The lines that a process prints, up to one with `word` in it."""
    lines = []
    for line in process.stdout or ():
        lines.append(line)
        if word in line:
            return lines
    raise AssertionError(f"{word!r} was not printed in {lines}")
