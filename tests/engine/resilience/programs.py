"""Programs beside the tests: the site, its fakes, a Redis."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import httpx

PROJECT = Path(__file__).parent.parent.parent

Process = subprocess.Popen[bytes]
Start = Callable[..., Process]


@contextmanager
def run_programs() -> Iterator[Start]:
    """Start programs in the project's folder, with variables; they are killed after the block."""
    with ExitStack() as stack:

        def start(program: str, *arguments: str, **variables: str) -> Process:
            path = sys.executable if program == "python" else str(shutil.which(program))
            process = stack.enter_context(
                subprocess.Popen(  # noqa: S603 - commands of the tests
                    [path, *arguments],
                    cwd=PROJECT,
                    env={
                        **os.environ,
                        "DJANGO_SETTINGS_MODULE": "config.settings",  # not those of the tests
                        "DJANGO_DEBUG": "true",
                        **variables,
                    },
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
            )
            stack.callback(process.kill)
            return process

        yield start


def wait_for(url: str) -> None:
    """Return once somebody answers there."""
    with httpx.Client(timeout=60) as client:  # one: to make it takes as long as the wait
        for _ in range(1200):
            try:
                client.get(url)
            except httpx.ConnectError:
                time.sleep(0.05)
            else:
                return
    raise AssertionError(f"Nobody answers at {url}.")
