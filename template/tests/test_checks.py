"""The system checks name what is wrong."""

import pytest
from pytest_django import Settings

from fanout.checks import check_production, check_urls


def test_production_names_everything_that_is_missing(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = ""
    settings.ALLOWED_HOSTS = []
    settings.FANOUT_SERVICES = {"alpha": {"url": ""}, "beta": {"url": "http://beta.test/"}}
    [error] = check_production()
    assert error.id == "fanout.E001"
    assert error.msg == (
        "Not set, but needed in production: DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS, ALPHA_URL."
    )


def test_production_with_everything_set_is_fine(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = "x" * 50
    settings.ALLOWED_HOSTS = ["shop.test"]
    assert check_production() == []


def test_development_needs_nothing(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = []
    assert check_production() == []


@pytest.mark.parametrize(
    "url", ["ftp://alpha.test/", "alpha.test", "http://", "http://[", "http://a\n", "/alpha/"]
)
def test_a_url_that_cannot_be_called_is_an_error(settings: Settings, url: str) -> None:
    settings.FANOUT_SERVICES = {"alpha": {"url": url}, "beta": {"url": ""}}
    [error] = check_urls()
    assert error.id == "fanout.E002"
    assert error.msg == f"ALPHA_URL is not an http(s) address: {url!r}."
