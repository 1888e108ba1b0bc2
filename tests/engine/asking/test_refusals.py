"""What cannot be sent is not: a sentence says which method, and for a header its name, never its value."""

from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from engine.asking.conftest import Ask, Echo
from engine.asking.test_request import make
from engine.conftest import make_service
from engine.visitors import make_visit
from fanout.calls.mistake import Mistake
from fanout.calls.request import check

WHO = "engine.conftest.Own.request"
SECRET = "s3cr3t-value"  # noqa: S105


async def astream() -> AsyncIterator[bytes]:
    """A body that only async code can read."""
    yield b"one"


BAD = [
    *("\r\nX-Evil: 1", "\n", "\r", "\0", "\x7f", "\x1b", " ", "\t", "\xe4", "\u20ac", "\ud800"),
]


@pytest.mark.parametrize("bad", BAD, ids=ascii)
def test_a_header_that_cannot_be_sent_is_named_and_its_value_is_not(
    echo: Echo, ask: Ask, bad: str, caplog: pytest.LogCaptureFixture
) -> None:
    value = f"{SECRET}{bad}".encode("utf-8", "surrogatepass")
    section = ask(make(echo.address, "GET", "/", headers={b"X-Key": value}), make_visit())
    assert section.error == f"{WHO} gives a header b'X-Key' that cannot be sent"
    assert echo.asked == []
    assert SECRET not in caplog.text


@pytest.mark.parametrize("kind", [dict, list])
@pytest.mark.parametrize("later", [True, False])
def test_so_is_one_that_is_not_ascii(
    echo: Echo, ask: Ask, kind: type, later: bool, caplog: pytest.LogCaptureFixture
) -> None:
    headers = kind([("X-Other", "1"), ("X-Key", f"{SECRET}ä"), ("X-Next", "2")])

    def request(self: Any, visit: object) -> httpx.Request:
        made = httpx.Request("GET", self.url, headers={} if later else headers)
        made.headers.update(headers)
        return made

    section = ask(make_service("alpha", echo.address, request=request), make_visit())
    assert section.error.startswith(f"{WHO} gives a header ")
    assert section.error.endswith("'X-Key' that cannot be sent")
    assert echo.asked == []
    assert SECRET not in caplog.text
    assert "ä" not in caplog.text


@pytest.mark.parametrize("header", [b"X Key", b"", b"X:", b"\xe4", b"X\r\nY", b"x" * 200])
def test_a_name_may_be_what_is_wrong(echo: Echo, ask: Ask, header: bytes) -> None:
    section = ask(make(echo.address, "GET", "/", headers={header: SECRET}), make_visit())
    if len(header) == 200:
        assert section.state == "ok"
    else:
        assert section.error == f"{WHO} gives a header {header!r} that cannot be sent"


def make_raw(url: Any) -> httpx.Request:
    """A request to any address at all."""
    return httpx.Request("GET", url)


@pytest.mark.parametrize("url", ["/x", "", "ftp://a.test/", "http:///x", "//a.test/", "mailto:a@b"])
def test_other_addresses_are_none(url: str) -> None:
    with pytest.raises(Mistake, match=r"^me gives a request to no http\(s\) address$"):
        check(make_raw(url), "me")


@pytest.mark.parametrize("given", ["http://a.test/", 1, ("GET", "/"), httpx.Headers()], ids=repr)
def test_nor_is_something_else_a_request(given: object) -> None:
    kind = type(given).__name__
    with pytest.raises(Mistake, match=f"^me gives {kind}, which is no httpx.Request$"):
        check(given, "me")


def fail() -> Iterator[bytes]:
    """A body that cannot be read."""
    yield b"x"
    raise ValueError(SECRET)


@pytest.mark.parametrize(
    ("content", "error"),
    [
        (astream, f"{WHO} gives a request whose body only async code can read"),
        (fail, f"{WHO}: ValueError"),
        (
            lambda: iter(["text"]),
            f"{WHO}: TypeError sequence item 0: expected a bytes-like object, str found",
        ),
    ],
)
def test_a_body_that_cannot_be_had_is_a_mistake(
    echo: Echo, ask: Ask, content: Any, error: str, caplog: pytest.LogCaptureFixture
) -> None:
    section = ask(make(echo.address, "POST", "/", content=content()), make_visit())
    assert (section.error, echo.asked) == (error, [])
    assert SECRET not in caplog.text


@pytest.mark.parametrize(("method", "length"), [("POST", "9"), ("A B", "1"), ("A\r\nX: 1", "1")])
def test_what_the_transport_refuses_is_a_failed_section(
    echo: Echo, ask: Ask, method: str, length: str
) -> None:
    headers = {"Content-Length": length}
    section = ask(make(echo.address, method, "/", content=b"x", headers=headers), make_visit())
    assert section.error.startswith("could not be called: ")
    assert echo.asked == []
