"""What an orchestrator asks: alive, and ready."""

from collections.abc import Callable

import pytest
from django.db import OperationalError, connection, connections
from django.test import Client
from django.urls import reverse
from pytest_django import Settings


def test_alive_needs_nothing(client: Client) -> None:
    response = client.get(reverse("livez"))
    assert (response.status_code, response.content) == (200, b"alive\n")
    assert "no-store" in response.headers["Cache-Control"]


@pytest.mark.django_db
def test_ready_whatever_the_services_do(client: Client, two_services: Callable[..., None]) -> None:
    two_services(alpha="fault=status:503", beta="fault=status:503")
    assert client.get(reverse("home")).status_code == 503
    assert client.get(reverse("readyz")).status_code == 200


def test_not_ready_without_the_database(
    client: Client, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise OperationalError("connection refused")

    monkeypatch.setattr(connection, "cursor", fail)
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    assert client.get(reverse("readyz")).status_code == 503
    assert "The database cannot be reached" in caplog.messages
    assert client.get(reverse("livez")).status_code == 200


@pytest.mark.django_db
@pytest.mark.parametrize("name", ["livez", "readyz"])
def test_nobody_has_to_log_in_to_ask(client: Client, settings: Settings, name: str) -> None:
    own = "django.contrib.auth.middleware.LoginRequiredMiddleware"
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, own]
    assert client.get(reverse("home")).status_code == 302
    assert client.get(reverse(name)).status_code == 200
