"""The system checks name what is wrong."""

import importlib
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from string import ascii_letters
from textwrap import dedent

import pytest
from django.core.checks import run_checks
from django.core.exceptions import ImproperlyConfigured
from django.core.handlers.asgi import ASGIHandler
from django.http import HttpRequest, HttpResponse
from django.urls import include, path
from pytest_django import Settings

from fakes.management.commands.fakes import Command
from fanout.calls.service import get_classes, services
from fanout.pages.page import check_pages
from fanout.serving import checks
from fanout.serving.checks import (
    check_deployment,
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
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["alpha", "beta"], "engine"
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
    [
        *("ftp://a.test/", "a.test", "http://", "http://[", "http://a\n", "/a/"),
        *("https//u:s3cr3t@a/", "http://a:0", "http://a:80000"),
    ],
)
def test_a_url_that_cannot_be_called_is_an_error(settings: Settings, url: str) -> None:
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["alpha", "beta"], "engine"
    settings.FANOUT_URLS = {"alpha": url, "beta": ""}
    [error] = check_urls()
    assert error.id == "fanout.E002"
    assert error.msg == "ALPHA_URL is not an http(s) address."  # not which: it may have a password


def test_a_url_of_the_fakes_that_cannot_be_called_is_one_error(settings: Settings) -> None:
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["alpha", "beta"], "engine"
    settings.FAKES_URL = "http://127.0.0.1:80000"
    settings.FANOUT_URLS = {name: f"{settings.FAKES_URL}/{name}/" for name in ("alpha", "beta")}
    assert [error.msg for error in check_urls()] == ["FAKES_URL is not an http(s) address."]
    parser = Command().create_parser("manage.py", "fakes")  # without a traceback
    assert parser.parse_args([]).port == 8001


@pytest.mark.parametrize(
    ("url", "count"),
    [
        *((url, 0) for url in ("", "redis://a:6379/1", "valkeys://u:p@a/", "unix:///a?db=1")),
        *((url, 0) for url in ("redis://:p@ss:w@a", "redis://[::1]:6379", "redis://:%40%2F@a/0")),
        *((url, 1) for url in ("a:6379", "redis://a:66666", "redis://a?no=1", "redis://[a")),
        # A password that is not quoted; what comes before it would be a host and a port.
        *((f"redis://{name}@a:6379", 1) for name in ("u:1/x", ":1?x", "u:1#x", ":p@ss:w/rd#")),
    ],
)
def test_a_cache_that_is_no_redis_is_an_error(settings: Settings, url: str, count: int) -> None:
    settings.CACHE_URL = url
    errors = check_urls()
    assert [error.id for error in errors] == ["fanout.E002"] * count
    assert all(error.msg.startswith("CACHE_URL is not an address") for error in errors)
    assert all(url not in error.msg for error in errors)


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
    assert error.msg == "FANOUT_TRANSPORT is httptools or httpx, not 'aiohttp'."


@pytest.mark.parametrize("name", ["gevent", "eventlet"])
def test_workers_that_run_one_async_view_at_a_time_are_an_error(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("socket.socket", type("socket", (), {"__module__": f"{name}._socket3"}))
    with pytest.raises(ImproperlyConfigured, match=f"^Workers of {name} run one async view"):
        refuse_unready()


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


# The classes of services.

SECONDS = "a number of seconds above 0, up to 3600"
LIMIT = "a whole number above 0, up to 33554432"
STATUSES = "a tuple of statuses from 200 to 499, such as (204, 404)"

Write = Callable[[str], None]


@pytest.fixture
def write(tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Write]:
    """Write the module of classes, of the services `alpha` and `beta`."""
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["alpha", "beta"], "written"
    settings.FANOUT_URLS = {"alpha": "http://alpha.test/", "beta": "http://beta.test/"}
    settings.OPTIONS = {}
    monkeypatch.syspath_prepend(tmp_path)

    def write(text: str) -> None:
        forget()
        start = "from fanout import Service\n"
        (tmp_path / "written.py").write_text(f"{start}{dedent(text)}", encoding="utf-8")
        importlib.invalidate_caches()

    def forget() -> None:
        sys.modules.pop("written", None)
        get_classes.cache_clear()

    yield write
    forget()


def test_a_class_is_of_the_service_with_its_name(write: Write, settings: Settings) -> None:
    write("""
        class _Base(Service):
            timeout = 0.25

        class Alpha(_Base):
            pass

        class Mine(_Base):
            name = "beta"
            timeout = 0.5

        class HTMLBanner2(Service):
            pass

        Alias = Alpha
    """)
    assert check_options() == []
    timeouts = {service.name: service.timeout for service in services(everywhere=True)}
    assert timeouts == {"alpha": 0.25, "beta": 0.5, "html_banner2": 1.0}


def test_a_class_that_no_page_lists_is_a_warning(write: Write, settings: Settings) -> None:
    write("class Gone(Service): pass")
    [warning] = check_pages()
    assert warning.id == "fanout.W001"
    assert warning.msg == "written.Gone is of the service 'gone', which no page lists."
    assert (
        warning.hint
        == "The homepage lists alpha, beta: update it, put the class on a page, or delete it."
    )
    settings.DEBUG = True
    refuse_unready()


async def waits(request: HttpRequest) -> HttpResponse:
    """A view that nobody may call in a transaction."""
    raise AssertionError


urlpatterns = [path("own/", include([path("waits/", waits)])), path("", include("config.urls"))]


def test_an_async_view_in_a_transaction_is_an_error(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = __name__
    assert [error for error in check_pages() if error.is_serious()] == []
    monkeypatch.setitem(settings.DATABASES["default"], "ATOMIC_REQUESTS", True)
    [error] = [error for error in check_pages() if error.is_serious()]
    assert error.id == "fanout.E007"
    assert error.msg.startswith("The view of /own/waits/ is async, so ATOMIC_REQUESTS needs")


def test_a_recco_that_an_update_brings_wants_a_class(write: Write, settings: Settings) -> None:
    settings.FANOUT_SERVICES = ["recco"]
    write("")
    [warning] = check_options()
    assert warning.id == "fanout.W001"
    assert warning.msg == "The service 'recco' is for whoever is logged in, but no class says so."
    assert warning.hint == "Write into written: class Recco(Service): personal = True"
    write("class Recco(Service): personal = True")
    assert check_options() == []


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ("timout = 0.5", "there is no option 'timout'; did you mean 'timeout'?"),
        ("time_out: float = 0.5", "there is no option 'time_out'; did you mean 'timeout'?"),
        ("timeout = '0.5'", f"'timeout' is {SECONDS}, not '0.5'."),
        ("timeout = True", f"'timeout' is {SECONDS}, not True."),
        ("timeout = 0", f"'timeout' is {SECONDS}, not 0."),
        ("timeout = -1.0", f"'timeout' is {SECONDS}, not -1.0."),
        ("stale_for = -1", "'stale_for' is a number of seconds, 0 or more, not -1."),
        ("concurrency = 0", "'concurrency' is a whole number above 0, not 0."),
        ("max_bytes = 2**30", f"'max_bytes' is {LIMIT}, not 1073741824."),
        ("personal = 'yes'", "'personal' is True or False, not 'yes'."),
        ("retry = 1", "'retry' is True, False or None, not 1."),
        ("empty = [404]", f"'empty' is {STATUSES}, not [404]."),
        ("empty = (500,)", f"'empty' is {STATUSES}, not (500,)."),
        (
            "url = 'http://a/'",
            "'url' is no option; <NAME>_URL in the environment is the address.",
        ),
    ],
)
def test_a_wrong_option_is_an_error_and_the_server_does_not_start(
    write: Write, options: str, problem: str
) -> None:
    write(f"class Alpha(Service): {options}")
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg == f"written.Alpha: {problem}"
    assert check_urls() == []
    with pytest.raises(ImproperlyConfigured, match=r"written\.Alpha"):
        refuse_unready()


@pytest.mark.parametrize("method", ["request", "read"])
def test_a_method_that_waits_is_an_error(write: Write, method: str) -> None:
    write(f"""
        class Alpha(Service):
            async def {method}(self, argument):
                pass
    """)
    [error] = check_options()
    assert error.msg == (
        f"written.Alpha: '{method}' is async, but it may wait for nothing: write def."
    )


def test_what_is_no_option_is_the_teams_own(write: Write) -> None:
    write("""
        class Alpha(Service):
            title = "Of the week"
            shelf = "sea"
            max_items = 5
            _timout = 0.5

            def sort(self):
                pass
    """)
    assert check_options() == []
    assert services(everywhere=True)[0].title == "Of the week"


@pytest.mark.parametrize("name", ["Alpha", "al-pha", "1a", "", "ä", None, ["alpha"]])
def test_a_name_that_is_none_is_an_error(write: Write, name: object) -> None:
    write(f"class Alpha(Service): name = {name!r}")
    [error] = [message for message in check_options() if message.is_serious()]
    assert error.id == "fanout.E004"
    assert error.msg == f"written.Alpha: 'name' is a Python name in lower case, not {name!r}."


def test_a_name_that_something_else_has_is_an_error(write: Write) -> None:
    write("class Cache(Service): pass")  # CACHE_URL is where Redis is
    [error] = [message for message in check_options() if message.is_serious()]
    assert error.msg == (
        "written.Cache: 'name' is not 'cache', which is the name of something else."
    )


def test_a_name_that_is_used_twice_is_an_error(write: Write) -> None:
    write("""
        class Alpha(Service):
            pass

        class Other(Service):
            name = "alpha"
    """)
    assert [message.msg for message in check_options()] == [
        "written.Alpha: another class has the name 'alpha', too.",
        "written.Other: another class has the name 'alpha', too.",
    ]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\n1 / 0", "ZeroDivisionError in line 3"),
        ("import json\njson.loads('')", "JSONDecodeError in line 3"),
        ("class Alpha(Service: pass", "SyntaxError in line 2: invalid syntax"),
        (
            "import no_such_module",
            "ModuleNotFoundError in line 2: No module named 'no_such_module'",
        ),
        ("class Alpha(Servic): pass", "NameError in line 2: name 'Servic' is not defined"),
    ],
)
def test_a_module_that_cannot_be_imported_is_an_error(write: Write, text: str, said: str) -> None:
    write(text)
    [error] = check_options()
    assert error.id == "fanout.E004"
    assert error.msg == f"written cannot be imported: {said}."
    assert check_urls() == []
    with pytest.raises(ImproperlyConfigured, match="written cannot be imported"):
        refuse_unready()


def test_so_is_one_that_is_not_there(settings: Settings) -> None:
    settings.FANOUT_CLASSES = "nowhere"
    [error] = check_options()
    assert error.msg == (
        "nowhere cannot be imported: ModuleNotFoundError in line ?: No module named 'nowhere'."
    )


def test_only_the_homepages_addresses_are_needed_and_others_are_a_warning(
    write: Write, settings: Settings
) -> None:
    write("""
        class Book(Service):
            pass

        class Cover(Service):
            pass
    """)
    settings.DEBUG, settings.FAKES_URL = False, ""
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = ascii_letters, ["shop.test"]
    settings.FANOUT_URLS = {"alpha": "", "beta": "http://beta.test/", "cover": "cover.test"}
    [error] = check_production()
    assert error.msg == "Not set, but needed in production: ALPHA_URL."
    [warning] = [message for message in check_deployment() if message.id == "fanout.W003"]
    assert warning.msg == "Not set: BOOK_URL. The homepage does not need them."
    assert [error.msg for error in check_urls()] == ["COVER_URL is not an http(s) address."]


@pytest.mark.parametrize("url", ["", "http://book.test/"])
def test_a_service_that_is_not_on_the_homepage_has_an_address_too(
    write: Write, settings: Settings, monkeypatch: pytest.MonkeyPatch, url: str
) -> None:
    write("""
        class Book(Service):
            pass
    """)
    settings.FAKES_URL = "http://fakes.test"
    monkeypatch.setenv("BOOK_URL", url)
    assert services(everywhere=True)[-1].url == (url or "http://fakes.test/book/")


SECRETS = """
    from fanout import Secret

    class _Base(Service):
        key = Secret("SHARED_KEY")

    class Alpha(_Base):
        token = Secret("ALPHA_TOKEN")

    class Beta(_Base):
        pass

    class Book(_Base):
        pages = Secret("BOOK_KEY")
"""


def test_secrets_that_are_not_set_are_named_like_addresses(
    write: Write, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(SECRETS)
    settings.DEBUG, settings.FAKES_URL = False, ""
    settings.SECRET_KEY, settings.ALLOWED_HOSTS = ascii_letters, ["shop.test"]
    settings.FANOUT_URLS = {"alpha": "http://alpha.test/", "beta": ""}
    [error] = check_production()
    assert error.msg == "Not set, but needed in production: SHARED_KEY, ALPHA_TOKEN, BETA_URL."
    [warning] = [message for message in check_deployment() if message.id == "fanout.W003"]
    assert warning.msg == (
        "Not set: BOOK_URL, SHARED_KEY, BOOK_KEY. The homepage does not need them."
    )
    for name in ("SHARED_KEY", "ALPHA_TOKEN", "BETA_URL"):
        monkeypatch.setenv(name, "http://s3cr3t.test/")
    settings.FANOUT_URLS["beta"] = "http://beta.test/"
    assert check_production() == []


def test_in_development_only_those_of_real_services_are_named(
    write: Write, settings: Settings
) -> None:
    write(SECRETS)
    settings.DEBUG, settings.FAKES_URL = True, "http://fakes.test"
    settings.FANOUT_URLS = {"alpha": "http://fakes.test/alpha/", "beta": "http://beta.test/"}
    [warning] = check_production()
    assert warning.id == "fanout.W004"
    assert warning.msg == "Not set, so that services cannot be called: SHARED_KEY."
    settings.FANOUT_URLS["beta"] = "http://fakes.test/beta/?fault=hang"
    assert check_production() == []


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
