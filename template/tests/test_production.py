"""What a server needs, and what orchestrators ask it."""

import runpy
from typing import Any

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse
from pytest_django import Settings

from config import base
from fanout.serving.checks import refuse_unready


@pytest.mark.usefixtures("call")
def test_a_server_names_all_that_is_missing_and_does_not_start(settings: Settings) -> None:
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = "", []
    settings.FANOUT_URLS = dict.fromkeys(settings.FANOUT_URLS, "")
    with pytest.raises(ImproperlyConfigured) as refusal:
        refuse_unready()
    for name in ("DJANGO_SECRET_KEY", "DJANGO_ALLOWED_HOSTS", "ALPHA_URL", "BETA_URL"):
        assert name in str(refusal.value)


def test_production_is_strict(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DJANGO_DEBUG", "false")
    monkeypatch.setenv("FORWARDED_ALLOW_IPS", "127.0.0.1")
    settings: dict[str, Any] = runpy.run_path(str(base.__file__))
    assert not settings["DEBUG"]
    assert settings["SECURE_SSL_REDIRECT"]
    assert settings["SECURE_HSTS_SECONDS"]
    assert settings["SESSION_COOKIE_SECURE"]
    assert settings["CSRF_COOKIE_SECURE"]
    assert settings["SECURE_CSP"]["default-src"] == ["'none'"]


@pytest.mark.usefixtures("call")
def test_a_process_is_alive_whatever_else_is_not(client: Client) -> None:
    assert client.get(reverse("livez")).content == b"alive\n"


@pytest.mark.django_db
@pytest.mark.usefixtures("call")
def test_a_process_is_ready_while_the_database_answers(
    client: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise OperationalError("connection refused")

    assert client.get(reverse("readyz")).status_code == 200
    monkeypatch.setattr(connection, "cursor", fail)
    assert client.get(reverse("readyz")).status_code == 503
