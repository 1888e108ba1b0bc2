"""The fakes give the same answers always, and say what they do not understand."""

import json
import re
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from pathlib import Path

import httpx
import pytest

from config.generated import SERVICES
from engine.commands import find_free_ports, read_until, run_commands
from engine.conftest import serve
from fakes.app import create_app, get_latencies_ms
from fakes.catalogue import ANSWERS, get_answer, get_purchases
from fanout.calls.section import check_section

MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize("name", [*ANSWERS, *SERVICES, "something_else"])
def test_every_answer_is_a_section(name: str) -> None:
    answer = get_answer(name, "", MONDAY)
    assert answer == get_answer(name, "", MONDAY)
    assert check_section(answer, name) == answer
    assert answer["title"]
    assert len(answer["items"]) >= 3


def test_promo_changes_with_the_date_and_not_with_the_viewer() -> None:
    days = [MONDAY, date(2026, 11, 24), date(2026, 11, 25)]
    leading = [get_answer("promo", "", day)["items"][0]["title"] for day in days]
    assert len(set(leading)) == 3
    assert get_answer("promo", "7", MONDAY) == get_answer("promo", "", MONDAY)


def test_recco_recommends_from_what_the_viewer_has_bought() -> None:
    for user in ("1", "2"):
        bought = {f"Because you bought {book.title}" for book in get_purchases(user)}
        assert {item["text"] for item in get_answer("recco", user, MONDAY)["items"]} == bought
    assert get_answer("recco", "1", MONDAY) != get_answer("recco", "2", MONDAY)
    assert "bought" not in json.dumps(get_answer("recco", "", MONDAY))


def test_latencies_lie_between_50_and_150_ms_unless_they_are_set() -> None:
    names = [f"service_{number}" for number in range(1000)]
    assert {50, 150} <= set(get_latencies_ms(names).values()) <= set(range(50, 151))
    assert get_latencies_ms(["a", "b"], "a:7, b:400") == {"a": 7, "b": 400}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody/", 404),
        ("alpha/?fault=explode", 400),
        ("alpha/?fault=status:99", 400),
        ("alpha/?latency_ms=soon", 400),
        ("alpha/?barrier=few", 400),
        ("alpha/?fault=status:418", 418),
    ],
)
def test_a_wrong_wish_is_refused(fakes: str, path: str, status: int) -> None:
    assert httpx.get(f"{fakes}/{path}").status_code == status


Write = Callable[[object], None]


@pytest.fixture
def reviews(tmp_path: Path) -> Iterator[str]:
    """The address of fakes for `alpha`, for `reviews` with a class of its own, and for `stock`."""
    names = dict.fromkeys(["alpha", "reviews", "stock"], 0)
    app = create_app(names, tmp_path / "fakes", ["reviews", "stock"])
    with serve(app, lifespan="off") as address:
        yield f"{address}/reviews/"


@pytest.fixture
def write(tmp_path: Path) -> Write:
    """Write the file of `reviews`."""

    def write(exchanges: object) -> None:
        (tmp_path / "fakes").mkdir(exist_ok=True)
        text = exchanges if isinstance(exchanges, str) else json.dumps(exchanges)
        (tmp_path / "fakes/reviews.json").write_text(text, encoding="utf-8")

    return write


@pytest.mark.parametrize(
    ("method", "path", "body", "answer"),
    [
        ("GET", "", None, "address"),
        ("HEAD", "", None, ""),
        ("GET", "books?page=2", None, "second page"),
        ("GET", "books?lang=de&page=2&size=9", None, "second page"),
        ("GET", "books?page=22", None, "books"),
        ("GET", "books", None, "books"),
        ("GET", "caf%C3%A9/a%20b", None, "café"),
        ("GET", "caf%C3%A9/a+b", None, "no answer"),
        ("GET", "/books", None, "books"),
        ("POST", "books", None, "made"),
        ("POST", "graphql", {"operationName": "Books", "query": "…"}, "all books"),
        ("POST", "graphql", {"operationName": "Authors"}, "anything"),
        ("POST", "graphql", ["operationName"], "anything"),
        ("BREW", "books", None, "no answer"),
        ("GET", "books/", None, "no answer"),
        ("GET", "..%2Fbooks", None, "no answer"),
    ],
)
def test_the_first_exchange_that_matches_answers(
    reviews: str, write: Write, method: str, path: str, body: object, answer: str
) -> None:
    write(
        [
            {"text": "address"},
            {"path": "books?page=2", "text": "second page"},
            {"path": "books", "text": "books"},
            {"path": "books", "text": "never"},
            {"path": "café/a b", "text": "café"},
            {"method": "POST", "path": "/books", "text": "made"},
            {"method": "POST", "path": "graphql", "operation": "Books", "text": "all books"},
            {"method": "POST", "path": "graphql", "text": "anything"},
        ]
    )
    response = httpx.request(method, f"{reviews}{path}", json=body)
    assert (response.text if response.is_success else "no answer") == answer


@pytest.mark.parametrize(
    ("exchange", "status", "media_type", "body"),
    [
        ({"json": {"price": "9 €"}}, 200, "application/json", '{"price": "9 \\u20ac"}'),
        ({"json": None, "status": 404}, 404, "application/json", "null"),
        (
            {"json": 1, "headers": {"content-type": "application/hal+json"}},
            200,
            "application/hal+json",
            "1",
        ),
        (
            {"text": "<a>é</a>", "headers": {"Content-Type": "text/xml"}},
            200,
            "text/xml",
            "<a>é</a>",
        ),
        (
            {"text": "x", "headers": {"Content-Length": "9", "Content-Encoding": "gzip"}},
            200,
            None,
            "x",
        ),
        ({"status": 204, "json": {}}, 204, None, ""),
        ({}, 200, None, ""),
    ],
)
def test_an_answer_has_the_status_the_headers_and_the_body_of_its_exchange(
    reviews: str, write: Write, exchange: object, status: int, media_type: str | None, body: str
) -> None:
    write([exchange])
    response = httpx.get(reviews)
    assert response.status_code == status
    if media_type:
        assert response.headers.get_list("Content-Type") == [media_type]
    assert response.content == body.encode()


def test_an_edit_is_served_at_once(reviews: str, write: Write) -> None:
    for price in (1, 2):
        write([{"json": price}])
        assert httpx.get(reviews).json() == price


@pytest.mark.parametrize(
    ("exchanges", "problem"),
    [
        ('[\n{"path": "a",}]', "is not JSON: .* line 2 column "),
        ({"path": "a"}, "is not a list of objects"),
        (["a"], "is not a list of objects"),
        ([{}, {"pth": "a"}], "has 'pth' in exchange 2; there are method, path, operation, status"),
        (
            [{"method": "post"}],
            "has \"post\" as 'method' of exchange 1; it is a method in capitals",
        ),
        ([{"path": 1}], "has 1 as 'path' of exchange 1; it is text"),
        ([{"operation": None}], "has null as 'operation' of exchange 1; it is text"),
        ([{"status": "1"}], "has \"1\" as 'status' of exchange 1; it is a number from 200 to 599"),
        ([{"status": 102}], "has 102 as 'status'"),
        ([{"headers": []}], "has \\[\\] as 'headers' of exchange 1; it is an object"),
        ([{"headers": {"X": 1}}], "has {\"X\": 1} as 'headers'"),
        ([{"headers": {"X": "a\r\nY: b"}}], "has .* as 'headers'"),
        ([{"headers": {"X": "€"}}], "has .* as 'headers'"),
        ([{"json": {}, "text": ""}], "has 'json' and 'text' in exchange 1; one is the body"),
        ([{"text": {}}], "has {} as 'text' of exchange 1; it is text"),
    ],
)
def test_a_wrong_file_is_a_sentence(
    reviews: str, write: Write, exchanges: object, problem: str
) -> None:
    write(exchanges)
    response = httpx.post(f"{reviews}books")
    assert response.status_code == 500
    assert re.match(rf"homepage/fakes/reviews\.json {problem}.*\.$", response.text)


def test_a_call_without_an_exchange_is_told_which_there_are(reviews: str, write: Write) -> None:
    write([])
    response = httpx.get(reviews)
    assert response.status_code == 404
    assert response.text == "homepage/fakes/reviews.json answers nothing; this was GET /reviews/."
    write([{"path": "books?page=1"}, {"method": "POST", "path": "graphql", "operation": "Books"}])
    response = httpx.post(
        f"{reviews}graphql?key=s3cret&latency_ms=0", json={"operationName": "Authors"}
    )
    assert response.status_code == 404
    assert response.text == (
        "homepage/fakes/reviews.json answers GET /reviews/books?page=1, "
        "POST /reviews/graphql (Books); this was POST /reviews/graphql?key=… (Authors)."
    )


@pytest.mark.parametrize(("method", "path"), [("POST", ""), ("GET", "books"), ("DELETE", "a/b")])
def test_the_catalogue_answers_get_at_the_address_alone(fakes: str, method: str, path: str) -> None:
    response = httpx.request(method, f"{fakes}/alpha/{path}")
    assert response.status_code == 404
    assert response.text == f"alpha answers GET /alpha/; this was {method} /alpha/{path}."


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "", {}),
        ("GET", "caf%C3%A9%3F/100%25?key=s3cret", {}),
        ("POST", "graphql", {"operationName": "Books"}),
        ("PUT", "a/b", {"operationName": ["Books"]}),
    ],
)
def test_a_class_without_a_file_is_told_what_to_write(
    reviews: str, write: Write, method: str, path: str, body: object
) -> None:
    response = httpx.request(method, f"{reviews}{path}", json=body)
    assert response.status_code == 501
    said = (
        "reviews calls or reads in its own way: set REVIEWS_URL and run manage.py fakes record "
        "reviews, or write homepage/fakes/reviews.json, as "
    )
    assert response.text.startswith(said)
    assert "s3cret" not in response.text
    write(response.text.removeprefix(said))
    assert httpx.request(method, f"{reviews}{path}", json=body).json() == {}
    assert httpx.request(method, reviews.replace("reviews", "stock")).status_code == 501


def test_a_file_answers_for_a_service_without_a_class(reviews: str, tmp_path: Path) -> None:
    address = reviews.replace("reviews", "alpha")
    assert httpx.get(address).json()["title"] == "Alpha"
    (tmp_path / "fakes").mkdir()
    (tmp_path / "fakes/alpha.json").write_text('[{"json": {"title": "Mine"}}]')
    assert httpx.get(address).json() == {"title": "Mine"}


@pytest.mark.parametrize("path", ["/v2/books", "/v2", "/..%2Fother/", "/%2e%2e/reviews/", "//"])
@pytest.mark.parametrize("method", ["GET", "POST"])
def test_an_address_of_nobody_is_told_who_is_there(
    reviews: str, write: Write, tmp_path: Path, method: str, path: str
) -> None:
    write([{}])
    (tmp_path / "other.json").write_text("[{}]")
    response = httpx.request(method, httpx.URL(reviews).copy_with(raw_path=path.encode()))
    assert response.status_code == 404
    assert "but alpha, reviews, stock." in response.text
    assert "self.url" in response.text


def test_calls_of_any_method_wait_for_each_other_and_are_counted(
    reviews: str, write: Write, tmp_path: Path
) -> None:
    write([{"method": "POST", "path": "a/b", "operation": "Books"}])
    (tmp_path / "fakes/stock.json").write_text('[{"method": "POST", "path": "a/b"}]')

    def call(address: str) -> int:
        query = "latency_ms=1&barrier=2&wait=50"
        url, body = f"{address}a/b?{query}", {"operationName": "Books"}
        return httpx.post(url, json=body, timeout=60).status_code

    with ThreadPoolExecutor(2) as threads:
        both = threads.map(call, [reviews, reviews.replace("reviews", "stock")])
    assert [*both] == [200, 200]
    page = httpx.get(httpx.URL(reviews).join("/")).text
    assert re.findall(r"(\d+) calls?<", page) == ["0", "1", "1"]


def test_the_command_serves_the_files_of_the_project_and_says_what_is_missing(
    tmp_path: Path,
) -> None:
    text = f"""
from pathlib import Path

import httpx
from engine.settings import *
from fanout import Service

BASE_DIR = Path({str(tmp_path)!r})
FANOUT_CLASSES = __name__


class Alpha(Service):
    timeout = 0.5


class Reviews(Service):
    def request(self, visit):
        return httpx.Request("POST", self.url)


class Stock(Service):
    def read(self, response):
        return response.json()


class Book(Service):
    pass
"""
    (tmp_path / "homepage/fakes").mkdir(parents=True)
    (tmp_path / "homepage/fakes/stock.json").write_text('[{"path": "a", "json": {}}]')
    port = find_free_ports()
    with run_commands(tmp_path, text, {}) as manage:
        process = manage("fakes", "--port", str(port))
        read_until(process, "Ctrl-C")
        address = f"http://127.0.0.1:{port}"
        assert httpx.get(f"{address}/alpha/").is_success
        assert httpx.get(f"{address}/stock/a").json() == {}
        assert httpx.post(f"{address}/reviews/").status_code == 501
        read_until(process, "write homepage/fakes/reviews.json")
        (tmp_path / "homepage/fakes/stock.json").unlink()
        assert httpx.get(f"{address}/stock/a").status_code == 501


@pytest.mark.parametrize("status", [200, 204, 404])
def test_a_fault_breaks_any_answer_to_any_call(reviews: str, write: Write, status: int) -> None:
    write([{"method": "POST", "path": "a", "status": status, "text": "[1, 2]"}])
    body = b"" if status == 204 else b"[1, 2]"

    def call(fault: str) -> httpx.Response:
        return httpx.post(f"{reviews}a?fault={fault}", content=b"{}", timeout=20)

    assert (call("").status_code, call("").content) == (status, body)
    assert [call(f"status:{code}").status_code for code in (204, 404, 503)] == [204, 404, 503]
    assert "Content-Length" not in call("status:204").headers
    assert (call("bad-json").status_code, call("bad-json").content) == (200, body[:-1])
    assert len(call("oversized").content) == 2 * 1024 * 1024 + len(body)
    assert call("bomb").headers["Content-Encoding"] == "gzip"
    assert len(call("bomb").content) == 16 * 1024 * 1024 + len(body)
    assert (call("trickle").status_code, call("trickle").content) == (200, body)
    if body:
        with pytest.raises(httpx.RemoteProtocolError):
            call("drop")
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(f"{reviews}a?fault=hang", content=b"{}", timeout=0.2)
