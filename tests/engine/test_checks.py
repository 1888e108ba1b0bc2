"""The system checks name what is wrong."""

from string import ascii_letters

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from pytest_django import Settings

from fanout.serving import checks
from fanout.serving.checks import (
    check_handler,
    check_key,
    check_options,
    check_production,
    check_urls,
    refuse_unready,
)
from fanout.serving.handler import MADE_FROM


def test_production_names_everything_that_is_missing(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = ""
    settings.ALLOWED_HOSTS = []
    settings.FANOUT_SERVICES = {"alpha": {}, "beta": {}}
    settings.FANOUT_URLS = {"alpha": "", "beta": "http://beta.test/"}
    [error] = check_production()
    assert error.id == "fanout.E001"
    assert error.msg == (
        "Not set, but needed in production: DJANGO_SECRET_KEY, DJANGO_ALLOWED_HOSTS, ALPHA_URL."
    )
    assert check_key() == []  # said once


def test_production_with_everything_set_is_fine(settings: Settings) -> None:
    settings.DEBUG = False
    settings.SECRET_KEY = ascii_letters
    settings.ALLOWED_HOSTS = ["shop.test"]
    assert check_production() == check_key() == []


@pytest.mark.parametrize("key", ["changeme", "xy" * 25, f"django-insecure-{ascii_letters}"])
def test_a_key_that_can_be_guessed_is_refused(settings: Settings, key: str) -> None:
    settings.SECRET_KEY = key
    assert [error.id for error in check_key()] == ["fanout.E006"]
    with pytest.raises(ImproperlyConfigured, match="DJANGO_SECRET_KEY can be guessed"):
        refuse_unready()


def test_development_needs_nothing(settings: Settings) -> None:
    settings.DEBUG = True
    settings.ALLOWED_HOSTS = []
    settings.SECRET_KEY = "x"  # noqa: S105
    assert check_production() == check_key() == []


@pytest.mark.parametrize(
    "url",
    ["ftp://a.test/", "a.test", "http://", "http://[", "http://a\n", "/a/", "https//u:s3cr3t@a/"],
)
def test_a_url_that_cannot_be_called_is_an_error(settings: Settings, url: str) -> None:
    settings.FANOUT_SERVICES = {"alpha": {}, "beta": {}}
    settings.FANOUT_URLS = {"alpha": url, "beta": ""}
    [error] = check_urls()
    assert error.id == "fanout.E002"
    assert error.msg == "ALPHA_URL is not an http(s) address."  # not which: it may have a password


@pytest.mark.parametrize(
    ("url", "count"),
    [("", 0), ("redis://a:6379/1", 0), ("valkeys://u:p@a/", 0), ("unix:///a", 0), ("a:6379", 1)],
)
def test_a_cache_that_is_no_redis_is_an_error(settings: Settings, url: str, count: int) -> None:
    settings.CACHE_URL = url
    assert [error.id for error in check_urls()] == ["fanout.E002"] * count


def test_options_for_a_service_that_is_gone_are_a_warning(settings: Settings) -> None:
    settings.FANOUT_SERVICES = {"alpha": {}, "beta": {}}
    settings.FANOUT = {"alpha": {"timeout": 0.5}, "gamma": {"timeout": 0.5}}
    [warning] = check_options()
    assert warning.id == "fanout.W001"
    assert warning.msg == "FANOUT has options for 'gamma', which is not a service."
    settings.DEBUG = True
    refuse_unready()


OPTIONS = (
    "timeout, personal, required, stale_for, cache_for, coalesce, retry, break_for, concurrency,"
    " max_bytes"
)
LIMIT = "'max_bytes' is a whole number above 0, up to 33554432"


@pytest.mark.parametrize("deadline", [0, -1.0, float("nan"), float("inf"), "5"])
def test_a_wrong_deadline_is_an_error(settings: Settings, deadline: object) -> None:
    settings.FANOUT_DEADLINE = deadline
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg.startswith("FANOUT_DEADLINE is a number of seconds above 0")


def test_a_wrong_transport_is_an_error(settings: Settings) -> None:
    settings.FANOUT_TRANSPORT = "aiohttp"
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg == "FANOUT_TRANSPORT is pyreqwest or httpx, not 'aiohttp'."


def test_caches_without_the_one_that_is_needed_are_an_error(settings: Settings) -> None:
    settings.CACHES = {"default": settings.CACHES["default"]}
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg.startswith("CACHES has no 'fanout'")


@pytest.mark.parametrize(
    ("proxies", "count"),
    [
        *[("", 0), ("*", 0), ("10.0.0.1, 10.1.0.0/16,::1", 0)],
        *[("nginx", 1), ("10.0.0.1/16", 1), ("*,10.0.0.1", 1), ("10.0.0.1,", 1)],
    ],
)
def test_proxies_that_nobody_could_be_are_an_error(
    settings: Settings, proxies: str, count: int
) -> None:
    settings.FORWARDED_ALLOW_IPS = proxies
    assert [error.msg for error in check_options()] == [
        f"FORWARDED_ALLOW_IPS is * or addresses or networks, not {proxies!r}."
    ] * count


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"timout": 0.5}, f"there is no option 'timout'; there are {OPTIONS}."),
        ({"timeout": "0.5"}, "'timeout' is a number of seconds above 0, up to 3600, not '0.5'."),
        ({"timeout": True}, "'timeout' is a number of seconds above 0, up to 3600, not True."),
        ({"timeout": 0}, "'timeout' is a number of seconds above 0, up to 3600, not 0."),
        ({"timeout": -1.0}, "'timeout' is a number of seconds above 0, up to 3600, not -1.0."),
        ({"stale_for": -1}, "'stale_for' is a number of seconds, 0 or more, not -1."),
        ({"stale_for": 10**400}, f"'stale_for' is a number of seconds, 0 or more, not {10**400}."),
        ({"concurrency": 0}, "'concurrency' is a whole number above 0, not 0."),
        ({"max_bytes": 2**30}, f"{LIMIT}, not 1073741824."),
        ({"personal": "yes"}, "'personal' is True or False, not 'yes'."),
        ({"url": "http://a/"}, f"there is no option 'url'; there are {OPTIONS}."),
        ({"cache_for": 60}, "'cache_for' is for services that are not 'personal'."),
        (0.5, "options are a dictionary, not 0.5."),
    ],
)
def test_a_wrong_option_is_an_error_and_the_server_does_not_start(
    settings: Settings, options: object, problem: str
) -> None:
    settings.FANOUT_SERVICES = {"alpha": {"personal": True}}
    settings.FANOUT_URLS = {"alpha": "http://alpha.test/"}
    settings.FANOUT = {"alpha": options}
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg == f"FANOUT['alpha']: {problem}"
    assert check_urls() == []
    with pytest.raises(ImproperlyConfigured, match="FANOUT"):
        refuse_unready()


# Django's handler, which ours was made from.


def test_every_django_that_is_supported_has_the_handler_that_ours_was_made_from() -> None:
    assert check_handler() == []


def test_another_handler_is_a_warning(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checks, "MADE_FROM", MADE_FROM | {ASGIHandler.handle: {"0" * 12}})
    [warning] = [message for message in run_checks() if message.id == "fanout.W002"]
    assert warning.msg == (
        "This Django has another ASGIHandler.handle than fanout/serving/handler.py was made from."
    )
    assert "django.core.asgi" in str(warning.hint)
    refuse_unready()  # a warning stops nobody
