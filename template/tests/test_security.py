"""What production promises: https, headers, cookies, an admin that is hard to find, limited log-ins."""

import runpy
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event, Semaphore
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.test import AsyncClient, Client, RequestFactory
from django.urls import reverse
from environs import EnvError
from pytest_django import Settings

from config import base
from config.generated import SERVICES
from fanout import throttle, urls
from tests.commands import run_commands
from tests.test_viewer import make_user

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


@pytest.fixture(params=["asgi", "wsgi"])
def interface(request: pytest.FixtureRequest) -> str:
    """Either way to serve the site."""
    return str(request.param)


class _AsyncClient(AsyncClient):
    """Comes from an address, as Client does that gets a REMOTE_ADDR."""

    address: str

    def _base_scope(self, **request: Any) -> Any:
        factory: Any = super()
        return {**factory._base_scope(**request), "client": [self.address, 0]}


def send(
    interface: str, method: str, path: str, *, address: str = "127.0.0.1", **options: Any
) -> Any:
    """What a visitor who comes from `address` is answered."""
    if interface == "wsgi":
        return getattr(Client(REMOTE_ADDR=address), method)(path, **options)
    client = _AsyncClient()
    client.address = address

    async def call() -> Any:
        response = await getattr(client, method)(path, **options)
        if response.streaming:
            response.streaming_content = [part async for part in response]
        return response

    return async_to_sync(call)()


@pytest.mark.parametrize(("proxy", "said"), [("10.0.0.1", ""), ("", "fanout.I001")])
def test_the_checks_of_a_deployment_have_no_warning(tmp_path: Path, proxy: str, said: str) -> None:
    variables = {**ENVIRONMENT, "FORWARDED_ALLOW_IPS": proxy}
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
    assert not response.cookies["csrftoken"]["secure"]
    secure = send(interface, "get", "/accounts/login/", secure=True)
    assert "Strict-Transport-Security" not in secure.headers


@pytest.mark.django_db
def test_cookies_are_for_https_and_for_this_site(production: Production, interface: str) -> None:
    production()
    make_user("viewer", "right")
    credentials = {"username": "viewer", "password": "right"}
    form = send(interface, "get", reverse("login"), secure=True)
    assert form.cookies["csrftoken"]["secure"]
    assert form.cookies["csrftoken"]["samesite"] == "Lax"
    session = send(interface, "post", reverse("login"), data=credentials, secure=True)
    cookie = session.cookies["sessionid"]
    assert cookie["secure"]
    assert cookie["httponly"]
    assert cookie["samesite"] == "Lax"


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


# Log-ins.

LIMITS = {"PER_ACCOUNT_AND_ADDRESS": 2, "PER_ADDRESS": 4, "PER_ACCOUNT": 5}
START = 1_700_000_100  # a multiple of WINDOW

Post = Callable[..., Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands still: 100 s of the window have gone. The limits are low."""
    clock = SimpleNamespace(now=START + 100.0)
    clock.time = lambda: clock.now
    monkeypatch.setattr(throttle, "time", clock)
    for name, limit in LIMITS.items():
        monkeypatch.setattr(throttle, name, limit)
    return clock


@pytest.fixture(params=["login", "admin:login"])
def post(request: pytest.FixtureRequest, interface: str, clock: SimpleNamespace, db: None) -> Post:
    """Log in as `viewer`, or try to, on either form."""
    user = make_user("viewer", "right")
    user.is_staff = True
    user.save()

    def post(password: str, username: str = "viewer", address: str = "192.0.2.1") -> Any:
        data = {"username": username, "password": password}
        return send(interface, "post", reverse(request.param), address=address, data=data)

    return post


@pytest.mark.usefixtures("fanout_html")
def test_an_account_is_closed_to_an_address_that_guesses(post: Post, clock: Any) -> None:
    for _ in range(2):
        assert post("wrong").status_code == 200
    refused = post("right")
    assert (refused.status_code, refused.headers["Retry-After"]) == (429, "200")
    html = refused.content.decode()
    assert "Too many attempts to log in. Try again in 4 minutes." in html
    assert 'name="username" value="viewer"' in html
    assert "This field is required" not in html
    assert "sessionid" not in refused.cookies
    assert post("right", username=" \uff36IEWER").status_code == 429
    assert post("wrong", username="other").status_code == 200
    assert post("right", address="192.0.2.2").status_code == 302
    clock.now += 199
    assert "Try again in a minute." in post("right").content.decode()
    clock.now += 1
    assert post("right").status_code == 302


def test_an_address_that_guesses_is_closed_to_all_accounts(post: Post) -> None:
    for name in "abcd":
        assert post("wrong", username=name).status_code == 200
    assert post("right").status_code == 429
    assert post("right", address="192.0.2.2").status_code == 302


def test_an_account_is_closed_when_many_addresses_guess(post: Post) -> None:
    for host in range(5):
        assert post("wrong", address=f"192.0.2.{host}").status_code == 200
    assert post("right", address="198.51.100.1").status_code == 429
    assert post("wrong", username="other", address="198.51.100.1").status_code == 200


def test_one_address_alone_does_not_close_an_account(post: Post) -> None:
    for _ in range(20):
        post("wrong")
    assert post("right", address="192.0.2.2").status_code == 302


@pytest.mark.parametrize(
    ("first", "second", "status"),
    [
        ("2001:db8:0:1::1", "2001:db8:0:ff:ffff::2", 429),  # of one network
        ("2001:db8:0:1::1", "2001:db8:0:100::1", 302),
        ("::ffff:192.0.2.1", "192.0.2.1", 429),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", 302),
        ("unknown", "unknown", 429),
        ("unknown", "elsewhere", 302),
    ],
)
def test_what_an_address_is(post: Post, first: str, second: str, status: int) -> None:
    for _ in range(2):
        post("wrong", address=first)
    assert post("right", address=second).status_code == status


def test_what_is_refused_leaves_nothing_in_the_cache(post: Post) -> None:
    """Else whoever is refused could go on until the counts of others are pushed out."""
    for name in "abcd":
        post("wrong", username=name)
    kept: Any = caches["fanout"]
    before = set(kept._cache)
    assert [post("wrong", username=f"name {number}").status_code for number in range(3)] == [
        429
    ] * 3
    assert set(kept._cache) == before


def test_counts_last_as_long_as_their_window(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    start = time.time()
    post("wrong")
    end = time.time()
    kept: Any = caches["fanout"]
    names = [name.removeprefix(":1:") for name in kept._cache]
    monkeypatch.setattr("time.time", lambda: start + throttle.WINDOW - 1)
    assert [kept.has_key(name) for name in names] == [True] * 3
    monkeypatch.setattr("time.time", lambda: end + throttle.WINDOW + 1)
    assert [kept.has_key(name) for name in names] == [False] * 3


def test_a_name_of_any_length_costs_little(post: Post, monkeypatch: pytest.MonkeyPatch) -> None:
    """To normalize marks that combine takes the square of their number."""
    lengths: list[int] = []

    def normalize(form: str, text: str) -> str:
        lengths.append(len(text))
        return text

    monkeypatch.setattr(throttle, "normalize", normalize)
    post("wrong", username=" " * 300 + "a" + "\u0300\u0316" * 10_000)
    assert lengths == [254]


def test_tries_that_are_counted_at_the_same_moment_do_not_pass_together(
    post: Post, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(LocMemCache, "get_many", lambda *_: {})  # all looked before any was
    assert [post("wrong").status_code for _ in range(3)] == [200, 200, 429]


def test_visitors_without_an_address_share_no_limit(clock: Any, db: None) -> None:
    def post(name: str) -> Any:
        form = {"username": name, "password": "wrong"}
        return Client(REMOTE_ADDR="").post(reverse("login"), form).status_code

    assert [post(f"name {number}") for number in range(9)] == [200] * 9
    assert [post("viewer") for _ in range(6)] == [200] * 5 + [429]


def test_only_what_fails_counts(post: Post) -> None:
    assert [post("right").status_code for _ in range(9)] == [302] * 9
    assert [post("wrong").status_code for _ in range(3)] == [200, 200, 429]


def test_without_the_cache_people_can_log_in(
    post: Post, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    backend = "django.core.cache.backends.redis.RedisCache"
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    for _ in range(3):
        assert post("wrong").status_code == 200
    assert post("right").status_code == 302
    assert caplog.messages.count("Log-ins are not limited: the cache does not answer") == 4


def test_to_look_at_the_form_asks_no_cache(
    interface: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.CACHES = {"fanout": {"BACKEND": "no.such.backend"}}
    for name in ("login", "admin:login"):
        assert send(interface, "get", reverse(name)).status_code == 200
    assert caplog.messages == []


def test_tries_at_the_same_time_do_not_pass_together(clock: Any) -> None:
    inside, end = Semaphore(0), Event()

    def view(request: HttpRequest) -> Any:
        if request.POST["password"]:
            inside.release()
            assert end.wait(50)
            return HttpResponseRedirect("/")
        form = AuthenticationForm(request, data=request.POST)
        return TemplateResponse(request, "registration/login.html", {"form": form})

    def post() -> int:
        form = {"username": "viewer", "password": "wrong"}
        response: Any = throttle.throttle(view)(RequestFactory().post("/", form))
        return int(response.status_code)

    with ThreadPoolExecutor() as threads:
        tries = [threads.submit(post) for _ in range(2)]
        assert all(inside.acquire(timeout=50) for _ in tries)
        assert post() == 429
        end.set()
    assert [attempt.result() for attempt in tries] == [302, 302]
    assert post() == 302
