"""Log-in, and what a personal service learns of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from django.contrib.auth import SESSION_KEY
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse

from fanout.serving import throttle
from tests.conftest import Call, Get, serve


async def tell(scope: Any, receive: Any, send: Any) -> None:
    """A service whose title is the id of the viewer."""
    user = Request(scope).query_params.get("user", "nobody")
    await JSONResponse({"title": user, "items": []})(scope, receive, send)


@pytest.fixture
def ask(call: Call, get: Get, settings: Settings) -> Iterator[Any]:
    """Get a page of personal services or of others: the ids of which they were told."""

    def ask(style: str, personal: bool) -> set[str]:
        call(personal=personal)
        settings.FANOUT_URLS = dict.fromkeys(settings.FANOUT_URLS, address)
        return {section.title for section in get(style).page.sections}

    with serve(tell) as address:
        yield ask


def test_only_a_personal_service_learns_who_the_viewer_is(
    ask: Any, style: str, viewer: Any
) -> None:
    assert ask(style, personal=True) == {str(viewer.pk)}
    assert ask(style, personal=False) == {"nobody"}


def test_without_a_session_there_is_nobody_to_learn_of(ask: Any, style: str) -> None:
    assert ask(style, personal=True) == {"nobody"}


@pytest.mark.usefixtures("call")
def test_the_right_password_logs_in(client: Client, viewer: Any) -> None:
    client.logout()
    wrong = {"username": "viewer", "password": "wrong"}
    assert client.post(reverse("login"), wrong).status_code == 200
    assert SESSION_KEY not in client.session
    right = {"username": "viewer", "password": "a long password"}
    assert client.post(reverse("login"), right).status_code == 302
    assert client.session[SESSION_KEY] == str(viewer.pk)


@pytest.mark.usefixtures("call", "db")
def test_too_many_wrong_ones_are_refused(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(throttle, "WINDOW", 10**10)  # seconds: it does not end meanwhile
    wrong = {"username": "somebody", "password": "wrong"}
    statuses = [
        client.post(reverse("login"), wrong, REMOTE_ADDR="192.0.2.1").status_code
        for _ in range(throttle.PER_ACCOUNT_AND_ADDRESS + 1)
    ]
    assert statuses[-2:] == [200, 429]
