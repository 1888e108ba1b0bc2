"""`manage.py dev`: everything that developing needs, in one terminal."""

import copy
import os
import socket
from argparse import ArgumentParser
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack, nullcontext, suppress
from functools import partial
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
from fanout.calls.service import Service, services
from fanout.serving.serve import get_entry, listen

DEMO = "demo"  # the name and the password of the user to try logging in with
PORT = 8000  # unless it is taken

Run = Callable[[], AbstractContextManager[None]]


class Command(BaseCommand):
    """Runs until Ctrl-C, which ends all of it."""

    help = "Migrates the database, then runs the site with reload and the fake services."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where the site listens; the fakes take the port after its own."""
        words = "in a container, or for other machines, 0.0.0.0 or ::"
        parser.add_argument("--host", default="127.0.0.1", help=words)
        parser.add_argument("--port", type=int, help=f"else {PORT}, or the next one that is free")

    def handle(self, *, host: str, port: int | None, **options: Any) -> None:
        """Listen, migrate, serve."""
        if not settings.DEBUG:
            raise CommandError("dev is for development, and DJANGO_DEBUG is off.")
        known = services(everywhere=True)
        faked = [service.name for service in known if service.faked or not service.address]
        real = [_show_address(service) for service in known if service.name not in faked]
        if port is None:
            port = _find_port(host)
            if port != PORT:
                self.stdout.write(f"Port {PORT} or {PORT + 1} is taken, so this takes {port}.")
        with suppress(KeyboardInterrupt), listen(host, port, "dev --port") as sock:
            if faked:
                _check_port_of_fakes(host, port)
            call_command("migrate", verbosity=0)
            _make_demo_user()
            names = _find_names(host)
            fakes_url = f"http://{names[0]}:{port + 1}" if faked else ""
            os.environ |= {"FAKES_URL": fakes_url, "FAKES_SITE_PORT": str(port)}
            run = partial(run_fakes, port + 1, host) if faked else nullcontext
            with ExitStack() as fakes:
                fakes.enter_context(run())
                self.announce(port, names, faked, real)
                _serve_site(sock, fakes, run)
        self.stdout.write("Stopped.")

    def announce(self, port: int, names: list[str], faked: list[str], real: list[str]) -> None:
        """Print every address."""
        site, *others = (f"http://{name}:{port}" for name in names)
        lines = [f"Homepage  {site}/  ({settings.FANOUT_STYLE})"]
        with suppress(NoReverseMatch):  # switched off, or deleted
            lines.append(f"Compare   {site}{reverse('compare')}")
        lines += [f"Log in    {site}{reverse('login')}  as {DEMO}, password {DEMO}"]
        if faked:
            them = ", ".join(faked) if real else "them"
            lines.append(f"Fakes     http://{names[0]}:{port + 1}/  where you can break {them}")
        if real:
            lines.append(f"Real      {', '.join(real)}")
        lines += [f"Others    {other}/  and names in DJANGO_ALLOWED_HOSTS" for other in others]
        self.stdout.write("\n  ".join(["", *lines, "", "Ctrl-C stops all of it.", ""]))
        self.stdout.flush()


def _show_address(service: Service) -> str:
    """A service, and where it is: without what may be secret."""
    url = service.url.copy_with(username="", password="", query=None)
    return f"{service.name} at {url}"


def _find_port(host: str) -> int:
    """PORT or the next one that is free, as is the one after it."""
    for port in range(PORT, PORT + 20, 2):
        with suppress(CommandError), listen(host, port, ""), listen(host, port + 1, ""):
            return port
    return PORT  # where `listen` says what is wrong


def _find_names(host: str) -> list[str]:
    """What this machine calls `host`, then what others do; allowed if nobody has said what is."""
    names = [f"[{host}]" if ":" in host else host]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - as somebody has chosen
        names = ["127.0.0.1"]
        with suppress(OSError), socket.socket(type=socket.SOCK_DGRAM) as way_out:
            way_out.connect(("192.0.2.1", 9))  # sends nothing
            names.append(way_out.getsockname()[0])
    if not settings.ALLOWED_HOSTS:
        allowed = [".localhost", "127.0.0.1", "[::1]", *names]
        os.environ["DJANGO_ALLOWED_HOSTS"] = ",".join(allowed)
    return names


def _check_port_of_fakes(host: str, port: int) -> None:
    """Raise CommandError unless the port after that of the site is free."""
    try:
        listen(host, port + 1, "dev --port").close()
    except CommandError as error:
        raise CommandError(f"The fakes take the port after {port}. {error}") from None


def _make_demo_user() -> None:
    """Make a user for trying to log in, unless there is one of that name."""
    model = get_user_model()
    name: dict[str, Any] = {model.USERNAME_FIELD: DEMO}
    model._default_manager.get_or_create(defaults={"password": make_password(DEMO)}, **name)


class _Reload(ChangeReload):
    """Starts the fakes anew too, if services change: they know names and classes."""

    def __init__(self, *args: Any, fakes: ExitStack, run: Run, **options: Any) -> None:
        super().__init__(*args, **options)
        self._fakes, self._run = fakes, run
        names = settings.BASE_DIR / "config/generated.py"
        self._files = {str(names), import_module(settings.FANOUT_CLASSES).__file__}

    def should_restart(self) -> list[Path] | None:
        changed = super().should_restart()
        if {str(path) for path in changed or ()} & self._files:
            self._fakes.close()
            with suppress(CommandError):  # the site says what is wrong with its code
                self._fakes.enter_context(self._run())
        return changed


def _serve_site(sock: socket.socket, fakes: ExitStack, run: Run) -> None:
    """Serve the site from a process that starts anew when code changes; until Ctrl-C."""
    logging = copy.deepcopy(LOGGING_CONFIG)
    logging["loggers"]["uvicorn.error"]["level"] = "WARNING"  # requests and trouble, no chatter
    config = uvicorn.Config(
        get_entry(),
        log_config=logging,
        reload=True,
        reload_dirs=[str(settings.BASE_DIR)],
        workers=1,  # else WEB_CONCURRENCY, which is for `serve`, has to be a number
    )
    target = uvicorn.Server(config).run
    _Reload(config, target=target, sockets=[sock], fakes=fakes, run=run).run()
