"""manage.py services, fakes record and fakes check, against a backend that is no fake."""

import io
import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import OperationalError
from django.http import HttpResponse
from django.urls import path
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from engine.commands import read_until, run_commands
from engine.conftest import serve
from fakes.app import create_app
from fanout import ClientCredentials, Secret, Service, Visit
from fanout.pages.page import Page

ITEMS = {"items": [{"title": "Roads"}]}


class _Patient(Service):
    timeout = 30.0


class Plain(_Patient):
    personal = True


class Reviews(_Patient):
    """A key in a header and in the query, below the address."""

    key = Secret("REVIEWS_KEY")
    empty = (204, 404)

    def request(self, visit: Visit) -> httpx.Request:
        url = self.url.join("v2/books").copy_merge_params({"lang": "en", "apikey": self.key})
        return httpx.Request("GET", url, headers={"X-Key": self.key, "Cookie": "id=c00kie-of-ours"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [{"title": row["name"]} for row in response.json()["results"]]}


class Novels(_Patient):
    """GraphQL, with a password in the address."""

    def request(self, visit: Visit) -> httpx.Request:
        name = "Books" if visit.viewer else "Authors"
        return httpx.Request("POST", self.url, json={"operationName": name})


class Guarded(_Patient):
    """OAuth2, for whoever is told so by another one."""

    after = ("plain",)
    secret = Secret("GUARDED_SECRET")

    @property
    def auth(self) -> httpx.Auth:
        return ClientCredentials(self.url.join("/token"), "shop", self.secret)

    def request(self, visit: Visit) -> httpx.Request:
        title = visit.sections["plain"].items[0]["title"]
        return httpx.Request("GET", self.url.copy_merge_params({"like": title}))


class Elsewhere(_Patient):
    def request(self, visit: Visit) -> httpx.Request | None:
        return httpx.Request("GET", self.url.join("/else")) if visit.request.GET else None


class Book(_Patient):
    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url.join(visit.kwargs["isbn"]))


class Homeless(_Patient):
    """On no page."""


NAMES = ["plain", "reviews", "novels", "guarded", "elsewhere"]
PAGES = {"page": Page("book.html", Book)}


def view(request: object, **_: object) -> HttpResponse:
    raise NotImplementedError


urlpatterns = [
    path("", view),
    path("books/<isbn>/", view, PAGES, name="book"),
    path("guarded/", view, {"page": Page("guarded.html", Guarded, Plain)}),
]


class Backend:
    """Answers each path with what is in `answers`, and knows who called."""

    def __init__(self) -> None:
        self.address = ""
        self.answers: dict[str, Response | dict[str, Any]] = {}
        self.calls: list[str] = []

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        request = Request(scope, receive)
        self.calls.append(f"{request.method} {request.url.path}")
        answer = self.answers.get(request.url.path, Response(status_code=404))
        if isinstance(answer, dict):
            asked = {**request.headers, "query": request.url.query}
            answer = JSONResponse({**answer, "asked": asked})
        await answer(scope, receive, send)


@pytest.fixture
def backend(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Backend]:
    """All services have an address there, and the project is an empty folder."""
    backend = Backend()
    backend.answers = {
        "/plain/": ITEMS,
        "/reviews/v2/books": {"results": [{"name": "A", "stars": 1}, {"name": "B"}]},
        "/novels/": ITEMS,
        "/guarded/": ITEMS,
        "/token": JSONResponse({"access_token": "t0ken-of-ours"}),
        "/books/9": ITEMS,
        "/homeless/": ITEMS,
    }
    settings.ROOT_URLCONF = settings.FANOUT_CLASSES = __name__
    settings.FANOUT_SERVICES, settings.OPTIONS, settings.BASE_DIR = NAMES, {}, tmp_path
    settings.FAKES_URL = "http://127.0.0.1:1"
    monkeypatch.setenv("REVIEWS_KEY", "s3cret")
    monkeypatch.setenv("GUARDED_SECRET", "gu4rded")
    with serve(backend, lifespan="off") as address:
        backend.address = address
        settings.FANOUT_URLS = {name: f"{address}/{name}/" for name in NAMES}
        settings.FANOUT_URLS["novels"] = f"{address}/novels/?token=undeclared".replace(
            "://", "://shop:p4ssword@"
        )
        monkeypatch.setenv("BOOK_URL", f"{address}/books/")
        monkeypatch.setenv("HOMELESS_URL", f"{address}/homeless/")
        yield backend


Answer = Callable[[Response | dict[str, Any]], None]


@pytest.fixture
def answer_alone(backend: Backend, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Answer:
    """Let there be no service but `plain`, without a class, with this answer."""
    monkeypatch.setattr(f"{__name__}.urlpatterns", urlpatterns[:1])
    settings.FANOUT_SERVICES, settings.FANOUT_CLASSES = ["plain"], "engine"
    settings.OPTIONS = {"plain": {"timeout": 30.0}}

    def answer_alone(answer: Response | dict[str, Any]) -> None:
        backend.answers["/plain/"] = answer

    return answer_alone


def run(*command: str, stderr: Any = None) -> tuple[str, str]:
    """What a command prints, and the sentence it fails with."""
    stdout = io.StringIO()
    try:
        call_command(*command, stdout=stdout, stderr=stderr or io.StringIO())
    except CommandError as error:
        return stdout.getvalue(), str(error)
    return stdout.getvalue(), ""


def load(tmp_path: Path, name: str) -> Any:
    return json.loads((tmp_path / f"homepage/fakes/{name}.json").read_text("utf-8"))


def test_services_says_how_each_does(backend: Backend) -> None:
    backend.answers["/reviews/v2/books"] = JSONResponse(
        {"results": []}, headers={"Cache-Control": "max-age=60, stale-if-error=600"}
    )
    printed, failed = run("services")
    words = [line.split() for line in printed.splitlines()]
    assert words[0][:5] == ["service", "state", "status", "seconds", "bytes"]
    assert words[0][5:] == ["items", "fresh_for", "stale_for", "where"]
    states = {line[0]: line[1:3] for line in words[1:8]}
    assert states.pop("elsewhere")[0] == "ok"  # has no status: what follows is how long it took
    assert states == {
        "plain": ["ok", "200"],
        "reviews": ["ok", "200"],
        "novels": ["ok", "200"],
        "guarded": ["ok", "200"],
        "book": ["not", "called"],
        "homeless": ["ok", "200"],
    }
    [reviews] = (line for line in words[1:8] if line[0] == "reviews")
    assert reviews[5:] == ["0", "60.0", "600.0", f"{backend.address}/reviews/v2/books"]
    assert f"{backend.address}/novels/\n" in printed
    assert "book: needs 'isbn' in the path of its page: give that by --path\n" in printed
    assert "elsewhere: nothing was asked" in printed
    assert not failed
    for secret in ("s3cret", "undeclared", "p4ssword", "gu4rded"):
        assert secret not in printed


def test_services_calls_each_once_and_what_others_need_before_them(backend: Backend) -> None:
    run("services", "--path", "/guarded/")
    assert backend.calls == ["GET /plain/", "POST /token", "GET /guarded/"]


def test_services_is_json_for_programs(backend: Backend) -> None:
    del backend.answers["/plain/"]
    printed, failed = run("services", "--json")
    rows = {row["service"]: row for row in json.loads(printed)}
    assert failed == "Not well: plain, guarded."
    assert rows["plain"]["problem"].startswith("404; PLAIN_URL may be wrong")
    assert rows["guarded"]["problem"] == "needs plain"
    assert rows["novels"] | {"seconds": 0, "bytes": 0} == {
        "service": "novels",
        "state": "ok",
        "status": 200,
        "seconds": 0,
        "bytes": 0,
        "items": 1,
        "fresh_for": 0.0,
        "stale_for": 300.0,
        "where": f"{backend.address}/novels/",
        "problem": "",
    }
    assert rows["book"].keys() == rows["novels"].keys()


@pytest.mark.django_db
def test_services_calls_as_a_user_and_for_a_page(backend: Backend, tmp_path: Path) -> None:
    user = get_user_model()._default_manager.create(username="ada")
    run("services", "--user", "ada")
    assert run("services", "--user", "eve")[1] == (
        "The database does not say who 'eve' is: User matching query does not exist."
    )
    assert run("services", "--path", "/books/9/")[1] == ""
    assert backend.calls[-1] == "GET /books/9"
    wrong = "There is no page /nope/; a path is like /books/9/."
    assert run("services", "--path", "/nope/")[1] == wrong
    assert run("fakes", "record", "plain", "--user", "ada")[1] == ""
    assert load(tmp_path, "plain")[0]["path"] == f"?user={user.pk}"


def test_a_database_that_does_not_answer_is_a_sentence(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(name: str) -> None:
        raise OperationalError("no such table: auth_user")

    monkeypatch.setattr(get_user_model()._default_manager, "get_by_natural_key", fail)
    assert run("services", "--user", "ada")[1] == (
        "The database does not say who 'ada' is: no such table: auth_user"
    )


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Response(status_code=401), "401; no Secret of its class is set"),
        (Response(status_code=422), "422; it does not take what is sent"),
        (Response(status_code=429), "429; it is busy or broken, which nothing here can mend"),
        (Response(status_code=500), "500; it is busy or broken, which nothing here can mend"),
        (Response(status_code=301), "301; redirects are not followed: PLAIN_URL has to be where"),
        (Response("<p>"), "answered with something that is not JSON; `read` of its class says"),
        (JSONResponse({}), "answered with an object without items; `read` of its class says"),
        (Response("x" * 2**21), "answered with more than 1048576 bytes; `max_bytes` of its class"),
    ],
)
def test_what_is_wrong_is_said_with_the_way_out(
    answer_alone: Answer, answer: Response, problem: str
) -> None:
    answer_alone(answer)
    printed, failed = run("services")
    assert f"\nplain: {problem}" in printed
    assert failed == "Not well: plain."


def test_a_refused_secret_is_named_and_not_shown(backend: Backend, settings: Settings) -> None:
    settings.FANOUT_SERVICES = ["plain", "reviews", "guarded"]
    backend.answers |= {path: Response(status_code=401) for path in ("/reviews/v2/books", "/token")}
    printed, _ = run("services")
    assert "\nreviews: 401; REVIEWS_KEY is set, but refused\n" in printed
    assert "guarded: gets no token: 127.0.0.1 says 401; GUARDED_SECRET is set, but" in printed
    assert "s3cret" not in printed


def test_a_secret_that_is_not_set_is_named(
    backend: Backend, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REVIEWS_KEY")
    printed, _ = run("services")
    assert "request: REVIEWS_KEY is not set; it belongs into .env or the environment" in printed


def test_a_mistake_in_a_class_is_said_once(
    backend: Backend, caplog: pytest.LogCaptureFixture
) -> None:
    backend.answers["/reviews/v2/books"] = JSONResponse({"rows": []})
    caplog.set_level("WARNING", "fanout")
    printed, _ = run("services")
    assert not caplog.records  # nothing is said twice
    assert "Reviews.read: KeyError 'results'; `read` of its class says what" in printed


def test_an_address_where_nothing_runs_is_said(answer_alone: Answer, settings: Settings) -> None:
    settings.FANOUT_URLS = {"plain": "http://127.0.0.1:1/plain/"}
    printed, _ = run("services")
    assert " http://127.0.0.1:1/plain/\n" in printed
    assert "; no fakes are at FAKES_URL: run manage.py dev, or set PLAIN_URL" in printed
    settings.FAKES_URL = ""
    assert "; PLAIN_URL may be wrong, or nothing is there" in run("services")[0]
    settings.FANOUT_URLS = {"plain": ""}
    printed, _ = run("services", "--skip-checks")
    assert "PLAIN_URL is not set; it belongs into .env or the environment" in printed


def test_a_call_that_takes_too_long_is_said(
    answer_alone: Answer, settings: Settings, fakes: str
) -> None:
    settings.FANOUT_URLS = {"plain": f"{fakes}/alpha/?fault=hang"}
    settings.OPTIONS = {"plain": {"timeout": 0.2}}
    printed, _ = run("services")
    assert "; `timeout` of its class is 0.2 s" in printed


def test_progress_is_shown_where_somebody_looks_on(answer_alone: Answer) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    printed, _ = run("services", stderr=terminal)
    assert "1 of 1: calling plain" in terminal.getvalue()
    assert terminal.getvalue().endswith(f"{'':79}\r")
    assert "calling" not in printed


def test_services_needs_nothing_but_what_production_has(tmp_path: Path) -> None:
    text = """
import sys
from engine.settings import *

sys.modules |= dict.fromkeys(["starlette", "rich"])
FANOUT_SERVICES = ["promo"]
FANOUT_URLS = {"promo": "http://127.0.0.1:1/"}
"""
    with run_commands(tmp_path, text, {}) as manage:
        process = manage("services")
        read_until(process, "PROMO_URL may be wrong, or nothing is there")
        assert process.wait(60) == 1


Record = Callable[[Response | dict[str, Any]], tuple[str, str]]


@pytest.fixture
def record(answer_alone: Answer) -> Record:
    """Record an answer of `plain`."""

    def record(answer: Response | dict[str, Any]) -> tuple[str, str]:
        answer_alone(answer)
        return run("fakes", "record", "plain", "--noinput")

    return record


def test_record_keeps_what_came_without_what_is_secret(backend: Backend, tmp_path: Path) -> None:
    printed, failed = run("fakes", "record", "reviews", "novels", "guarded")
    assert "reviews: GET /reviews/v2/books?lang=en is recorded\n" in printed
    assert printed.endswith("Read what is new in homepage/fakes/ before you commit it.\n")
    assert not failed
    [reviews], [novels], [guarded] = (load(tmp_path, n) for n in ("reviews", "novels", "guarded"))
    assert (reviews["method"], reviews["path"]) == ("GET", "v2/books?lang=en")
    assert reviews["json"]["asked"]["x-key"] == "***"
    assert (novels["method"], novels["path"], novels["operation"]) == ("POST", "", "Authors")
    assert novels["json"]["asked"]["authorization"] == "Basic ***"
    assert guarded["path"] == "?like=Roads"
    assert guarded["json"]["asked"]["authorization"] == "Bearer ***"
    files = [*(tmp_path / "homepage/fakes").iterdir()]
    assert {file.name for file in files} == {"reviews.json", "novels.json", "guarded.json"}
    for text in [file.read_text("utf-8") for file in files]:
        for secret in ("s3cret", "c00kie", "t0ken", "gu4rded", "p4ssword"):
            assert secret not in text


def test_record_keeps_the_headers_that_matter(record: Record, tmp_path: Path) -> None:
    kept = {"cache-control": "max-age=9", "link": "</?page=2>; rel=next", "x-total-count": "7"}
    more = {"set-cookie": "session=c00kie", "etag": "x", "server": "y"}
    text = json.dumps({"b": ["é"], "a": "\u2603", **ITEMS})
    record(Response(text, media_type="application/json", headers={**kept, **more}))
    [exchange] = load(tmp_path, "plain")
    assert exchange == {
        "method": "GET",
        "path": "",
        "status": 200,
        "headers": {"content-type": "application/json", **kept},
        "json": {"a": "\u2603", "b": ["é"], **ITEMS},
    }
    text = (tmp_path / "homepage/fakes/plain.json").read_text("utf-8")
    assert text.index('"a"') < text.index('"b"') < text.index("é")


@pytest.mark.parametrize(
    ("answer", "exchange"),
    [
        (Response(status_code=204), {"status": 204, "headers": {}, "text": ""}),
        (
            Response("<a>é</a>", headers={"Content-Type": "text/xml"}),
            {"status": 200, "headers": {"content-type": "text/xml"}, "text": "<a>é</a>"},
        ),
        (
            Response("[1]", headers={"Content-Type": "application/hal+json"}),
            {"status": 200, "headers": {"content-type": "application/hal+json"}, "json": [1]},
        ),
        (Response("[NaN]"), {"status": 200, "headers": {}, "text": "[NaN]"}),
    ],
)
def test_an_answer_of_any_kind_is_recorded_and_served(
    record: Record, tmp_path: Path, answer: Response, exchange: dict[str, Any]
) -> None:
    record(answer)
    assert load(tmp_path, "plain") == [{"method": "GET", "path": "", **exchange}]
    with serve(create_app({"plain": 0}, tmp_path / "homepage/fakes")) as address:
        served = httpx.get(f"{address}/plain/")
    assert (served.status_code, served.text) == (answer.status_code, bytes(answer.body).decode())


@pytest.mark.parametrize(
    ("answer", "problem"),
    [
        (Response(status_code=401), "401; no Secret of its class is set"),
        (JSONResponse({}, 503), "503; it is busy or broken, which nothing here can mend"),
        (Response('{"no": 1}', 404), "404; PLAIN_URL may be wrong, or nothing is there"),
        (Response(b"caf\xe9"), "'utf-8' codec can't decode byte 0xe9"),
        (JSONResponse({"a": ["b"] * 90_000}), "plain.json would have more than"),
    ],
)
def test_what_is_no_answer_is_not_recorded(
    record: Record, tmp_path: Path, answer: Response, problem: str
) -> None:
    record(ITEMS)
    printed, failed = record(answer)
    assert f"plain: {problem}" in printed
    assert failed == "Not recorded: plain."
    assert load(tmp_path, "plain")[0]["json"]["items"] == ITEMS["items"]


def test_a_token_is_no_answer(backend: Backend, tmp_path: Path) -> None:
    backend.answers["/guarded/"] = Response("{", headers={"Content-Length": "1000"})
    printed, failed = run("fakes", "record", "guarded")
    assert "guarded: broke off: " in printed
    assert failed == "Not recorded: guarded."
    assert not (tmp_path / "homepage").exists()


def test_what_cannot_be_read_is_recorded_so_that_it_can_be(
    backend: Backend, tmp_path: Path
) -> None:
    backend.answers["/reviews/v2/books"] = JSONResponse({"rows": []})
    printed, failed = run("fakes", "record", "reviews")
    assert "is recorded; engine.test_recording.Reviews.read: KeyError 'results'" in printed
    assert load(tmp_path, "reviews")[0]["json"] == {"rows": []}
    assert not failed


def test_an_address_that_no_fake_can_have_is_said(backend: Backend) -> None:
    backend.answers["/else"] = ITEMS
    printed, failed = run("fakes", "record", "elsewhere", "--path", "/?x=1")
    assert "elsewhere: does not make its address from self.url" in printed
    assert failed == "Not recorded: elsewhere."
    assert run("fakes", "record", "elsewhere")[1] == ""  # nothing to ask


def test_other_exchanges_stay_and_none_hides_a_new_one(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "homepage/fakes").mkdir(parents=True)
    mine: list[object] = [{"path": "a"}, {"method": "POST", "text": "any"}, {"path": "b"}]
    file = tmp_path / "homepage/fakes/novels.json"
    file.write_text(json.dumps(mine), "utf-8")
    for name in ("Old", "New"):
        backend.answers["/novels/"] = JSONResponse({"items": [{"title": name}]})
        run("fakes", "record", "novels", "--noinput")
        first, new, *others = load(tmp_path, "novels")
        assert [first, *others] == mine
        assert (new["operation"], new["json"]["items"][0]["title"]) == ("Authors", name)


def test_an_exchange_that_says_nothing_is_one(record: Record, tmp_path: Path) -> None:
    (tmp_path / "homepage/fakes").mkdir(parents=True)
    (tmp_path / "homepage/fakes/plain.json").write_text("[{}]", "utf-8")
    assert "the media type was none, is" in run("fakes", "check", "plain")[0]
    record(ITEMS)
    assert len(load(tmp_path, "plain")) == 1


@pytest.mark.parametrize(("said", "kept"), [("y", "New"), ("", "Old"), (None, "Old")])
def test_record_asks_before_it_overwrites(
    record: Record,
    answer_alone: Answer,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    said: str | None,
    kept: str,
) -> None:
    asked: list[str] = []

    def answer(question: str) -> str:
        asked.append(question)
        if said is None:
            raise EOFError
        return said

    monkeypatch.setattr("builtins.input", answer)
    old, new = ({"items": [{"title": title}]} for title in ("Old", "New"))
    answer_alone(JSONResponse(old))
    assert "is recorded\n" in run("fakes", "record", "plain")[0]
    run("fakes", "record", "plain")
    assert not asked
    answer_alone(JSONResponse(new))
    printed, failed = run("fakes", "record", "plain")
    assert asked == ["Overwrite homepage/fakes/plain.json? [y/N] "]
    assert load(tmp_path, "plain")[0]["json"]["items"][0]["title"] == kept
    assert ("is not recorded" in printed) is (said == "")
    assert ("Nobody answers" in failed) is (said is None)


def test_a_file_is_written_whole_or_not_at_all(
    record: Record, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(half: Path, file: Path) -> None:
        assert json.loads(half.read_text("utf-8"))  # whole before it takes the place
        raise PermissionError(13, "Permission denied", str(file))

    record(ITEMS)
    before = load(tmp_path, "plain")
    monkeypatch.setattr(Path, "replace", fail)
    printed, failed = record({"items": []})
    assert "Permission denied" in printed
    assert failed == "Not recorded: plain."
    assert load(tmp_path, "plain") == before
    assert [file.name for file in (tmp_path / "homepage/fakes").iterdir()] == ["plain.json"]


def test_a_file_that_is_wrong_is_a_sentence(record: Record, tmp_path: Path) -> None:
    record(ITEMS)
    (tmp_path / "homepage/fakes/plain.json").write_text("{", "utf-8")
    for printed, failed in (record(ITEMS), run("fakes", "check")):
        assert "plain: homepage/fakes/plain.json is not JSON: " in printed
        assert "ecorded: plain." in failed


def test_names_are_checked(backend: Backend) -> None:
    assert run("fakes", "record", "nobody")[1].startswith("There is no nobody; there are plain, ")
    page = run("fakes", "check", "plain", "--path", "/books/9/")[1]
    assert page == "There is no plain; there are book."
    printed, failed = run("fakes", "record", "book")
    assert "book: needs 'isbn' in the path of its page: give that by --path" in printed
    assert failed == "Not recorded: book."


def test_a_fake_is_neither_recorded_nor_checked(
    answer_alone: Answer, settings: Settings, tmp_path: Path
) -> None:
    way = "There is no address but that of the fake: set PLAIN_URL."
    settings.FANOUT_URLS = {"plain": f"{settings.FAKES_URL}/plain/"}
    assert run("fakes", "record", "plain") == ("", way)
    assert run("fakes", "record") == ("", way)
    assert run("fakes", "check", "plain") == ("", way)
    assert run("fakes", "check") == ("", "")
    assert not (tmp_path / "homepage").exists()


def test_what_is_not_faked_is_recorded(backend: Backend, settings: Settings) -> None:
    settings.FANOUT_URLS["novels"] = f"{settings.FAKES_URL}/novels/"
    printed, failed = run("fakes", "record")
    called = {line.split(":")[0] for line in printed.splitlines()[:-1]}
    assert called == {*NAMES, "book", "homeless"} - {"novels"}
    assert failed == "Not recorded: book."


def test_check_finds_what_was_recorded(backend: Backend, tmp_path: Path) -> None:
    names = ("plain", "reviews", "novels", "guarded")
    run("fakes", "record", *names)
    run("fakes", "record", "book", "--path", "/books/9/")
    printed, failed = run("fakes", "check")
    assert not failed
    assert printed.splitlines() == [
        "plain: GET /plain/ is as recorded",
        "reviews: GET /reviews/v2/books?lang=en is as recorded",
        "novels: POST /novels/ (Authors) is as recorded",
        "elsewhere: nothing is recorded",
        "book: GET /book/9 is as recorded",
        "homeless: nothing is recorded",
        "guarded: GET /guarded/?like=Roads is as recorded",
    ]
    assert backend.calls[-2] == "GET /books/9"  # of the page where it was recorded


def test_check_says_what_is_another_shape(record: Record, answer_alone: Answer) -> None:
    def see(answer: Response) -> tuple[list[str], str]:
        answer_alone(answer)
        printed, failed = run("fakes", "check", "plain")
        return printed.splitlines(), failed

    record(JSONResponse({"items": [{"title": "A", "rating": 4}]}))
    said, failed = see(JSONResponse({"items": [{"title": "B", "rating": "4", "more": 1}]}))
    assert said == ["plain: items[].rating was a number, is text", "plain: items[].more is new"]
    assert failed == "Not as recorded: plain."
    assert see(JSONResponse({"items": []})) == (
        ["plain: items is empty today: nothing to compare"],
        "",
    )
    assert see(JSONResponse({}, 201)) == (["plain: the status was 200, is 201"], failed)
    broken = "plain: 500; it is busy or broken, which nothing here can mend"
    assert see(JSONResponse({}, 500)) == ([broken], failed)
    assert see(Response("x" * 2**21))[1] == failed


def test_what_is_nested_too_deeply_is_a_sentence(
    record: Record, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise RecursionError("maximum recursion depth exceeded")

    record(ITEMS)
    monkeypatch.setattr("fakes.management.commands.fakes.compare", fail)
    printed, failed = run("fakes", "check", "plain")
    assert printed == "plain: maximum recursion depth exceeded\n"
    assert failed == "Not as recorded: plain."


def test_check_says_what_it_could_not_compare(backend: Backend, tmp_path: Path) -> None:
    (tmp_path / "homepage/fakes").mkdir(parents=True)
    for name, exchanges in {
        "plain": [{"path": "other", "json": {}}],
        "book": [{"path": "9", "json": ITEMS}],
    }.items():
        (tmp_path / f"homepage/fakes/{name}.json").write_text(json.dumps(exchanges), "utf-8")
    printed, failed = run("fakes", "check", "plain", "book")
    assert printed.splitlines() == [
        "plain: GET /plain/ is not recorded",
        "book: needs 'isbn' in the path of its page: give that by --path",
    ]
    assert failed == "Not as recorded: plain."
    assert run("fakes", "check", "book", "--path", "/books/9/") == (
        "book: asked is new\n",
        "",
    )
