"""The front page of the fakes breaks services, says what it has done, and knows the site."""

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pytest_django import Settings

from engine.conftest import serve
from fakes import switchboard
from fakes.app import create_app
from fakes.faults import FAULTS


@pytest.fixture
def page() -> Iterator[str]:
    """Where the page for `alpha` and `beta` is."""
    with serve(create_app({"alpha": 0, "beta": 0}), lifespan="off") as address:
        yield address


REBOUND = "http://elsewhere.test"  # a name that leads here


def apply(page: str, **choices: str) -> str:
    """The page that comes after these choices: `alpha_fault="hang"`."""
    form = {name.replace("_", ".", 1): value for name, value in choices.items()}
    return httpx.post(page, data=form, follow_redirects=True).raise_for_status().text


def test_it_breaks_a_service_and_mends_it(page: str) -> None:
    html = apply(page, alpha_fault="status:500")
    assert '<option value="status:500" selected>' in html
    assert httpx.get(f"{page}/alpha/").status_code == 500
    apply(page, alpha_fault="")
    assert httpx.get(f"{page}/alpha/").status_code == 200


def test_it_slows_a_service_down(page: str) -> None:
    assert 'value="7"' in apply(page, alpha_latency_ms="7")


def test_it_says_what_has_changed(page: str) -> None:
    assert 'role="status"' not in httpx.get(page).text
    html = apply(page, alpha_latency_ms="2000", beta_fault="hang")
    assert "<p>alpha now answers after 2,000 ms.</p>" in html
    assert "<p>beta now hangs.</p>" in html
    html = apply(page, alpha_latency_ms="2000", beta_fault="drop")
    assert "alpha now" not in html
    assert "<p>beta now breaks off in mid-body after 0 ms.</p>" in html
    html = apply(page, beta_fault="drop")
    assert "beta now" not in html
    assert "<p>Nothing has changed.</p>" in html


def test_it_has_words_for_every_fault() -> None:
    assert switchboard.CHOICES.keys() > FAULTS.keys()


@pytest.mark.parametrize(
    ("form", "origin", "status"),
    [
        ({"beta.fault": "explode"}, None, 400),
        ({"beta.latency_ms": "-1"}, None, 400),
        ({"beta.latency_ms": "9" * 5000}, None, 400),
        ({"beta.fault": "hang"}, "http://another.test", 403),
        ({"beta.fault": "hang"}, REBOUND, 403),
        ({"alpha.fault": ""}, "{page}", 303),
    ],
)
def test_a_wrong_choice_changes_nothing(
    page: str, form: dict[str, str], origin: str | None, status: int
) -> None:
    headers = {"Origin": origin.format(page=page)} if origin else {}
    if origin == REBOUND:
        headers["Host"] = "elsewhere.test"
    response = httpx.post(page, data={"alpha.fault": "hang", **form}, headers=headers)
    assert response.status_code == status
    for name in ("alpha", "beta"):
        assert httpx.get(f"{page}/{name}/").status_code == 200


@pytest.mark.parametrize("host", ["127.0.0.1", "box.test", "[::1]"])
def test_it_links_to_the_site_beside_it(
    page: str, host: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    headers = {"Host": f"{host}:8001"}
    assert 'href="http' not in httpx.get(page, headers=headers).text
    monkeypatch.setenv("FAKES_SITE_PORT", "8000")
    html = httpx.get(page, headers=headers).text
    assert f'<a href="http://{host}:8000/">Homepage</a>' in html
    assert f'<a href="http://{host}:8000/compare/">Compare</a>' in html
    settings.FANOUT_COMPARE = False
    html = httpx.get(page, headers=headers).text
    assert "Homepage" in html
    assert "Compare" not in html


def test_it_says_where_the_site_calls_a_real_service(page: str, settings: Settings) -> None:
    settings.FANOUT_SERVICES, settings.FAKES_URL = ["alpha", "beta"], "http://fakes.test"
    urls = {"alpha": "http://real.test/", "beta": "http://fakes.test/beta/"}
    settings.FANOUT_URLS = urls
    alpha, beta = httpx.get(page).text.split('<a href="/beta/">')
    assert "The site calls the real one" in alpha
    assert "The site calls the real one" not in beta
    settings.FANOUT_URLS = {**urls, "alpha": ""}
    assert "The site calls the real one" not in httpx.get(page).text


def test_it_has_the_look_of_the_site_if_that_has_one(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "--accent:" in httpx.get(page).text
    monkeypatch.setattr(switchboard, "_LOOK", tmp_path)
    html = httpx.get(page).raise_for_status().text
    assert "--accent:" not in html
    assert "Apply" in html
    style = "@media print{#main{color:red}}"  # no comment of Jinja's
    (tmp_path / "site.css").write_text(style, encoding="utf-8")
    assert style in httpx.get(page).raise_for_status().text
