"""The homepage of this project: the styles differ in how they wait, and in nothing else."""

import runpy
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.db import connections
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings

from comparison import urls
from engine.conftest import Get
from homepage.views import VIEWS


def test_shows_a_section_of_every_service(get: Get, style: str, settings: Settings) -> None:
    response = get(style)
    assert response.status_code == 200
    assert response.page.style == style or (style == "stream" and not response.streaming)
    assert [section.name for section in response.page.sections] == list(settings.FANOUT_SERVICES)
    assert {section.state for section in response.page.sections} == {"ok"}


@pytest.mark.parametrize("style", ["sync", "naive", "gather"])
def test_headers_of_a_complete_page(get: Get, style: str, settings: Settings) -> None:
    headers = get(style).headers
    assert headers["X-Fanout-Complete"] == "true"
    assert headers["Cache-Control"] == "private"
    assert headers["Vary"] == "Accept, Cookie"
    timings = [entry.split(";dur=") for entry in headers["Server-Timing"].split(", ")]
    assert [name for name, _ in timings] == [*settings.FANOUT_SERVICES, "total"]
    assert all(float(duration) >= 0 for _, duration in timings)


@pytest.mark.usefixtures("two_services")
def test_no_page_is_in_a_transaction(get: Get, style: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(connections.settings["default"], "ATOMIC_REQUESTS", True)
    assert get(style).status_code == 200


def test_home_is_in_the_chosen_style(async_client: AsyncClient, settings: Settings) -> None:
    response: Any = async_to_sync(async_client.get)(reverse("home"))
    assert response.page.style == settings.FANOUT_STYLE


def test_only_get_and_head_are_answered(client: Client, style: str) -> None:
    assert client.head(reverse(f"compare-{style}")).status_code == 200
    assert client.post(reverse(f"compare-{style}")).status_code == 405


@pytest.mark.django_db
def test_the_admin_keeps_djangos_templates(client: Client) -> None:
    response = client.get(reverse("admin:login"))
    assert response.status_code == 200
    assert response.templates[0].name == "admin/login.html"


def test_the_comparison_can_be_switched_off(settings: Settings) -> None:
    settings.FANOUT_COMPARE = False
    assert runpy.run_path(urls.__file__)["urlpatterns"] == []


@pytest.mark.usefixtures("two_services")
def test_every_style_gives_the_same_sections(get: Get) -> None:
    contents = [
        [(section.name, section.title, section.state, section.data) for section in page.sections]
        for page in (get(style).page for style in VIEWS)
    ]
    assert len(contents[0]) == 2
    assert all(content == contents[0] for content in contents)


def test_gather_calls_all_services_at_once(get: Get, two_services: Callable[..., None]) -> None:
    two_services(alpha="barrier=2&wait=20", beta="barrier=2&wait=20")
    assert get("gather").page.complete


@pytest.mark.parametrize("style", ["sync", "naive"])
def test_the_others_call_one_after_another(
    get: Get, style: str, two_services: Callable[..., None]
) -> None:
    two_services(alpha="barrier=2&wait=0.1", beta="barrier=2&wait=0.1")
    page = get(style).page
    assert [section.error for section in page.sections] == ["answered with status 504"] * 2
