"""A generated project in production mode, with its fake services beside it."""

import socket
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml
from playwright.sync_api import Page

from tests.environments import SCRIPTS, Environment, clean_environment

DEMO = "demo"  # the name of a user, and the password

_PREPARE = f"""
from django.contrib.auth.models import User
from django.core.management import call_command

call_command("migrate", verbosity=0)
call_command("collectstatic", interactive=False, verbosity=0)
User.objects.create_user("{DEMO}", password="{DEMO}")
"""
_PRODUCTION = {
    "DJANGO_DEBUG": "false",
    "DJANGO_SECRET_KEY": "only-for-these-tests-" * 3,
    "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
    "FANOUT_COMPARE": "true",
    "FANOUT_COMPARE_PAGES": "true",
}


@dataclass(frozen=True)
class Site:
    """A site that is running; its addresses end in a slash."""

    address: str
    fakes: str
    names: list[str]  # of the services, in the order of their sections

    def break_service(self, name: str, fault: str) -> None:
        """Give a fake service a fault, as people do on the front page of the fakes; "" mends it."""
        urlopen(self.fakes, urlencode({f"{name}.fault": fault}).encode()).close()  # noqa: S310


def prepare(project: Path, environment: Environment) -> Path:
    """Give a project a database with the user DEMO, and its static files."""
    shell = ("python", "manage.py", "shell", "--no-imports", "-c", _PREPARE)
    environment.run(project, *shell, **_PRODUCTION)
    return project


@contextmanager
def serve(
    project: Path,
    environment: Environment,
    urls: Mapping[str, str],
    quick: bool = True,
) -> Iterator[Site]:
    """Serve a prepared project; fakes stand in for the services that have none of the `urls`.

    Quick ones answer within milliseconds, the last one first.
    """
    answers = yaml.safe_load((project / ".copier-answers.yml").read_text(encoding="utf-8"))
    names = answers["service_names"].replace(" ", "").split(",")
    ports = _find_ports()
    site, fakes = (f"http://127.0.0.1:{port}/" for port in ports)
    latencies = ",".join(f"{name}:{2 * rank}" for rank, name in enumerate(reversed(names)))
    known = [*names, "book"]
    addresses = {f"{name.upper()}_URL": urls.get(name, f"{fakes}{name}/") for name in known}
    with (
        _manage(project, environment, "serve", ports[0], **_PRODUCTION, **addresses),
        _manage(
            project, environment, "fakes", ports[1], FAKES_LATENCY_MS=latencies if quick else ""
        ),
    ):
        yield Site(site, fakes, names)


def log_in(page: Page, site: Site) -> None:
    """Log in as DEMO, by way of the form."""
    page.goto(f"{site.address}accounts/login/")
    page.get_by_label("Username").fill(DEMO)
    page.get_by_label("Password").fill(DEMO)
    page.get_by_role("button", name="Log in").click()
    page.get_by_text(f"Hello, {DEMO}").wait_for()


@contextmanager
def _manage(
    project: Path, environment: Environment, command: str, port: int, **variables: str
) -> Iterator[None]:
    """Run a command of `manage.py` that listens on `port`; the block begins when it does."""
    process = subprocess.Popen(
        [environment.path / SCRIPTS / "python", "manage.py", command, "--port", str(port)],
        cwd=project,
        env={**clean_environment(), **variables},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout
    try:
        assert f":{port}/" in process.stdout.readline(), f"manage.py {command} did not start."
        yield
    finally:
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        process.stdout.close()


def _find_ports() -> tuple[int, int]:
    """Two ports that nobody uses."""
    with (
        socket.create_server(("127.0.0.1", 0)) as one,
        socket.create_server(("127.0.0.1", 0)) as two,
    ):
        return one.getsockname()[1], two.getsockname()[1]
