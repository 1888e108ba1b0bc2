"""What an orchestrator asks: alive, and ready."""

from collections.abc import Callable

import pytest
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse


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
    assert client.get(reverse("readyz")).status_code == 503
    assert "The database cannot be reached" in caplog.messages
    assert client.get(reverse("livez")).status_code == 200
