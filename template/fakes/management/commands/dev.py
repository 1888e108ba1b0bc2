"""`manage.py dev`: everything that developing needs, in one terminal."""

import copy
import os
import socket
from argparse import ArgumentParser
from contextlib import ExitStack, suppress
from importlib import import_module
from pathlib import Path
from typing import Any

import uvicorn
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.hashers import make_password
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandError
from django.urls import NoReverseMatch, reverse
from uvicorn.config import LOGGING_CONFIG
from uvicorn.supervisors.watchfilesreload import WatchFilesReload as ChangeReload

from fakes.process import run_fakes
from fanout.calls.service import services
from fanout.serving.serve import get_entry, listen

DEMO = "demo"  # the name and the password of the user to try logging in with


class Command(BaseCommand):
    """Runs until Ctrl-C, which ends all of it."""

    help = "Migrates the database, then runs the site with reload and the fake services."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """The port of the site; the fakes take the one after it."""
        parser.add_argument("--port", type=int, default=8000)

    def handle(self, *, port: int, **options: Any) -> None:
        """Listen, migrate, serve."""
        if not settings.DEBUG:
            raise CommandError("dev is for development, and DJANGO_DEBUG is off.")
        faked = [service.name for service in services(everywhere=True) if service.faked]
        with suppress(KeyboardInterrupt), listen("127.0.0.1", port, "dev --port") as sock:
            if faked:
                _check_port_of_fakes(port)
            call_command("migrate", verbosity=0)
            _make_demo_user()
            os.environ["FAKES_URL"] = f"http://127.0.0.1:{port + 1}"
            with ExitStack() as fakes:
                if faked:
                    fakes.enter_context(run_fakes(port + 1))
                self.announce(port, faked)
                _serve_site(sock, fakes, port + 1 if faked else 0)
        self.stdout.write("Stopped.")

    def announce(self, port: int, faked: list[str]) -> None:
        """Print every address."""
        site = f"http://127.0.0.1:{port}"
        lines = [f"Homepage  {site}/  ({settings.FANOUT_STYLE})"]
        with suppress(NoReverseMatch):  # switched off, or deleted
            lines.append(f"Compare   {site}{reverse('compare')}")
        lines += [f"Log in    {site}{reverse('login')}  as {DEMO}, password {DEMO}"]
        if faked:
            lines.append(f"Fakes     http://127.0.0.1:{port + 1}/  where you can break them")
        self.stdout.write("\n  ".join(["", *lines, "", "Ctrl-C stops all of it.", ""]))
        self.stdout.flush()


def _check_port_of_fakes(port: int) -> None:
    """Raise CommandError unless the port after that of the site is free."""
    try:
        listen("127.0.0.1", port + 1, "dev --port").close()
    except CommandError as error:
        raise CommandError(f"The fakes take the port after {port}. {error}") from None


def _make_demo_user() -> None:
    """Make a user for trying to log in, unless there is one of that name."""
    model = get_user_model()
    name: dict[str, Any] = {model.USERNAME_FIELD: DEMO}
    model._default_manager.get_or_create(defaults={"password": make_password(DEMO)}, **name)


class _Reload(ChangeReload):
    """Starts the fakes anew too, if services change: they know names and classes."""

    def __init__(self, *args: Any, fakes: ExitStack, port: int, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fakes, self._port = fakes, port
        names = settings.BASE_DIR / "config/generated.py"
        self._files = {str(names), import_module(settings.FANOUT_CLASSES).__file__}

    def should_restart(self) -> list[Path] | None:
        changed = super().should_restart()
        if self._port and {str(path) for path in changed or ()} & self._files:
            self._fakes.close()
            with suppress(CommandError):  # the site says what is wrong with its code
                self._fakes.enter_context(run_fakes(self._port))
        return changed


def _serve_site(sock: socket.socket, fakes: ExitStack, port: int) -> None:
    """Serve the site from a process that starts anew when code changes; until Ctrl-C."""
    logging = copy.deepcopy(LOGGING_CONFIG)
    logging["loggers"]["uvicorn.error"]["level"] = "WARNING"  # requests and trouble, no chatter
    config = uvicorn.Config(
        get_entry(),
        log_config=logging,
        reload=True,
        reload_dirs=[str(settings.BASE_DIR)],
    )
    target = uvicorn.Server(config).run
    _Reload(config, target=target, sockets=[sock], fakes=fakes, port=port).run()
