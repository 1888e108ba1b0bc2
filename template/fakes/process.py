"""Commands of manage.py that run beside a block of code, and end with it."""

import os
import signal
import socket
import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Thread

from django.conf import settings
from django.core.management.base import CommandError


@contextmanager
def run_fakes(port: int, host: str = "127.0.0.1") -> Iterator[None]:
    """Run `manage.py fakes`; the block begins when they listen. Raises CommandError."""
    # Without checks: ours have said it all.
    command = [*_make_command("fakes", port), "--host", host, "--skip-checks"]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:  # noqa: S603 - our own
        try:
            if not next(iter(process.stdout or ()), None):
                raise CommandError("The fake services did not start, see above.")
            yield
        finally:
            process.terminate()


@contextmanager
def run_server(**variables: str) -> Iterator[str]:
    """Run `manage.py serve` with more environment, its address being the value.

    Raises CommandError if it does not start, and in place of one from the block if it has died.
    """
    port = find_port()
    address = f"http://127.0.0.1:{port}/"
    with subprocess.Popen(  # noqa: S603 - our own
        _make_command("serve", port),
        env={**os.environ, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        encoding="utf-8",
        errors="replace",
        process_group=0 if hasattr(os, "killpg") else None,
    ) as process:
        lines = iter(process.stdout or ())
        printed: deque[str] = deque(maxlen=20)
        reader = Thread(target=printed.extend, args=[lines])  # a full pipe would stop the server
        try:
            for line in lines:
                printed.append(line)
                if address in line:
                    break
            else:
                raise CommandError(f"The server did not start: {''.join(printed).strip()}")
            reader.start()
            try:
                yield address
            except CommandError as error:
                if process.poll() is None:
                    raise
                reader.join(5)  # seconds, since a process that it has left may keep the pipe open
                last = printed[-1].strip()
                raise CommandError(f"{error} The server has ended. It said last: {last}") from None
        finally:
            _end(process)
            if reader.ident:
                reader.join()


def _end(process: subprocess.Popen[str]) -> None:
    """End a process, and what it leaves if somebody has killed it."""
    process.terminate()
    process.wait()
    if hasattr(os, "killpg"):
        with suppress(OSError):
            os.killpg(process.pid, signal.SIGKILL)


def find_port() -> int:
    """A port that nobody uses now."""
    with socket.create_server(("127.0.0.1", 0)) as sock:
        return int(sock.getsockname()[1])


def _make_command(name: str, port: int) -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), name, "--port", str(port)]
