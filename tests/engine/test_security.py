"""What production promises: https, headers, cookies, and an admin that is hard to find."""

import runpy
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.conf import settings
from django.test import Client
from django.urls import reverse
from environs import EnvError
from pytest_django import Settings

from config import base
from config.generated import SERVICES
from engine.commands import run_commands
from engine.visitors import make_user, send
from homepage import urls

SETTINGS = """
from config.settings import *

STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
"""
ENVIRONMENT = {
    "DJANGO_DEBUG": "false",
    "DJANGO_SECRET_KEY": "only-for-this-test-but-as-long-as-one-has-to-be-at-least",
    "DJANGO_ALLOWED_HOSTS": "shop.test",
    "FORWARDED_ALLOW_IPS": "10.0.0.0/8",
    **{f"{name.upper()}_URL": "http://service.test/" for name in SERVICES},
}

Production = Callable[..., dict[str, Any]]


@pytest.fixture
def production(monkeypatch: pytest.MonkeyPatch, settings: Settings) -> Production:
    """Read config/base.py as in production, and let the site have what is about security."""

    def use(**variables: str) -> dict[str, Any]:
        for name, value in {**ENVIRONMENT, **variables}.items():
            monkeypatch.setenv(name, value)
        values = runpy.run_path(str(base.__file__))
        for name, value in values.items():
            if name.startswith(("SECURE_", "SESSION_", "CSRF_", "MIDDLEWARE", "PERMISSIONS_")):
                setattr(settings, name, value)
        return values

    return use


@pytest.mark.parametrize(("proxy", "said"), [("10.0.0.1", ""), ("", "fanout.I001")])
def test_the_checks_of_a_deployment_have_no_warning(tmp_path: Path, proxy: str, said: str) -> None:
    variables = {**ENVIRONMENT, "BOOK_URL": "http://book.test/", "FORWARDED_ALLOW_IPS": proxy}
    with run_commands(tmp_path, SETTINGS, variables) as manage:
        process = manage("check", "--deploy", "--fail-level", "WARNING")
        printed, _ = process.communicate(timeout=50)
    assert process.returncode == 0, printed
    assert said in printed
    assert ("no issues" in printed) is (said == "")


@pytest.mark.usefixtures("two_services")
def test_every_style_has_every_header(production: Production, interface: str, style: str) -> None:
    production()
    headers = send(interface, "get", reverse(f"compare-{style}"), secure=True).headers
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["Referrer-Policy"] == headers["Cross-Origin-Opener-Policy"] == "same-origin"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["X-Frame-Options"] == "DENY"
    assert "default-src 'none'" in headers["Content-Security-Policy"]
    features = headers["Permissions-Policy"].split(", ")
    assert all(feature.endswith("=()") for feature in features)
    assert {"camera=()", "geolocation=()", "microphone=()", "payment=()"} <= set(features)


@pytest.mark.django_db
def test_http_is_redirected_once_a_proxy_says_what_was_https(
    production: Production, interface: str
) -> None:
    production()
    response = send(interface, "get", "/accounts/login/")
    assert (response.status_code, response.headers["Location"]) == (
        301,
        "https://testserver/accounts/login/",
    )
    assert send(interface, "get", reverse("livez")).status_code == 200
    assert send(interface, "get", reverse("readyz")).status_code == 200
    assert send(interface, "get", "/accounts/livez").status_code == 301
    production(FORWARDED_ALLOW_IPS="")
    assert send(interface, "get", "/accounts/login/").status_code == 200


def test_development_knows_no_https(production: Production, interface: str) -> None:
    production(DJANGO_DEBUG="true")
    response = send(interface, "get", "/accounts/login/")
    assert response.status_code == 200
    assert not response.cookies[settings.CSRF_COOKIE_NAME]["secure"]
    secure = send(interface, "get", "/accounts/login/", secure=True)
    assert "Strict-Transport-Security" not in secure.headers


@pytest.mark.django_db
def test_cookies_are_for_https_and_for_this_site(production: Production, interface: str) -> None:
    production()
    make_user("viewer", "right")
    credentials = {"username": "viewer", "password": "right"}
    form = send(interface, "get", reverse("login"), secure=True)
    assert form.cookies[settings.CSRF_COOKIE_NAME]["secure"]
    assert form.cookies[settings.CSRF_COOKIE_NAME]["samesite"] == "Lax"
    session = send(interface, "post", reverse("login"), data=credentials, secure=True)
    cookie = session.cookies[settings.SESSION_COOKIE_NAME]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


def test_an_image_over_http_is_for_development_only(production: Production) -> None:
    always = ["'self'", "data:", "https:"]
    assert production()["SECURE_CSP"]["img-src"] == always
    assert production(DJANGO_DEBUG="true")["SECURE_CSP"]["img-src"] == [*always, "http:"]


@pytest.mark.django_db
@pytest.mark.parametrize(("keys", "counts"), [("", False), ("other", False), ("other, old,", True)])
def test_what_an_old_key_has_signed_counts_while_it_is_a_fallback(
    production: Production, settings: Settings, client: Client, keys: str, counts: bool
) -> None:
    values = production(DJANGO_SECRET_KEY_FALLBACKS=keys)
    settings.SECRET_KEY = "old"  # noqa: S105
    client.force_login(make_user("viewer"))
    settings.SECRET_KEY = values["SECRET_KEY"]
    settings.SECRET_KEY_FALLBACKS = values["SECRET_KEY_FALLBACKS"]
    page = client.get("/compare/sync/", secure=True).content.decode()
    assert ("Hello, viewer" in page) is counts


@pytest.mark.parametrize("typed", ["office/admin/", "/office/admin"])
@pytest.mark.django_db
def test_the_admin_is_where_the_environment_says(
    production: Production, settings: Settings, typed: str
) -> None:
    settings.ADMIN_PATH = production(DJANGO_ADMIN_PATH=typed)["ADMIN_PATH"]
    settings.SECURE_SSL_REDIRECT = False
    conf: Any = ModuleType("conf")
    conf.urlpatterns = runpy.run_path(str(urls.__file__))["urlpatterns"]
    settings.ROOT_URLCONF = conf
    assert reverse("admin:login") == "/office/admin/login/"
    assert Client().get("/office/admin/", follow=True).status_code == 200
    assert Client().get("/admin/").status_code == 404


def test_an_empty_admin_path_is_none(production: Production) -> None:
    assert production(DJANGO_ADMIN_PATH="")["ADMIN_PATH"] == "admin/"


@pytest.mark.parametrize("typed", ["/", "a b/", "<int:pk>/", "office/\n", "../"])
def test_a_wrong_admin_path_is_one_sentence(production: Production, typed: str) -> None:
    with pytest.raises(EnvError, match=r'"DJANGO_ADMIN_PATH" invalid: .*It is a path like'):
        production(DJANGO_ADMIN_PATH=typed)
