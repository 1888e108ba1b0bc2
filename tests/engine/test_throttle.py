"""Log-ins are limited: for each account and each address, and at once. The log says who tried."""

import runpy
import shutil
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from threading import Event, Semaphore
from types import SimpleNamespace
from typing import Any

import pytest
from django.conf import settings
from django.contrib.auth.forms import AuthenticationForm
from django.core.cache import caches
from django.core.cache.backends.locmem import LocMemCache
from django.http import HttpRequest, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.test import Client, RequestFactory
from django.urls import reverse
from pytest_django import Settings

from config import generated
from engine.commands import PROJECT
from engine.visitors import make_user, send
from fanout.policies.bulkhead import Bulkhead
from fanout.serving import throttle

LIMITS = {"PER_ACCOUNT_AND_ADDRESS": 2, "PER_ADDRESS": 4, "PER_ACCOUNT": 5}
START = 1_700_000_100  # a multiple of WINDOW

Post = Callable[..., Any]


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> SimpleNamespace:
    """Stands still: 100 s of the window have gone. The limits are low."""
    throttle._own.clear()
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

    def post(
        password: str, username: str = "viewer", address: str = "192.0.2.1", **options: Any
    ) -> Any:
        data = {"username": username, "password": password}
        return send(
            interface, "post", reverse(request.param), address=address, data=data, **options
        )

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
    assert settings.SESSION_COOKIE_NAME not in refused.cookies
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


class Failing(LocMemCache):
    """Goes away after it was asked, and before it has counted."""

    def add(self, *_: Any, **__: Any) -> bool:
        raise ConnectionError


@pytest.mark.parametrize(
    "backend", ["django.core.cache.backends.redis.RedisCache", f"{__name__}.Failing"]
)
def test_without_the_cache_a_process_counts_for_itself(
    post: Post, settings: Settings, caplog: pytest.LogCaptureFixture, backend: str
) -> None:
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": "redis://127.0.0.1:1"}}
    assert [post("right").status_code for _ in range(3)] == [302] * 3
    assert [post("wrong").status_code for _ in range(2)] == [200] * 2
    line = "Log-ins are counted by this process alone: the cache does not answer"
    assert caplog.messages.count(line) == 5
    assert post("right").status_code == 429
    assert post("right", address="192.0.2.2").status_code == 302


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


@pytest.fixture
def full(monkeypatch: pytest.MonkeyPatch) -> Bulkhead:
    """As many log-ins as a process checks at once, which go on. Whoever comes later does not wait."""
    places = Bulkhead(throttle.LOGINS)
    monkeypatch.setattr(throttle, "_places", places)
    monkeypatch.setattr(throttle, "PATIENCE", 0.0)
    for _ in range(throttle.LOGINS):
        assert places.enter().done()
    return places


@pytest.fixture
def leave(full: Bulkhead) -> Callable[[], None]:
    """End one of those log-ins."""
    turn = Bulkhead(1).enter()
    return lambda: full.leave(turn)


def test_one_more_than_can_be_checked_at_once_is_refused_and_not_counted(
    post: Post, leave: Callable[[], None]
) -> None:
    for _ in range(3):
        refused = post("right")
        assert (refused.status_code, refused.headers["Retry-After"]) == (503, "1")
        html = refused.content.decode()
        assert "Many people log in right now. Try again in a moment." in html
        assert 'name="username" value="viewer"' in html
        assert "right" not in html.replace("right now", "")
        assert "This field is required" not in html
        assert settings.SESSION_COOKIE_NAME not in refused.cookies
    leave()
    assert post("right").status_code == 302


def test_a_log_in_that_waits_gets_the_next_place(
    post: Post, leave: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def end_another(turns: Any, seconds: float) -> Any:
        assert wait(turns, 0.0).not_done
        leave()
        return wait(turns, seconds)

    monkeypatch.setattr(throttle, "wait", end_another)
    assert post("right").status_code == 302


def test_whoever_has_failed_too_often_is_told_so_without_a_place(
    post: Post, full: Bulkhead, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(throttle, "_places", Bulkhead(1))
        assert [post("wrong").status_code for _ in range(2)] == [200] * 2
    assert post("right").status_code == 429
    assert post("right", address="192.0.2.2").status_code == 503


def test_a_place_becomes_free_whatever_comes_of_a_log_in(
    post: Post, full: Bulkhead, leave: Callable[[], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(request: HttpRequest) -> Any:
        raise ZeroDivisionError

    leave()
    monkeypatch.setattr(LocMemCache, "get_many", lambda *_: {})  # so that it gets a place
    with pytest.raises(ZeroDivisionError):
        throttle.throttle(broken)(RequestFactory().post("/"))
    assert [post("wrong").status_code for _ in range(3)] == [200, 200, 429]
    assert post("right", address="192.0.2.2").status_code == 302
    assert full.enter().done()


def test_the_wait_for_a_place_holds_no_connection(
    clock: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []

    def give_up(*_: Any) -> None:
        events.append("wait")
        raise TimeoutError

    monkeypatch.setattr(throttle, "give_back_connections", lambda: events.append("given back"))
    monkeypatch.setattr(throttle, "wait", give_up)
    with pytest.raises(TimeoutError):
        throttle.throttle(print)(RequestFactory().post("/"))
    assert events == ["given back", "wait"]


def get_trail(caplog: pytest.LogCaptureFixture) -> list[tuple[str, ...]]:
    """What has been logged of log-ins: the line and its fields."""
    fields = ("message", "levelname", "account", "address", "request_id")
    return [
        tuple(str(getattr(record, field)) for field in fields)
        for record in caplog.records
        if record.name == "fanout"
    ]


def test_what_fails_and_what_is_refused_leaves_a_line(
    post: Post, full: Bulkhead, leave: Callable[[], None], caplog: pytest.LogCaptureFixture
) -> None:
    statuses = [post("guess-0", headers={"X-Request-ID": "id-0"}).status_code]
    leave()
    for number in range(1, 4):
        response = post(f"guess-{number}", headers={"X-Request-ID": f"id-{number}"})
        statuses.append(response.status_code)
    assert statuses == [503, 200, 200, 429]
    outcomes = [
        "was refused, too many at once",
        *["failed"] * 2,
        "was refused, too many have failed",
    ]
    assert get_trail(caplog) == [
        (
            f"A log-in {outcome}: from 192.0.2.1 as 'viewer'",
            *("WARNING", "viewer", "192.0.2.1", f"id-{number}"),
        )
        for number, outcome in enumerate(outcomes)
    ]
    assert "guess" not in str([vars(record) for record in caplog.records])


def test_a_log_in_that_succeeds_leaves_none(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    assert post("right").status_code == 302
    assert get_trail(caplog) == []


def test_a_name_cannot_forge_a_line(post: Post, caplog: pytest.LogCaptureFixture) -> None:
    forged = "A log-in failed: from 198.51.100.1 as 'x'"
    post("wrong", username=f"\u00fc\u202ea\n{forged}{'y' * 300}")
    [(line, _, account, *_)] = get_trail(caplog)
    assert account == f"\u00fc\\u202ea\\n{forged}{'y' * 209}"  # 254 characters as typed
    assert line == f"A log-in failed: from 192.0.2.1 as '{account}'"


def test_two_sites_share_no_keys_in_a_cache_and_no_cookies(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("CACHE_URL", "redis://cache.test")
    (tmp_path / "config").mkdir()
    copy = shutil.copy(PROJECT / "config/base.py", tmp_path / "config")

    def tell_apart(
        slug: str = "shop", *, key: str = "s3cret", debug: bool = False, there: bool = False
    ) -> tuple[str, str, str]:
        monkeypatch.setattr(generated, "SLUG", slug)
        monkeypatch.setenv("DJANGO_SECRET_KEY", key)
        monkeypatch.setenv("DJANGO_DEBUG", str(debug))
        found = runpy.run_path(str(copy if there else PROJECT / "config/base.py"))
        [prefix] = {options["KEY_PREFIX"] for options in found["CACHES"].values()}
        return prefix, found["SESSION_COOKIE_NAME"], found["CSRF_COOKIE_NAME"]

    site = tell_apart()
    names = [site, tell_apart("blog"), tell_apart(debug=True), tell_apart(debug=True, there=True)]
    assert len({name for site in names for name in site}) == 12
    assert tell_apart(there=True) == site  # each release may have a folder of its own
    assert tell_apart(key="an0ther")[0] != site[0]
    assert tell_apart(key="an0ther")[1:] == site[1:]  # a new key logs nobody out
