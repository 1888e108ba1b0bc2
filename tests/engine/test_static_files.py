"""Static files in production, through ASGI and through WSGI."""

import re
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, make_server

import httpx
import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import call_command
from django.templatetags.static import static
from django.test import RequestFactory
from django.urls import clear_script_prefix
from pytest_django import Settings

from engine.conftest import serve
from engine.visitors import ask_wsgi
from fanout.pages.rendering import environment
from fanout.serving.checks import check_static_files, refuse_unready
from fanout.serving.entries import get_asgi_application, get_wsgi_application

HASHED = {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"}


@pytest.fixture
def hashed(settings: Settings, tmp_path: Path) -> Path:
    """An empty STATIC_ROOT for files that pages name by their hashes."""
    root = tmp_path / "collected"
    settings.STATIC_URL = "/static/"
    settings.STATIC_ROOT = root
    settings.STORAGES = {**settings.STORAGES, "staticfiles": HASHED}
    return root


@pytest.fixture
def collected(hashed: Path, tmp_path: Path, settings: Settings) -> Path:
    """A STATIC_ROOT with the site's files, and one in a folder with a name that is not ASCII."""
    (tmp_path / "own" / "folder").mkdir(parents=True)
    (tmp_path / "own" / "folder" / "grüße.txt").write_text("Grüße", encoding="utf-8")
    settings.STATICFILES_DIRS = [tmp_path / "own"]
    call_command("collectstatic", interactive=False, verbosity=0, ignore_patterns=["admin"])
    return hashed


@pytest.fixture
def below(collected: Path, settings: Settings) -> Iterator[None]:
    """Where the site is: below /shop."""
    settings.STATIC_URL, settings.FORCE_SCRIPT_NAME = "static/", "/shop"
    settings.TEMPLATES = [*settings.TEMPLATES]  # those that know addresses are made anew
    yield
    clear_script_prefix()


class Quiet(WSGIRequestHandler):
    """Logs no requests."""

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture(params=["asgi", "wsgi"])
def site(request: pytest.FixtureRequest, collected: Path) -> Iterator[str]:
    """The address of the site."""
    if request.param == "asgi":
        with serve(get_asgi_application()) as address:
            yield address
    else:
        with make_server("127.0.0.1", 0, get_wsgi_application(), handler_class=Quiet) as server:
            thread = Thread(target=server.serve_forever, args=[0.01])
            thread.start()
            yield f"http://127.0.0.1:{server.server_port}"
            server.shutdown()
            thread.join()


def test_a_file_is_named_by_its_hash_and_kept_for_ever(site: str) -> None:
    address = static("site.css")
    assert re.fullmatch(r"/static/site\.[0-9a-f]{12}\.css", address)
    response = httpx.get(site + address)
    assert response.status_code == 200
    assert ":root" in response.text
    assert response.headers["Content-Type"].startswith("text/css")
    assert "immutable" in response.headers["Cache-Control"]
    again = httpx.get(site + address, headers={"If-None-Match": response.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("encoding", ["identity", "gzip", "br"])
def test_a_file_is_compressed_beforehand(site: str, collected: Path, encoding: str) -> None:
    address = static("site.css")
    suffix = {"gzip": ".gz", "br": ".br"}.get(encoding, "")
    path = collected / (address.removeprefix("/static/") + suffix)
    with httpx.stream("GET", site + address, headers={"Accept-Encoding": encoding}) as response:
        assert b"".join(response.iter_raw()) == path.read_bytes()
    assert response.headers.get("Content-Encoding", "identity") == encoding
    assert response.headers["Vary"] == "Accept-Encoding"


def test_a_file_can_be_asked_for_by_its_own_name(site: str) -> None:
    response = httpx.get(f"{site}/static/icon.svg")
    assert response.headers["Content-Type"] == "image/svg+xml"
    assert "immutable" not in response.headers["Cache-Control"]
    assert httpx.get(f"{site}/static/folder/grüße.txt").text == "Grüße"


def test_head_has_no_body_and_post_is_not_allowed(site: str) -> None:
    address = site + static("icon.svg")
    response = httpx.head(address, headers={"Accept-Encoding": "identity"})
    assert (response.status_code, response.content) == (200, b"")
    assert int(response.headers["Content-Length"]) > 0
    assert httpx.post(address).status_code == 405


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "icon.svg", 200), ("GET", "none.svg", 404), ("POST", "icon.svg", 405)],
)
def test_whatever_the_answer_no_script_in_it_runs(
    site: str, method: str, path: str, status: int
) -> None:
    response = httpx.request(method, f"{site}/static/{path}")
    assert response.status_code == status
    assert response.headers["X-Content-Type-Options"] == "nosniff"
    assert "script-src 'self';" in response.headers["Content-Security-Policy"]
    assert "Strict-Transport-Security" not in response.headers


def test_over_https_browsers_are_told_to_stay_there(collected: Path, settings: Settings) -> None:
    settings.SECURE_HSTS_SECONDS = 60
    with serve(get_asgi_application(), forwarded_allow_ips="127.0.0.1") as site:
        url, headers = f"{site}/static/icon.svg", {"X-Forwarded-Proto": "https"}
        assert "Strict-Transport-Security" not in httpx.get(url).headers
        response = httpx.get(url, headers=headers)
    assert response.headers["Strict-Transport-Security"] == "max-age=60"
    sent: list[tuple[str, str]] = []
    environ = RequestFactory().get("/static/icon.svg", secure=True).environ
    application: Any = get_wsgi_application()
    application(environ, lambda status, headers: sent.extend(headers)).close()
    assert ("Strict-Transport-Security", "max-age=60") in sent


@pytest.mark.parametrize(
    "path",
    [
        "none.css",
        "",
        "../manage.py",
        "..%2fmanage.py",
        "%2e%2e/manage.py",
        "/etc/passwd",
        "folder",
        "a%00b",
        "staticfiles.json",
    ],
)
def test_nothing_else_is_there(site: str, path: str) -> None:
    url = httpx.URL(site, raw_path=f"/static/{path}".encode())  # httpx sends it as it is
    assert httpx.get(url).status_code == 404


def test_pages_are_the_sites(site: str) -> None:
    assert httpx.get(f"{site}/livez").text == "alive\n"
    assert "X-Request-ID" in httpx.get(f"{site}/").headers
    assert httpx.get(f"{site}/static").status_code == 404


def test_pages_name_files_by_their_hashes(collected: Path) -> None:
    shown = environment(autoescape=True).from_string("{{ static('icon.svg') }}").render()
    assert shown == static("icon.svg")
    assert (collected / shown.removeprefix("/static/")).exists()


def test_another_host_may_fetch_and_serve_them(collected: Path, settings: Settings) -> None:
    settings.STATIC_URL = "https://cdn.test/files/"
    with serve(get_asgi_application()) as site:
        response = httpx.get(site + static("site.css").removeprefix("https://cdn.test"))
        assert response.status_code == 200
        assert response.headers["Access-Control-Allow-Origin"] == "*"


def test_files_at_the_root_of_another_host_hide_no_page(
    collected: Path, settings: Settings
) -> None:
    settings.STATIC_URL = "https://cdn.test/"
    with serve(get_asgi_application()) as site:
        assert httpx.get(f"{site}/livez").status_code == 200


@pytest.mark.parametrize("passed_on", ["", "/shop"])
def test_a_site_below_a_path_does_not_mind_whether_a_proxy_takes_that_off(
    below: None, site: str, passed_on: str
) -> None:
    page = httpx.get(f"{site}{passed_on}/accounts/login/").text
    [address] = re.findall(r'"/shop(/static/site\.[0-9a-f]{12}\.css)"', page)
    assert httpx.get(site + passed_on + address).status_code == 200
    moved = httpx.get(f"{site}{passed_on}/admin")
    assert (moved.status_code, moved.headers["Location"]) == (301, "/shop/admin/")


def test_so_is_one_below_a_path_that_the_server_says(collected: Path, settings: Settings) -> None:
    settings.STATIC_URL = "/shop/static/"
    with serve(get_asgi_application(), root_path="/shop") as site:
        assert httpx.get(f"{site}/static/icon.svg").status_code == 200
    [file] = ask_wsgi(
        get_wsgi_application(), "/static/icon.svg", method="HEAD", SCRIPT_NAME="/shop"
    )
    assert file.status_code == 200


def test_files_that_are_not_collected_are_refused_in_one_sentence(
    hashed: Path, settings: Settings
) -> None:
    sentence = "No static files are collected. Run manage.py collectstatic."
    with pytest.raises(ImproperlyConfigured, match=f"^{sentence}$"):
        refuse_unready()
    hashed.mkdir()
    (hashed / "staticfiles.json").write_text("{", encoding="utf-8")
    settings.STATIC_ROOT = str(hashed)
    with pytest.raises(ImproperlyConfigured, match=f"^{sentence}$"):
        refuse_unready()


def test_development_needs_no_collected_files(hashed: Path, settings: Settings) -> None:
    settings.DEBUG = True
    assert check_static_files() == []
    assert static("site.css") == "/static/site.css"


@pytest.mark.usefixtures("collected")
def test_collected_files_are_in_order() -> None:
    assert check_static_files() == []
