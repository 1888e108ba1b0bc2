"""Who is logged in decides what personal services are asked, and nothing else."""

from collections.abc import Callable, Iterator
from html import unescape
from typing import Any

import httpx
import pytest
from django.conf import settings as django_settings
from django.contrib.auth import SESSION_KEY
from django.db import OperationalError
from django.db.models import QuerySet
from django.test import AsyncClient, Client
from django.urls import ResolverMatch, reverse
from django.utils.translation import override
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.conftest import Get, serve
from engine.visitors import make_user, make_visit
from fanout.calls import visit
from fanout.policies.deadline import time_left
from fanout.serving.entries import get_asgi_application

BROKEN = Request({"type": "http"})  # among the calls: the services fail from here on
LogIn = Callable[[str], Any]


@pytest.fixture
def calls(settings: Settings) -> Iterator[list[Request]]:
    """What `alpha`, which is personal, and `beta`, which is not, are asked."""
    calls: list[Request] = []

    async def app(scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope)
        viewer = request.query_params.get("user", "nobody")
        response: Response = JSONResponse(
            {"title": viewer, "items": []}, 500 if BROKEN in calls else 200
        )
        calls.append(request)
        response.set_cookie("viewer", viewer)
        await response(scope, receive, send)

    with serve(app, lifespan="off") as address:
        settings.FANOUT_SERVICES = ["alpha", "beta"]
        settings.OPTIONS = {
            "alpha": {"timeout": 30.0, "personal": True},
            "beta": {"timeout": 30.0},
        }
        settings.FANOUT_URLS = {
            "alpha": f"{address}/alpha/?shelf=sea",
            "beta": f"{address}/beta/",
        }
        yield calls


@pytest.fixture
def log_in(client: Client, async_client: AsyncClient) -> LogIn:
    """Log a new user in, with either client."""

    def log_in(name: str) -> Any:
        user = make_user(name)
        client.force_login(user)
        async_client.force_login(user)
        return user

    return log_in


@pytest.mark.parametrize("gone", [False, True])
@pytest.mark.django_db
def test_no_page_keeps_a_connection_of_the_database_while_it_waits_for_services(
    get: Get,
    style: str,
    calls: list[Request],
    log_in: LogIn,
    monkeypatch: pytest.MonkeyPatch,
    gone: bool,
) -> None:
    viewer = log_in("viewer")
    if gone:  # the browser does not know
        viewer.delete()
    calls_before: list[int] = []
    monkeypatch.setattr(visit, "close_old_connections", lambda: calls_before.append(len(calls)))
    get(style)
    assert calls_before == [0]
    assert len(calls) == 2


@pytest.mark.usefixtures("calls")
@pytest.mark.django_db
def test_no_page_for_a_viewer_is_stored(get: Get, style: str, log_in: LogIn) -> None:
    log_in("viewer")
    response = get(style)
    assert response.page.complete
    assert response.headers["Cache-Control"] == "no-store, private"


def test_a_database_that_does_not_say_who_somebody_is_makes_a_page_for_nobody(
    get: Get,
    style: str,
    calls: list[Request],
    client: Client,
    async_client: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    left: list[float] = []

    def fail(*_: object, **__: object) -> None:
        left.append(time_left())
        raise OperationalError("took too long")

    monkeypatch.setattr(QuerySet, "get", fail)
    monkeypatch.setattr(visit, "close_old_connections", lambda: left.append(time_left()))
    for browser in (client, async_client):
        browser.cookies[django_settings.SESSION_COOKIE_NAME] = "x" * 32
    response = get(style)
    assert len(left) == 2  # the session was asked for, and the connection given back
    assert max(left) <= visit.VIEWER_SECONDS  # also in a thread
    assert response.status_code == 200
    assert "We could not check who you are" in b"".join(response).decode()
    assert [section.title for section in response.page.sections] == ["nobody", "nobody"]
    assert {call.url.query for call in calls} == {"shelf=sea", ""}
    assert not response.page.complete
    assert response.headers.get("X-Fanout-Complete", "false") == "false"  # streamed: not said
    assert response.headers["Cache-Control"] == "no-store, private"
    assert not response.cookies  # the browser is still logged in
    [record] = [record for record in caplog.records if record.name == "fanout"]
    assert record.getMessage() == "The database did not say who the viewer is: took too long"
    assert record.__dict__["request_id"] == response.headers["X-Request-ID"]
    assert not record.exc_info


@pytest.mark.django_db
def test_only_a_personal_service_learns_who_the_viewer_is(
    get: Get, style: str, calls: list[Request], log_in: LogIn
) -> None:
    viewer = log_in("viewer")
    alpha, beta = get(style).page.sections
    assert (alpha.title, beta.title) == (str(viewer.pk), "nobody")
    asked = {call.url.path: call for call in calls}
    assert dict(asked["/alpha/"].query_params) == {"shelf": "sea", "user": str(viewer.pk)}
    assert dict(asked["/beta/"].query_params) == {}
    assert not {"cookie", "authorization"} & set(asked["/alpha/"].headers)


def test_nobody_is_asked_for_without_the_database(
    get: Get, style: str, calls: list[Request]
) -> None:
    alpha, _ = get(style).page.sections
    assert alpha.title == "nobody"
    assert {call.url.query for call in calls} == {"shelf=sea", ""}


@pytest.mark.django_db
@pytest.mark.usefixtures("calls")
def test_each_viewer_gets_an_answer_of_their_own(get: Get, style: str, log_in: LogIn) -> None:
    first = log_in("first")
    assert get(style).page.sections[0].title == str(first.pk)
    second = log_in("second")
    assert get(style).page.sections[0].title == str(second.pk)


@pytest.mark.usefixtures("calls")
def test_no_cookie_of_a_service_is_kept_or_passed_on(style: str, calls: list[Request]) -> None:
    with serve(get_asgi_application()) as address:
        for _ in range(2):
            httpx.get(address + reverse(f"compare-{style}"), cookies={"mine": "1"})
    assert len(calls) == 4
    assert not any("cookie" in call.headers for call in calls)


@pytest.mark.django_db
@pytest.mark.usefixtures("two_services")
def test_log_in_and_out(client: Client, settings: Settings) -> None:
    make_user("viewer", "a long password")
    form = client.get(reverse("login"))
    assert settings.FANOUT_TITLE in unescape(form.content.decode())
    assert client.post(reverse("login"), {"username": "viewer"}).status_code == 200
    credentials = {"username": "viewer", "password": "a long password"}
    assert client.post(reverse("login"), credentials)["Location"] == reverse("home")
    assert SESSION_KEY in client.session
    assert client.post(reverse("logout"))["Location"] == reverse("home")
    assert SESSION_KEY not in client.session


@pytest.mark.django_db
def test_a_stale_answer_is_shown_to_nobody_else(
    get: Get, style: str, calls: list[Request], log_in: LogIn
) -> None:
    first = log_in("first")
    assert get(style).page.sections[0].title == str(first.pk)
    calls.append(BROKEN)
    assert [section.state for section in get(style).page.sections] == ["stale", "stale"]
    log_in("second")
    assert [section.state for section in get(style).page.sections] == ["failed", "stale"]


@pytest.mark.parametrize(
    "match",
    [
        None,
        ResolverMatch(
            print,
            (),
            {"isbn": "9", "kind": "new", "page": "the view's"},
            captured_kwargs={"isbn": "9", "page": "2"},
            extra_kwargs={"kind": "new", "page": "the view's"},
        ),
    ],
)
def test_a_visit_knows_the_arguments_in_the_path(match: ResolverMatch | None) -> None:
    made = make_visit()
    made.request.resolver_match = match
    assert made.kwargs == ({"isbn": "9", "kind": "new", "page": "2"} if match else {})


def test_a_visit_knows_the_language() -> None:
    with override("de"):
        assert make_visit().language == "de"
    assert make_visit().language == "en-us"
