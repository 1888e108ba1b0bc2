"""Calls that need another's answer: a graph, whose longest path a page takes."""

import asyncio
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from asgiref.sync import async_to_sync
from django.test import AsyncClient, Client
from pytest_django import Settings

from engine.asking.conftest import WAYS
from engine.pages import conftest
from engine.pages.conftest import Ask, Backend
from engine.pages.services import Alpha, Beta, Gamma, Profile
from engine.visitors import make_user, make_visit
from fanout import Service
from fanout.calls import fetch as module
from fanout.calls.call import Call
from fanout.calls.fetch import afetch, afetch_as_completed
from fanout.calls.section import Section
from fanout.calls.service import find_services
from fanout.calls.transport import pool
from fanout.calls.visit import Visit
from fanout.pages.page import Page
from fanout.policies.breaker import FAILURES
from fanout.policies.deadline import SHARE, Deadline

PAGE = Page("home.html", Alpha, Beta, Gamma, Profile, required=[])

Follow = Callable[..., None]

AT_ONCE = pytest.mark.parametrize(
    ("interface", "style"), [("asgi", "gather"), ("wsgi", "gather"), ("asgi", "stream")]
)


@pytest.fixture
def follow(monkeypatch: pytest.MonkeyPatch) -> Follow:
    """Say what comes after what: `follow(beta=("alpha",))`."""

    def follow(**after: tuple[str, ...]) -> None:
        for cls in (Alpha, Beta, Gamma, Profile):
            monkeypatch.setattr(cls, "after", after.get(cls.name, ()))

    return follow


def get_errors(response: Any) -> dict[str, str]:
    """What is wrong with each section, by name; nothing if nothing is."""
    return {section.name: section.error for section in response.page.sections}


def ask_all(visit: Visit, *classes: type[Service]) -> Any:
    """Call services at once, in that order."""
    calls = [afetch(service, visit) for cls in classes for service in find_services([cls])]
    return asyncio.gather(*calls)


# Who waits for whom.


def test_a_call_that_needs_an_answer_has_it(ask: Ask, style: str, backend: Backend) -> None:
    response = ask(style, PAGE)
    assert response.page.complete
    assert backend.names.index("profile") < backend.names.index("alpha")
    assert dict(backend.find("alpha").query_params) == {"profile": "profile speaks", "isbn": "9"}


@AT_ONCE
def test_what_does_not_depend_runs_at_once(
    ask: Ask, style: str, backend: Backend, follow: Follow
) -> None:
    follow(alpha=("profile",))
    backend.meet("profile", "beta")  # before anything has been answered
    backend.meet("alpha", "gamma")  # which is still not answered then
    assert ask(style, PAGE).page.complete


@AT_ONCE
def test_children_of_one_parent_run_at_once(
    ask: Ask, style: str, backend: Backend, follow: Follow
) -> None:
    follow(alpha=("profile",), beta=("profile",), gamma=("profile",))
    backend.meet("alpha", "beta", "gamma")
    assert ask(style, PAGE).page.complete


@AT_ONCE
def test_a_page_takes_its_longest_path(
    ask: Ask, style: str, backend: Backend, follow: Follow
) -> None:
    follow(alpha=("profile",), beta=("alpha",))
    backend.meet("beta", "gamma")  # the last of three, and one that was asked at first
    assert ask(style, PAGE).page.complete


def test_a_chain_of_three_is_asked_in_order(
    ask: Ask, style: str, backend: Backend, follow: Follow
) -> None:
    follow(alpha=("beta",), beta=("profile",))
    response = ask(style, Page("home.html", Alpha, Beta, Profile))
    assert [section.name for section in response.page.sections] == ["alpha", "beta", "profile"]
    assert backend.names == ["profile", "beta", "alpha"]
    assert response.page.complete


def test_one_may_need_several_that_need_the_same(
    ask: Ask, style: str, backend: Backend, follow: Follow
) -> None:
    follow(alpha=("profile",), beta=("profile",), gamma=("alpha", "beta"))
    assert ask(style, PAGE).page.complete
    assert (backend.names[0], backend.names[-1]) == ("profile", "gamma")
    asked = {"alpha": "alpha speaks", "beta": "beta speaks", "isbn": "9"}
    assert dict(backend.find("gamma").query_params) == asked


@AT_ONCE
def test_then_those_run_at_once(ask: Ask, style: str, backend: Backend, follow: Follow) -> None:
    follow(alpha=("profile",), beta=("profile",), gamma=("alpha", "beta"))
    backend.meet("alpha", "beta")
    assert ask(style, PAGE).page.complete


def test_a_streamed_page_shows_the_rest_while_one_waits_for_another(
    async_client: AsyncClient, backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings.ROOT_URLCONF = conftest.__name__
    monkeypatch.setitem(conftest.SHOWN, "page", Page("home.html", Alpha, Profile, Beta))
    backend.gates["profile"] = Event()

    async def get() -> list[str]:
        response: Any = await async_client.get("/stream/9/")
        parts = aiter(response)
        shell = await anext(parts)
        beta = await anext(parts)
        assert backend.names.count("alpha") == 0
        backend.gates["profile"].set()
        return [part.decode() for part in (shell, beta, await anext(parts), await anext(parts))]

    _, *sections = async_to_sync(get)()
    for name, part in zip(("beta", "profile", "alpha"), sections, strict=True):
        assert f'id="section-{name}" slot="{name}" class="ok"' in part


# What becomes of a call whose parent has no answer, or no new one.


def test_a_parent_that_failed_costs_only_its_children(
    ask: Ask, style: str, backend: Backend, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    follow(alpha=("profile",), beta=("alpha",))
    monkeypatch.setattr(Profile, "stale_for", 0.0)
    assert ask(style, PAGE).page.complete  # so that there would be older answers
    backend.asked.clear()
    backend.says["profile"] = 500
    response = ask(style, PAGE)
    assert response.status_code == 200
    assert get_errors(response) == {
        "alpha": "needs profile",
        "beta": "needs alpha",
        "gamma": "",
        "profile": "answered with status 500",
    }
    states = [section.state for section in response.page.sections]
    assert states == ["failed", "failed", "ok", "failed"]
    assert set(backend.names) == {"profile", "gamma"}


def test_a_call_that_could_not_be_made_says_nothing_of_its_service(
    ask: Ask, style: str, backend: Backend
) -> None:
    backend.says["profile"] = 500
    for _ in range(FAILURES):
        assert get_errors(ask(style, PAGE))["alpha"] == "needs profile"
    [alpha] = find_services([Alpha])
    assert alpha.breaker.state == "closed"


def test_a_required_child_of_a_parent_that_is_gone_is_a_503(
    ask: Ask, style: str, backend: Backend
) -> None:
    backend.says["profile"] = 404
    assert ask(style, Page("home.html", Alpha, Profile, Beta, required=[Alpha])).status_code == 503
    backend.says["profile"] = 404
    both = Page("home.html", Alpha, Profile, Beta, required=[Alpha, Profile])
    assert ask(style, both).status_code == 404


def test_a_parent_that_is_stale_is_good_enough(ask: Ask, style: str, backend: Backend) -> None:
    ask(style, PAGE)
    backend.asked.clear()
    backend.says["profile"] = 500
    states = [section.state for section in ask(style, PAGE).page.sections]
    assert states == ["ok", "ok", "ok", "stale"]
    assert backend.find("alpha").query_params["profile"] == "profile speaks"


def test_a_parent_that_is_empty_is_there(ask: Ask, style: str, backend: Backend) -> None:
    backend.says["profile"] = 204
    assert ask(style, PAGE).page.complete
    assert backend.find("alpha").query_params["profile"] == "Profile"


def test_so_is_one_that_did_not_have_to_be_asked(
    ask: Ask, style: str, backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Profile, "request", lambda self, visit: None)
    assert ask(style, PAGE).page.complete
    assert backend.find("alpha").query_params["profile"] == "Profile"
    assert "profile" not in backend.names


def test_a_parent_that_is_not_on_the_page_is_not_there(
    ask: Ask, style: str, backend: Backend
) -> None:
    response = ask(style, Page("home.html", Alpha, Beta))
    assert get_errors(response) == {"alpha": "needs profile", "beta": ""}
    assert backend.names == ["beta"]


def test_pages_at_the_same_time_have_answers_of_their_own(backend: Backend) -> None:
    backend.says["profile"] = lambda request: {"title": request.query_params["isbn"], "items": []}

    async def visit(isbn: str) -> str:
        made = make_visit()
        made.request.resolver_match = conftest.make_match(isbn)
        _, alpha = await ask_all(made, Profile, Alpha)
        assert alpha.state == "ok"
        return isbn

    async def visit_all() -> list[str]:
        return await asyncio.gather(*[visit(str(isbn)) for isbn in range(20)])

    asyncio.run(visit_all())
    asked = [dict(r.query_params) for r in backend.asked if r.url.path == "/alpha/"]
    assert len(asked) == 20
    assert all(query["profile"] == query["isbn"] for query in asked)


# Viewers.


@pytest.mark.django_db
def test_no_viewer_gets_what_the_parent_of_another_said(
    ask: Ask,
    style: str,
    backend: Backend,
    client: Client,
    async_client: AsyncClient,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Profile, "request", Service.request)
    monkeypatch.setattr(Profile, "personal", True)
    monkeypatch.setattr(Alpha, "cache_for", 600.0)
    backend.says["profile"] = lambda request: {"title": request.query_params["user"], "items": []}
    backend.says["alpha"] = lambda request: {"title": request.query_params["profile"], "items": []}

    def visit(name: str) -> Any:
        user = make_user(name)
        client.force_login(user)
        async_client.force_login(user)
        alpha, *_ = ask(style, PAGE).page.sections
        return alpha.title == str(user.pk), alpha.state

    assert visit("anna") == (True, "ok")
    assert visit("bert") == (True, "ok")
    backend.says["alpha"] = 500
    assert visit("carl") == (False, "failed")  # and nothing older of anna or bert
    assert backend.names.count("alpha") == 3


# Time.


@pytest.mark.parametrize("way", WAYS)
def test_a_call_gets_what_its_parent_has_left_of_the_deadline(
    backend: Backend, monkeypatch: pytest.MonkeyPatch, way: str
) -> None:
    now, seconds = [0.0], {}
    monkeypatch.setattr(Deadline, "elapsed", lambda self: now[0])
    start = module._start

    def note(service: Service, visit: Visit) -> Call:
        call = start(service, visit)
        seconds[service.name] = call.seconds
        return call

    monkeypatch.setattr(module, "_start", note)
    visit = make_visit(seconds=20.0)
    for service in find_services([Profile, Alpha]):
        assert WAYS[way](service, visit).state == "ok"
        now[0] += 12.0
    assert seconds == pytest.approx({"profile": SHARE * 20, "alpha": SHARE * 8})


def test_who_waits_at_once_gets_no_more(backend: Backend, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(Deadline, "elapsed", lambda self: now[0])

    def answer(request: Any) -> dict[str, object]:
        now[0] = 19.0
        return {"title": "Late", "items": []}

    backend.says["profile"], starts = answer, []

    async def call() -> None:
        _, alpha = await ask_all(make_visit(seconds=20.0), Profile, Alpha)
        starts.append(alpha.start)

    asyncio.run(call())
    assert starts == [19.0]


def test_a_deadline_that_is_over_ends_the_children_too(
    ask: Ask, style: str, backend: Backend, settings: Settings
) -> None:
    settings.FANOUT_DEADLINE = 0.5
    backend.gates["profile"] = Event()
    errors = get_errors(ask(style, PAGE))
    assert errors["profile"].startswith("did not answer within 0.")
    assert errors["alpha"] == "needs profile"


# Who leaves.


@pytest.mark.parametrize("style", ["naive", "gather", "stream"])
def test_a_visitor_who_leaves_while_one_waits_ends_all(
    async_client: AsyncClient,
    backend: Backend,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    style: str,
) -> None:
    settings.ROOT_URLCONF = conftest.__name__
    monkeypatch.setitem(conftest.SHOWN, "page", Page("home.html", Alpha, Profile))
    backend.gates["profile"] = Event()

    async def get() -> None:
        response: Any = await async_client.get(f"/{style}/9/")
        async for _ in response:
            pass

    async def leave() -> None:
        async with pool():  # as a server has it: the calls are on this loop
            before = asyncio.all_tasks()
            page = asyncio.create_task(get())
            await backend.wait_for("profile")
            page.cancel()
            await asyncio.wait([page])
            assert page.cancelled()
            if left := asyncio.all_tasks() - before:  # gather waits for the first that ends
                await asyncio.wait(left, timeout=20)
            assert asyncio.all_tasks() == before

    async_to_sync(leave)()
    assert "alpha" not in backend.names


def test_a_parent_that_is_cancelled_lets_its_child_go(backend: Backend) -> None:
    backend.gates["profile"] = Event()

    async def cancel() -> Section:
        visit = make_visit()
        profile, alpha = (
            asyncio.create_task(afetch(service, visit))
            for service in find_services([Profile, Alpha])
        )
        await backend.wait_for("profile")
        profile.cancel()
        async with asyncio.timeout(20):
            return await alpha

    assert asyncio.run(cancel()).error == "needs profile"


def test_a_child_may_be_called_twice(backend: Backend) -> None:
    async def call() -> Any:
        async with pool(), asyncio.timeout(20):
            return await ask_all(make_visit(), Profile, Alpha, Alpha)

    assert [section.state for section in asyncio.run(call())] == ["ok"] * 3
    assert backend.names == ["profile", "alpha"]  # equal calls at the same time are one


def test_sections_that_nobody_takes_any_more_end_with_their_calls(
    backend: Backend,
) -> None:
    backend.gates["profile"] = Event()

    async def close() -> None:
        async with pool():
            before = asyncio.all_tasks()
            arriving = afetch_as_completed(find_services([Profile, Alpha, Beta]), make_visit())
            assert [section.name for section in await anext(arriving)] == ["beta"]
            await arriving.aclose()
            assert asyncio.all_tasks() == before

    asyncio.run(close())
    assert "alpha" not in backend.names
