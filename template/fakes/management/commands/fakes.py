"""`manage.py fakes`: the fake services alone."""

from argparse import ArgumentParser
from contextlib import suppress
from typing import Any
from urllib.parse import urlsplit

import uvicorn
from django.conf import settings
from django.core.management.base import BaseCommand, CommandError

from fakes.app import create_app, get_latencies_ms
from fanout.calls.service import Service, services
from fanout.serving.serve import listen


class Command(BaseCommand):
    """Runs until Ctrl-C."""

    help = "Runs a fake service for every service."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Where to listen: at the port of FAKES_URL, unless another one is given."""
        parser.add_argument("--host", default="127.0.0.1", help="in a container 0.0.0.0")
        parser.add_argument("--port", type=int, default=urlsplit(settings.FAKES_URL).port or 8001)

    def handle(self, *, host: str, port: int, **options: Any) -> None:
        """Listen and serve."""
        classes = {service.name: type(service) for service in services(everywhere=True)}
        plain = (Service.request, Service.read)
        special = [name for name, cls in classes.items() if (cls.request, cls.read) != plain]
        try:
            latencies_ms = get_latencies_ms(classes, settings.FAKES_LATENCY_MS)
        except ValueError as error:
            raise CommandError(f"FAKES_LATENCY_MS: {error}") from None
        app = create_app(latencies_ms, settings.BASE_DIR / "homepage/fakes", special)
        with listen(host, port, "fakes --port") as sock, suppress(KeyboardInterrupt):
            self.stdout.write(f"Fake services at http://{host}:{port}/ until Ctrl-C.")
            self.stdout.flush()
            config = uvicorn.Config(
                app, log_level="warning", access_log=False, timeout_keep_alive=75
            )
            uvicorn.Server(config).run(sockets=[sock])
