"""`manage.py serve`: the site in production, from one process or several."""

import os
from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.utils.module_loading import import_string

from fanout.serving.checks import refuse_unready
from fanout.serving.serve import listen, serve


class Command(BaseCommand):
    """Runs until SIGTERM or Ctrl-C, which lets pages in flight finish."""

    help = "Serves the site in production."
    requires_system_checks = ()  # they come after those that refuse in one sentence

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--host", default="127.0.0.1", help="in a container 0.0.0.0 or ::")
        parser.add_argument("--port", type=int, default=8000)
        processes = os.environ.get("WEB_CONCURRENCY") or 1
        words = "at most one per core; the default is WEB_CONCURRENCY, or else 1"
        parser.add_argument("--processes", default=processes, help=words)

    def handle(self, *, host: str, port: int, processes: str | int, **options: Any) -> None:
        """Check once, for all processes, what would stop them; then listen and serve."""
        if not str(processes).isdecimal() or int(processes) < 1:
            wanted = "--processes, or WEB_CONCURRENCY, is a whole number above 0"
            raise CommandError(f"{wanted}, not {processes}.")
        try:
            refuse_unready()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        self.check()
        import_string(settings.ASGI_APPLICATION)
        with listen(host, port, "serve --port") as sock:
            site = f"http://{f'[{host}]' if ':' in host else host}:{port}/"
            mode = ", in development mode" if settings.DEBUG else ""
            self.stdout.write(f"Homepage at {site}, processes: {processes}{mode}, until Ctrl-C.")
            self.stdout.flush()
            serve(sock, int(processes))
