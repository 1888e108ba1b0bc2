"""manage.py dev: which services are real, for whom it listens, and where if a port is taken."""

import os
import re
import socket
from collections.abc import Iterator
from contextlib import ExitStack, suppress
from pathlib import Path

import httpx
import pytest
from django.core.management import CommandError, call_command
from pytest_django import Settings

from config.generated import SERVICES
from engine.commands import Manage, find_free_ports, read_until, run_commands
from engine.conftest import serve
from engine.test_commands import SETTINGS
from fakes.app import create_app
from fakes.management.commands.dev import _find_names


@pytest.fixture
def manage(tmp_path: Path) -> Iterator[Manage]:
    """Start `manage.py` with a database of its own, all services faked, and the project's hosts."""
    text = SETTINGS.format(database=str(tmp_path / "db.sqlite3"))
    unset = ["DJANGO_ALLOWED_HOSTS", *(f"{name.upper()}_URL" for name in SERVICES)]
    text += "from config.base import ALLOWED_HOSTS\n"
    with run_commands(tmp_path, text, dict.fromkeys(unset, "")) as manage:
        yield manage


def test_dev_says_which_services_are_real(manage: Manage) -> None:
    name, port = SERVICES[0], find_free_ports()
    with serve(create_app({name: 0})) as real:
        secret = real.replace("//", "//me:secret@").replace("127.0.0.1", "localhost")
        variables = {f"{name.upper()}_URL": f"{secret}/{name}/?key=secret"}
        printed = "".join(read_until(manage("dev", "--port", str(port), **variables), "Ctrl-C"))
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).status_code == 200
        assert "1 call<" in httpx.get(real).text
    faked = ", ".join([*SERVICES[1:], "book"])
    assert f"Fakes     http://127.0.0.1:{port + 1}/  where you can break {faked}\n" in printed
    assert f"Real      {name} at {real.replace('127.0.0.1', 'localhost')}/{name}/\n" in printed
    assert "secret" not in printed
    page = httpx.get(f"http://127.0.0.1:{port + 1}/").text
    assert page.count("The site calls the real one") == 1
    assert f'<a href="http://127.0.0.1:{port}/compare/">' in page


def test_dev_can_be_reached_from_other_machines(manage: Manage) -> None:
    port = find_free_ports()
    process = manage("dev", "--port", str(port), "--host", "0.0.0.0")  # noqa: S104
    printed = "".join(read_until(process, "Ctrl-C"))
    assert f"Homepage  http://127.0.0.1:{port}/ " in printed
    others = re.findall(r"Others    http://(.*):", printed)  # none without a network
    for name in ("127.0.0.1", "localhost", *others):
        for path in (f"{port}/", f"{port + 1}/"):
            assert httpx.get(f"http://{name}:{path}", timeout=20).status_code == 200
    headers = {"Host": "elsewhere.test"}
    assert httpx.get(f"http://127.0.0.1:{port}/", headers=headers).status_code == 400


@pytest.mark.parametrize(
    ("host", "names"),
    [("127.0.0.1", ["127.0.0.1"]), ("box.test", ["box.test"]), ("::1", ["[::1]"])],
)
def test_a_host_that_is_listened_on_is_allowed(
    host: str, names: list[str], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("DJANGO_ALLOWED_HOSTS", "")
    assert _find_names(host) == names
    assert os.environ["DJANGO_ALLOWED_HOSTS"] == ""  # somebody has chosen: see engine.settings
    settings.ALLOWED_HOSTS = []
    assert _find_names(host) == names
    allowed = os.environ["DJANGO_ALLOWED_HOSTS"].split(",")
    assert {".localhost", "127.0.0.1", "[::1]", *names} == {*allowed}


def test_dev_takes_other_ports_if_those_of_its_own_are_taken(manage: Manage) -> None:
    with ExitStack() as stack:
        with suppress(OSError):  # by whoever else
            stack.enter_context(socket.create_server(("127.0.0.1", 8000)))
        process = manage("dev")
        printed = "".join(read_until(process, "Ctrl-C"))
        taken = re.search("Port 8000 or 8001 is taken, so this takes ([0-9]+).", printed)
        assert taken
        port = int(taken[1])
        assert f"Homepage  http://127.0.0.1:{port}/ " in printed
        assert f"Fakes     http://127.0.0.1:{port + 1}/ " in printed
        assert httpx.get(f"http://127.0.0.1:{port}/", timeout=20).status_code == 200


def test_a_host_that_is_none_is_one_clear_line(settings: Settings) -> None:
    settings.DEBUG = True
    with pytest.raises(
        CommandError, match=r"^Port 8000 of elsewhere\.invalid cannot be used: (?!Unk)"
    ):
        call_command("dev", host="elsewhere.invalid")
