"""What is sent: whatever httpx can say, as the class has said it, or a sentence that names no value."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.responses import Response

from engine.asking.conftest import Ask, Asked, Echo
from engine.conftest import make_service
from engine.visitors import make_visit
from fanout import Service, Visit
from fanout.calls.mistake import Mistake
from fanout.calls.request import prepare

TRACE = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
OTHER = "00-1bf7651916cd43dd8448eb211c80319c-c7ad6b7169203331-00"
SECRET = "s3cr3t-value"  # noqa: S105


def make(url: str, *args: Any, **options: Any) -> Any:
    """A service that asks by `httpx.Request(*args, **options)`; the target is below its address."""
    method, target = args
    return make_service(
        "alpha",
        url,
        timeout=30.0,
        retry=False,
        request=lambda self, visit: httpx.Request(method, self.url.join(target), **options),
        read=lambda self, response: {"items": [], "body": response.text},
    )


def stream() -> Iterator[bytes]:
    """A body that is made while it is read."""
    yield b"one,"
    yield b"two"


GRAPHQL = {"query": "query Q($n: Int!) { books(first: $n) { title } }", "variables": {"n": 3}}
BODIES: dict[str, tuple[dict[str, Any], str, Callable[[bytes], bool]]] = {
    "json": ({"json": {"a": "ä"}}, "application/json", lambda b: b == '{"a":"ä"}'.encode()),
    "graphql": ({"json": GRAPHQL}, "application/json", lambda b: b"query Q($n: Int!)" in b),
    "form": (
        {"data": {"a": ["1 &", "2"]}},
        "application/x-www-form-urlencoded",
        lambda b: b == b"a=1+%26&a=2",
    ),
    "multipart": (
        {"data": {"a": "1"}, "files": {"f": ("f.txt", b"\0\xff")}},
        "multipart/form-data; boundary=",
        lambda b: b"\r\n\r\n\0\xff\r\n" in b and b.endswith(b"--\r\n"),
    ),
    "xml": (
        {"content": "<a>ä</a>", "headers": {"Content-Type": "text/xml"}},
        "text/xml",
        lambda b: b == "<a>ä</a>".encode(),
    ),
    "iterator": ({"content": [b"one,", b"two"]}, "", lambda b: b == b"one,two"),
    "stream": ({"stream": httpx.ByteStream(b"one")}, "", lambda b: b == b"one"),
    "empty stream": ({"stream": httpx.ByteStream(b"")}, "", lambda b: b == b""),
    "large": ({"content": b"x" * 300_000}, "", lambda b: b == b"x" * 300_000),
}


@pytest.mark.parametrize("kind", BODIES)
def test_a_body_arrives_whole_whatever_it_is_made_of(echo: Echo, ask: Ask, kind: str) -> None:
    options, content_type, is_right = BODIES[kind]
    assert ask(make(echo.address, "POST", "/x", **options), make_visit()).state == "ok"
    [asked] = echo.asked
    assert is_right(asked.body)
    assert asked.get("content-length") == [str(len(asked.body))]
    assert asked.get("transfer-encoding") == []
    assert "".join(asked.get("content-type")).startswith(content_type)


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"])
def test_any_method_is_sent(echo: Echo, ask: Ask, method: str) -> None:
    section = ask(make(echo.address, method, "/a%2Fb/?q=%C3%A4&q=a+b%26"), make_visit())
    assert (section.state, section.status) == ("ok", 200)
    [asked] = echo.asked
    assert (asked.method, asked.target) == (method, "/a%2Fb/?q=%C3%A4&q=a+b%26")
    assert bool(section.data["body"]) is (method != "HEAD")


@pytest.mark.parametrize("method", ["purge", "PROPFIND", "QUERY"])
def test_so_are_those_of_which_few_have_heard(echo: Echo, ask: Ask, method: str) -> None:
    assert ask(make(echo.address, method, "/", content=b"<x/>"), make_visit()).state == "ok"
    assert (echo.asked[0].method, echo.asked[0].body) == (method.upper(), b"<x/>")


def test_what_the_engine_says_arrives_where_the_class_says_nothing(echo: Echo, ask: Ask) -> None:
    ids = {"X-Request-ID": "abc", "traceparent": TRACE}
    visit = replace(make_visit(), headers=ids)
    ask(make(echo.address, "GET", "/"), visit)
    [asked] = echo.asked
    said = {"Accept": "application/json", "Accept-Encoding": "identity", "User-Agent": "fanout"}
    for name, value in (said | ids).items():
        assert asked.get(name) == [value]
    assert asked.get("Host") == [echo.address.removeprefix("http://")]
    assert asked.get("Cookie") == asked.get("Authorization") == []


@pytest.mark.parametrize("change", [str.lower, str.upper])
def test_what_the_class_says_wins_and_arrives_once(
    echo: Echo, ask: Ask, change: Callable[[str], str]
) -> None:
    own = {
        **{"Accept": "text/xml", "Accept-Encoding": "gzip", "User-Agent": "shop/1", "Host": "shop"},
        **{"X-Request-ID": "mine", "traceparent": OTHER, "tracestate": "a=1", "X-Empty": ""},
    }
    headers = {change(name): value for name, value in own.items()}
    visit = replace(make_visit(), headers={"X-Request-ID": "abc", "traceparent": TRACE})
    ask(make(echo.address, "GET", "/", headers=headers), visit)
    [asked] = echo.asked
    assert {name: asked.get(name) for name in own} == {n: [value] for n, value in own.items()}


def test_a_header_may_come_twice(echo: Echo, ask: Ask) -> None:
    headers = [("Accept", "a/b"), ("X-Key", "1"), ("accept", "c/d"), ("X-Key", "2")]
    ask(make(echo.address, "GET", "/", headers=headers), make_visit())
    assert echo.asked[0].get("accept") == ["a/b", "c/d"]
    assert echo.asked[0].get("x-key") == ["1", "2"]


def digest(*args: Any, service: Any = None, visit: Any = None, **options: Any) -> str:
    """That of a request."""
    made = prepare(service or make("http://a.test/", *args, **options), visit or make_visit())
    assert made
    return made.digest


def test_whatever_is_another_request_has_another_digest() -> None:
    basic: dict[str, Any] = {"headers": {"X-Key": "1"}, "content": b"x"}
    asked = [
        digest("POST", "/", **basic),
        digest("PUT", "/", **basic),
        digest("POST", "/?a=1", **basic),
        digest("POST", "http://joe:1@a.test/", **basic),
        digest("POST", "http://joe:2@a.test/", **basic),
        digest("POST", "/", headers={"X-Key": "2"}, content=b"x"),
        digest("POST", "/", headers={"X-Kez": "1"}, content=b"x"),
        digest("POST", "/", headers=[("X-Key", "1"), ("X-Key", "1")], content=b"x"),
        digest("POST", "/", headers={"X-Key": "1"}, content=b"y"),
        digest("POST", "/", headers={"X-Key": "1"}),
    ]
    assert len({*asked, ""}) == len(asked) + 1


@pytest.mark.parametrize(
    "target", ["//b.test/", "http://b.test/x", "https://a.test/", "http://a.test:81/"]
)
def test_a_request_to_another_host_is_a_mistake(target: str) -> None:
    service = make("http://a.test/", "GET", target, headers={"X-Key": "s3cret"})
    with pytest.raises(Mistake, match=r"request gives a request to another host than ALPHA_URL$"):
        prepare(service, make_visit())


def test_how_a_body_is_made_and_who_asks_make_no_difference() -> None:
    assert digest("POST", "/", content=stream()) == digest("POST", "/", content=iter([b"one,two"]))
    ids = {"X-Request-ID": "abc", "TraceParent": TRACE}
    assert digest("GET", "/", headers=ids) == digest("GET", "/")
    visit = replace(make_visit(), headers=ids)
    assert digest("GET", "/", visit=visit) == digest("GET", "/")


@pytest.mark.parametrize("authorization", ["", "Token 1"])
def test_a_name_and_a_password_in_an_address_are_a_header(
    echo: Echo, ask: Ask, authorization: str
) -> None:
    headers = {"Authorization": authorization} if authorization else {}
    address = echo.address.replace("//", "//joe:p%40ss@")
    for service in (
        make(echo.address, "GET", f"{address}/x", headers=headers),
        make(address, "GET", "/x", headers=headers),
    ):
        ask(service, make_visit())
        asked = echo.asked.pop()
        assert asked.get("Authorization") == [authorization or "Basic am9lOnBAc3M="]
        assert (asked.target, asked.get("Host")) == ("/x", [echo.address.removeprefix("http://")])


def test_where_there_is_nothing_to_ask_nothing_is_sent(echo: Echo, ask: Ask) -> None:
    service = make_service("alpha", echo.address, request=lambda self, visit: None)
    section = ask(service, make_visit())
    assert (section.state, section.empty, section.status) == ("ok", True, None)
    assert (section.error, echo.asked) == ("", [])


def test_a_class_may_add_to_what_a_plain_service_does(echo: Echo, ask: Ask) -> None:
    class Added(Service):
        def request(self, visit: Visit) -> httpx.Request | None:
            request = super().request(visit)
            assert request
            request.headers["X-Key"] = "1"
            return request

        def read(self, response: httpx.Response) -> Mapping[str, object]:
            return {**super().read(response), "more": True}

    section = ask(Added("alpha", f"{echo.address}/x"), make_visit())
    assert (section.title, section.data["more"]) == ("/x", True)
    assert echo.asked[0].get("X-Key") == ["1"]


@pytest.mark.parametrize("address", ["", "shop", "ftp://a.test/"])
def test_a_service_without_an_address_is_a_sentence(ask: Ask, address: str) -> None:
    wrong = "is no http(s) address" if address else "is not set"
    error = f"cannot be called: ALPHA_URL {wrong}"
    assert ask(make_service("alpha", address), make_visit()).error == error
    assert ask(make(address, "GET", "/"), make_visit()).error == error


def test_a_request_may_be_made_once_and_given_again(echo: Echo, ask: Ask) -> None:
    made = httpx.Request("POST", f"{echo.address}/'?a='", content=stream())
    service = make_service("alpha", echo.address, request=lambda self, visit: made)
    assert [ask(service, make_visit()).state for _ in range(2)] == ["ok", "ok"]
    assert [asked.body for asked in echo.asked] == [b"one,two"] * 2


def test_neither_redirects_are_followed_nor_cookies_given_back(echo: Echo, ask: Ask) -> None:
    async def respond(asked: Asked) -> Response:
        return Response("", 302, {"Location": "/elsewhere", "Set-Cookie": "a=1"})

    echo.respond = respond
    service = make(echo.address, "GET", "/")
    for _ in range(2):
        assert ask(service, make_visit()).error == "answered with status 302"
    assert [(asked.target, asked.get("Cookie")) for asked in echo.asked] == [("/", [])] * 2
