"""Log-ins are limited, for each account and each address."""

import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import Any

import pytest
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from engine.visitors import make_user, send
from fanout.serving import throttle

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
        return TemplateResponse(request, "login.html", {"form": form})

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
