"""manage.py dev and manage.py fakes, as people run them."""

import os
import signal
import socket
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from config.generated import SERVICES
from engine.commands import PROJECT, Manage, Process, find_free_ports, read_until, run_commands

SETTINGS = """
from engine.settings import *

DATABASES = {{"default": {{"ENGINE": "django.db.backends.sqlite3", "NAME": {database!r}}}}}
"""

PAUSE = """
import signal, sys

if {"check", "fakes"} & {*sys.argv}:
    print("starting", file=sys.stderr, flush=True)
    signal.pause()
"""


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[Manage]:
    """Start `manage.py` with a database of its own, all services faked, and no number of processes."""
    variables = {f"{name.upper()}_URL": "" for name in SERVICES}
    text = SETTINGS.format(database=str(tmp_path / "db.sqlite3"))
    text += 'import os\n\nos.environ["WEB_CONCURRENCY"] = "auto"\n'
    with run_commands(tmp_path, text, variables) as manage:
        yield manage


def press_ctrl_c(process: Process, returncode: int = 0) -> str:
    """Interrupt a command and its children, as a terminal does. What they still print is the result."""
    os.killpg(process.pid, signal.SIGINT)
    assert process.stdout
    printed = process.stdout.read()  # until nobody holds the pipe any more
    assert process.wait() == returncode
    return printed


def test_dev_runs_the_site_and_the_fakes_until_ctrl_c(manage: Manage) -> None:
    port = find_free_ports()
    site, fakes = f"http://127.0.0.1:{port}/", f"http://127.0.0.1:{port + 1}/"
    process = manage("dev", "--port", str(port))
    printed = "".join(read_until(process, "Ctrl-C"))
    assert f"Homepage  {site} " in printed
    assert f"Compare   {site}compare/\n" in printed
    assert f"Fakes     {fakes} " in printed
    response = httpx.get(site, timeout=20)
    assert response.status_code == 200
    assert response.headers.get("X-Fanout-Complete", "true") == "true"  # streamed: not said
    with httpx.Client(base_url=site, timeout=20, follow_redirects=True) as visitor:
        [token] = visitor.get("accounts/login/").cookies.values()
        form = {"username": "demo", "password": "demo", "csrfmiddlewaretoken": token}
        page = visitor.post("accounts/login/", data=form)
        assert [response.status_code for response in (*page.history, page)] == [302, 200]
    press_ctrl_c(process)
    for address in (site, fakes):
        with pytest.raises(httpx.ConnectError):
            httpx.get(address)


CLASSES = "from fanout import Service\nclass Book(Service): pass\n"  # a page lists that one


def test_dev_starts_the_fakes_anew_when_classes_change(tmp_path: Path) -> None:
    classes = PROJECT / "classes_of_a_test.py"  # in the folder that is watched
    text = "from engine.settings import *\n\nFANOUT_CLASSES = 'classes_of_a_test'\n"
    port = find_free_ports()
    address = f"http://127.0.0.1:{port + 1}/shelf/"
    try:
        classes.write_text(CLASSES, encoding="utf-8")
        with run_commands(tmp_path, text, {}) as manage:
            process = manage("dev", "--port", str(port))
            read_until(process, "Ctrl-C")
            assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).is_success  # it is watching
            assert httpx.get(address, timeout=20).status_code == 404
            with classes.open("a", encoding="utf-8") as file:
                file.write("class Shelf(Service): pass\n")
            read_until(process, "Reloading")
            assert httpx.get(address, timeout=20).json()["items"]
            press_ctrl_c(process)
    finally:
        classes.unlink()


@pytest.mark.parametrize(
    ("command", "returncode", "said"),
    [
        ("check", 130, ""),
        ("dev", 0, "Stopped.\n"),
        ("compare", 130, "CommandError: Stopped, with all that was started.\n"),
    ],
)
def test_ctrl_c_ends_what_has_not_started_yet(
    manage: Manage, tmp_path: Path, command: str, returncode: int, said: str
) -> None:
    with (tmp_path / "own_settings.py").open("a", encoding="utf-8") as settings:
        settings.write(PAUSE)
    port = ["--port", str(find_free_ports())] if command == "dev" else []
    process = manage(command, *port)
    read_until(process, "starting")
    assert press_ctrl_c(process, returncode) == said


def test_fakes_runs_the_fakes_until_ctrl_c(manage: Manage) -> None:
    port = find_free_ports()
    process = manage("fakes", "--port", str(port))
    read_until(process, "Ctrl-C")
    page = httpx.get(f"http://127.0.0.1:{port}/", timeout=20).text
    for name in SERVICES:
        assert f'href="/{name}/"' in page
        assert httpx.get(f"http://127.0.0.1:{port}/{name}/").json()["items"]
    press_ctrl_c(process)


def test_a_service_that_no_page_lists_has_a_fake(tmp_path: Path) -> None:
    text = """
from engine.settings import *
from fanout import Service

FANOUT_CLASSES = __name__


class Shelf(Service):
    pass


class Book(Service):
    pass
"""
    port = find_free_ports()
    with run_commands(tmp_path, text, {}) as manage:
        process = manage("fakes", "--port", str(port))
        read_until(process, "Ctrl-C")
        assert httpx.get(f"http://127.0.0.1:{port}/shelf/", timeout=20).json()["items"]
        press_ctrl_c(process)


@pytest.mark.parametrize("command", ["dev", "fakes", "serve"])
@pytest.mark.parametrize("port", [None, 70000])
def test_a_port_that_cannot_be_used_is_one_clear_line(
    command: str, port: int | None, settings: Settings
) -> None:
    settings.DEBUG = True
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = port or taken.getsockname()[1]
        with pytest.raises(
            CommandError, match=rf"^Port {port} .* manage.py {command} --port PORT$"
        ):
            call_command(command, port=port)


def test_a_port_that_the_fakes_cannot_use_is_said_to_be_theirs(settings: Settings) -> None:
    settings.DEBUG = True
    settings.FAKES_URL = "http://fakes.test"
    settings.FANOUT_SERVICES = ["alpha"]
    settings.FANOUT_URLS = {"alpha": "http://fakes.test/alpha/"}
    with socket.create_server(("127.0.0.1", find_free_ports() + 1)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(
            CommandError, match=rf"^The fakes take the port after {port - 1}. Port {port} of"
        ):
            call_command("dev", port=port - 1)


def test_dev_is_refused_in_production(settings: Settings) -> None:
    settings.DEBUG = False
    with pytest.raises(CommandError, match="DJANGO_DEBUG is off"):
        call_command("dev")


@pytest.mark.parametrize("text", ["nobody:80", "NAME", "NAME:", "NAME:-1", "NAME:fast"])
def test_a_wrong_latency_is_one_clear_line(text: str, settings: Settings) -> None:
    settings.FAKES_LATENCY_MS = text.replace("NAME", next(iter(SERVICES)))
    with pytest.raises(CommandError, match=r"^FAKES_LATENCY_MS: '.*' is not a service"):
        call_command("fakes")


def test_dev_says_that_the_fakes_did_not_start(manage: Manage) -> None:
    process = manage("dev", "--port", str(find_free_ports()), FAKES_LATENCY_MS="nobody:5")
    printed, _ = process.communicate(timeout=50)
    assert process.returncode == 1
    assert "FAKES_LATENCY_MS: 'nobody' is not a service" in printed
    assert "The fake services did not start" in printed
    assert "Traceback" not in printed
