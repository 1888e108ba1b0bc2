"""The comparison runs every style in turn, keeps what that took, and draws it."""

import json
import re
from collections.abc import Callable
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.conf import settings
from django.core.cache import caches
from django.test import AsyncClient, Client
from django.urls import reverse
from pytest_django import Settings

from comparison.runs import (
    KEPT,
    Bar,
    Run,
    Waterfall,
    _get_key,
    format_ms,
    get_p95,
    read_runs,
    recall_runs,
    round_up,
)
from engine.conftest import Script
from engine.visitors import make_user
from homepage.views import VIEWS

PATH = reverse("compare")
BETA = Bar("beta", "ok", 0.1, 0.1, kept=True)
PAGE = Waterfall("", "", 0.1, 0.2, [Bar("alpha", "ok", 0.0, 0.1), BETA])
RUN: Run = [PAGE._replace(style=style, answered=style) for style in VIEWS]

Visit = Callable[..., Any]


@pytest.fixture
def visit(interface: str, client: Client, async_client: AsyncClient) -> Visit:
    """Ask for the comparison, by GET or by another method."""

    def visit(method: str = "get") -> Any:
        if interface == "wsgi":
            return getattr(client, method)(PATH)
        return async_to_sync(getattr(async_client, method))(PATH)

    return visit


def recall() -> list[dict[str, Waterfall]]:
    """The kept runs, by style."""
    return [{page.style: page for page in run} for run in async_to_sync(recall_runs)()]


def keep(*runs: Run) -> None:
    """Put runs into the cache, as if they had been made."""
    caches["fanout"].set(_get_key(), json.dumps(runs))


def test_every_style_is_there_with_a_bar_for_every_service(
    visit: Visit, interface: str, settings: Settings
) -> None:
    response = visit()
    assert response.status_code == 200
    assert response.headers["Cache-Control"] == "no-store, private"
    [run] = recall()
    assert list(run) == list(VIEWS)
    for style, page in run.items():
        assert [bar.name for bar in page.bars] == list(settings.FANOUT_SERVICES)
        assert {bar.state for bar in page.bars} == {"ok"}
        assert f'href="{reverse(f"compare-{style}")}"' in response.content.decode()
    streams = [style for style, page in run.items() if page.first_byte < page.total]
    assert streams == (["stream"] if interface == "asgi" else [])
    assert run["stream"].answered == ("stream" if interface == "asgi" else "sync")
    assert ("needs an ASGI server" in response.content.decode()) == (interface == "wsgi")


def test_bars_overlap_in_gather_and_stream_and_are_a_staircase_in_the_others(
    visit: Visit, interface: str, two_services: Callable[..., None]
) -> None:
    two_services(alpha="barrier=2&wait=0.1", beta="barrier=2&wait=0.1")
    visit()
    [run] = recall()
    for style, page in run.items():
        alpha, beta = page.bars
        if style == "gather" or page.answered == "stream":
            assert (alpha.state, beta.state) == ("ok", "ok")  # so they have met
            assert beta.start <= alpha.start + alpha.duration
        else:
            assert (alpha.state, beta.state) == ("stale", "stale")
            assert beta.start >= alpha.start + alpha.duration


def test_get_shows_the_last_run_and_post_makes_another(visit: Visit, script: Script) -> None:
    first = visit()
    calls = len(script.calls)
    assert visit().content.count(b"<rect") == first.content.count(b"<rect")
    assert visit("head").status_code == 200
    assert len(script.calls) == calls
    response = visit("post")
    assert (response.status_code, response.headers["Location"]) == (302, PATH)
    assert response.headers["Cache-Control"] == "no-store, private"
    assert len(script.calls) == 2 * calls
    assert len(recall()) == 2
    assert visit("put").status_code == 405


@pytest.mark.usefixtures("two_services")
def test_the_oldest_run_makes_room_for_a_new_one(visit: Visit) -> None:
    old = [page._replace(total=9.0) for page in RUN]
    keep(old, *[RUN] * (KEPT - 1))
    visit("post")
    runs = recall()
    assert len(runs) == KEPT
    assert runs[0]["sync"] == PAGE._replace(style="sync", answered="sync")
    assert runs[-1]["sync"] not in (runs[0]["sync"], old[0])


@pytest.mark.usefixtures("two_services")
def test_other_services_begin_anew(visit: Visit, settings: Settings) -> None:
    visit()
    settings.FANOUT_SERVICES.remove("beta")
    assert recall() == []


@pytest.mark.usefixtures("two_services")
def test_it_is_drawn_who_waits_for_whom(visit: Visit, settings: Settings) -> None:
    html = visit().content.decode()
    assert 'class="after"' not in html
    settings.OPTIONS["beta"]["after"] = ("alpha",)
    assert recall() == []  # such pages take another time
    html = visit().content.decode()
    [run] = recall()
    for page in run.values():
        alpha, beta = page.bars
        assert beta.start >= alpha.start + alpha.duration
    assert html.count("beta <span>after alpha</span></th>") == len(VIEWS)
    names = re.findall(r'aria-label="(.*?)starts after', html)
    assert names == ["", "comes after alpha, "] * len(VIEWS)
    assert len(re.findall(r'<line class="after" x2="[0-9.]+%".*/><rect', html)) == len(VIEWS)


@pytest.mark.usefixtures("two_services")
def test_the_legend_has_whatever_is_drawn(client: Client, settings: Settings) -> None:
    settings.OPTIONS["beta"]["after"] = ("alpha",)
    bars = [Bar("alpha", "failed", 0.0, 0.1), BETA, Bar("gamma", "stale", 0.0, 0.1)]
    keep([PAGE._replace(style=style, bars=bars) for style in VIEWS])
    legend, waterfalls = client.get(PATH).content.decode().split("</ul>", 1)
    for kind in ("ok", "stale", "failed", "wait", "receive", "after"):
        assert f'class="{kind}"' in legend
        assert f'class="{kind}"' in waterfalls


@pytest.mark.django_db
def test_services_are_called_for_the_viewer_and_what_they_say_is_not_kept(
    visit: Visit, script: Script, settings: Settings, client: Client, async_client: AsyncClient
) -> None:
    settings.OPTIONS["beta"]["personal"] = True
    user = make_user("viewer")
    client.force_login(user)
    async_client.force_login(user)
    html = visit().content.decode()
    assert {call.query_params["user"] for call in script.calls} == {str(user.pk)}
    assert "Hello, viewer" in html
    assert not re.search(r"Answer \d", html + caches["fanout"].get(_get_key()))


def test_another_site_cannot_make_a_run() -> None:
    client = Client(enforce_csrf_checks=True)
    assert client.post(PATH).status_code == 403
    assert recall() == []
    client.get(PATH)
    token = client.cookies[settings.CSRF_COOKIE_NAME].value
    assert client.post(PATH, {"csrfmiddlewaretoken": token}).status_code == 302
    assert len(recall()) == 2


@pytest.mark.usefixtures("two_services")
def test_a_run_is_shown_when_the_cache_is_down(
    visit: Visit, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    assert visit().content.count(b"<table") == len(VIEWS)
    assert visit("post").status_code == 302
    assert any("The runs of the comparison are not kept" in line for line in caplog.messages)


@pytest.mark.parametrize("control", ["max-age=60", "no-cache"])
def test_an_answer_that_saved_a_call_is_one_that_was_kept(
    visit: Visit, script: Script, control: str
) -> None:
    script.headers = {"Cache-Control": control}
    html = visit("post") and visit().content.decode()
    assert (": beta.</p>" in html) == (control == "max-age=60")


TEXT = json.dumps([RUN])


@pytest.mark.parametrize(
    "text",
    [
        None,
        7,
        b"\x80",
        "",
        "7",
        "{}",
        "[[]]",
        '["text"]',
        "[" * 100_000,
        json.dumps([RUN[1:]]),
        json.dumps([[page._replace(bars=[]) for page in RUN]]),
        TEXT.replace("0.2", "NaN"),
        TEXT.replace("0.2", "-0.2"),
        TEXT.replace("0.2", "1e999"),
        TEXT.replace("0.1, 0.2", "1e999, 0.2"),
        TEXT.replace("0.2", '"0.2"'),
        TEXT.replace("0.0, 0.1", "0.0"),
        TEXT.replace(', "", false]', "]"),
    ],
)
def test_what_is_no_run_is_passed_over(text: Any) -> None:
    assert read_runs(text) == []
    assert read_runs(TEXT) == [RUN]


@pytest.mark.usefixtures("two_services")
def test_a_cache_of_something_else_does_no_harm(visit: Visit) -> None:
    caches["fanout"].set(_get_key(), {"other": "program"})
    assert visit().status_code == 200
    assert len(recall()) == 1


@pytest.mark.usefixtures("two_services")
def test_a_picture_says_what_it_shows(client: Client) -> None:
    failed = PAGE._replace(bars=[*PAGE.bars, Bar("gone", "failed", 0.15, 0.05, "is gone")])
    keep(
        [page._replace(total=40.0) for page in RUN],
        RUN,
        [failed._replace(style=style, answered=style) for style in VIEWS],
    )
    html = client.get(PATH).content.decode()
    assert html.count("gone is gone.") == len(VIEWS)
    names = re.findall(r'role="img" aria-label="([^"]*)"', html)
    assert names[:5] == [
        "starts after 0 ms, takes 100 ms, ok",
        "starts after 100 ms, takes 100 ms, ok",
        "starts after 150 ms, takes 50 ms, failed",
        "first byte after 100 ms, complete after 200 ms",
        "complete after 200 to 40,000 ms, median 200 ms, p95 40,000 ms",
    ]
    assert '<rect class="failed" x="75.00%" y="22%" width="25.00%"' in html
    assert html.count("→") == len(VIEWS)  # the first run is beyond the axis
    assert "<strong>failed</strong>" in html
    assert ": beta.</p>" in html  # whose kept answers favour later styles
    assert "style=" not in html


@pytest.mark.parametrize(
    ("count", "p95"), [(1, 1), (2, 2), (19, 19), (20, 19), (21, 20), (100, 95)]
)
def test_p95_is_the_nearest_rank(count: int, p95: int) -> None:
    assert get_p95(range(1, count + 1)) == p95


@pytest.mark.parametrize(
    ("seconds", "axis"), [(0.0, 1e-4), (0.001, 0.001), (0.221, 0.24), (0.81, 1.0), (1.41, 1.6)]
)
def test_an_axis_has_room_and_round_numbers(seconds: float, axis: float) -> None:
    assert round_up(seconds) == pytest.approx(axis)
    assert round_up(seconds) >= seconds


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0.0, "0"),
        (0.00012, "0.1"),
        (0.003, "3"),
        (0.0994, "99"),
        (-0.0994, "-99"),
        (1.2345, "1,234"),
    ],
)
def test_milliseconds_have_no_digits_that_nobody_reads(seconds: float, text: str) -> None:
    assert format_ms(seconds) == text
