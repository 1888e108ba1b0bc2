"""What counts as an answer, and what is hostile in one."""

import json
from typing import Any
from unittest.mock import Mock

import pytest

from engine.conftest import make_service
from engine.visitors import make_reply
from fanout.calls import answer as module
from fanout.calls.answer import MAX_VALUES, Readings
from fanout.calls.mistake import BadAnswer
from fanout.calls.section import is_safe_link

ALPHA = make_service("alpha", "")


def read_answer(body: bytes) -> Any:
    """What a plain service says."""
    return Readings().read(ALPHA, make_reply(body), 0.0).data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe\xfd",
        b"null",
        b"[]",
        b'"text"',
        b'{"price": NaN, "items": []}',
        b'{"price": -Infinity, "items": []}',
        b'{"price": 1e999, "items": []}',
        b'{"title": 1, "items": []}',
        b'{"title": null, "items": []}',
        b'{"title": "\\ud800", "items": []}',
        b'{"title": "\xed\xa0\x80", "items": []}',
        '{"title": "\\ud800", "items": []}'.encode("utf-16"),
        '{"title": "\ud800", "items": []}'.encode("utf-16-le", "surrogatepass"),
        '{"title": "\ud800", "items": []}'.encode("utf-32-le", "surrogatepass"),
        b"{}",
        b'{"error": "quota exceeded"}',
        b'{"items": null}',
        b'{"items": {}}',
        b'{"items": ["text"]}',
        b'{"items": [{}]}',
        b'{"items": [{"title": null}]}',
        b'{"items": [{"title": "a", "text": 1}]}',
        b'{"items": [{"title": "a", "url": 1}]}',
        b'{"items": [{"title": "a", "image": 1}]}',
        b'{"items": [%s]}' % b",".join([b'{"title": "a"}'] * 1001),
        b"[" * 100_000,
        b'{"a":' * 100_000,
    ],
)
def test_anything_but_the_contract_is_a_bad_answer(body: bytes) -> None:
    with pytest.raises(BadAnswer, match=r"^answered with "):
        read_answer(body)


def test_unknown_keys_are_kept_and_missing_ones_filled() -> None:
    assert read_answer(b'{"price": 1.5, "items": [{"title": "\\ud83d\\ude00", "price": 2}]}') == {
        "title": "",
        "price": 1.5,
        "items": [{"title": "\N{GRINNING FACE}", "price": 2}],
    }


@pytest.mark.parametrize(
    "url",
    [
        "",
        "/books/1/",
        "books",
        "?page=2",
        "#top",
        "//shop.test/",
        "http://a.test/",
        "HTTPS://a.test/",
    ],
)
def test_http_and_relative_links_are_safe(url: str) -> None:
    assert is_safe_link(url)


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "\x01javascript:alert(1)",
        "data:text/html,<script>alert(1)</script>",
        "vbscript:x",
        "file:///etc/passwd",
        "http://[",
    ],
)
def test_other_links_are_not(url: str) -> None:
    assert not is_safe_link(url)


@pytest.mark.parametrize("key", ["url", "image"])
@pytest.mark.parametrize(
    "link", ["javascript:alert(1)", "/\n/evil.test", "/a\n", "http://a.test/\nhttp://b.test/"]
)
def test_an_unsafe_link_is_dropped(key: str, link: str) -> None:
    body = json.dumps({"items": [{"title": "a", key: link}]})
    assert read_answer(body.encode())["items"] == [{"title": "a", key: ""}]


def test_only_an_image_may_stand_in_its_address() -> None:
    body = b'{"items": [{"title": "a", "url": "data:image/png,", "image": "data:image/png,"}]}'
    assert read_answer(body)["items"] == [{"title": "a", "url": "", "image": "data:image/png,"}]


# What it would cost is known before it is read, and it is read once.

WIDE = b'{"items": [], "x": [%s]}'


@pytest.mark.parametrize("value", [b"0", b"{}", b"[]", b'{"":0}', b'"a"', b"[{}]"])
def test_an_answer_that_would_be_too_large_in_memory_is_not_parsed(
    monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    monkeypatch.setattr("json.loads", None)
    with pytest.raises(BadAnswer, match=f"more than {MAX_VALUES} values"):
        read_answer(WIDE % b",".join([value] * MAX_VALUES))


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were read."""
    bodies: list[bytes] = []

    def read_json(body: bytes) -> dict[str, object]:
        bodies.append(body)
        return {"items": []}

    monkeypatch.setattr(module, "read_json", read_json)
    monkeypatch.setattr(module, "OVERHEAD", 0)
    return bodies


def test_an_answer_that_comes_again_is_read_once(read: list[bytes]) -> None:
    readings = Readings()
    first, again = (
        readings.read(ALPHA, make_reply(bytes(bytearray(b"alpha"))), at, "a") for at in (1.0, 2.0)
    )
    assert first.data is again.data
    assert first.html is again.html
    assert (first.at, again.at) == (1.0, 2.0)
    readings.read(ALPHA, make_reply(b"beta"), 3.0, "a")
    assert read == [b"alpha", b"beta"]
    Readings().read(ALPHA, make_reply(b"beta"), 4.0, "a")
    assert len(read) == 3


def test_the_same_answer_to_another_request_or_class_is_read_again(read: list[bytes]) -> None:
    readings, reply = Readings(), make_reply(b"alpha")
    for service in (ALPHA, make_service("alpha", "http://other.test/")):
        for key in ("a", "b", "a", "b"):
            readings.read(service, reply, 0.0, key)
    assert read == [b"alpha"] * 4


def test_what_came_before_is_gone_once_another_answer_has_come(read: list[bytes]) -> None:
    readings = Readings()
    for body in (b"a", b"bb", b"a", b"a"):
        readings.read(ALPHA, make_reply(body), 0.0, "a")
    assert read == [b"a", b"bb", b"a"]
    assert readings._weight == 20


def test_the_one_that_did_not_come_for_longest_is_read_again(
    read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ", 3 * 20 * 4)
    readings = Readings()
    for body in (b"aaaa", b"bbbb", b"cccc", b"aaaa", b"dddd", b"aaaa", b"bbbb"):
        readings.read(ALPHA, make_reply(body), 0.0, key=body)
    assert read == [b"aaaa", b"bbbb", b"cccc", b"dddd", b"bbbb"]


def test_what_is_too_large_or_may_not_be_kept_pushes_nothing_out(
    read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ", 20 * 4)
    readings = Readings()
    for _ in range(2):
        readings.read(ALPHA, make_reply(b"aaaa"), 0.0, "a")
        readings.read(ALPHA, make_reply(b"a" * 5), 0.0, "b")
        readings.read(ALPHA, make_reply(b"bbbb"), 0.0, None)
    assert read == [b"aaaa", b"a" * 5, b"bbbb", b"a" * 5, b"bbbb"]


def test_two_threads_may_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    readings, reply = Readings(), make_reply(b"a")

    def read_json(body: bytes) -> dict[str, object]:
        monkeypatch.setattr(module, "read_json", lambda body: {"title": "inner", "items": []})
        readings.read(ALPHA, reply, 0.0, "a")
        return {"title": "outer", "items": []}

    monkeypatch.setattr(module, "read_json", read_json)
    assert readings.read(ALPHA, reply, 0.0, "a").data["title"] == "outer"
    assert readings.read(ALPHA, reply, 0.0, "a").data["title"] == "outer"
    assert readings._weight == 20 + module.OVERHEAD


def test_the_answers_that_came_last_are_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MOST_READ", 2)
    read = Mock(return_value={"items": []})
    service, readings = make_service("alpha", "", read=read), Readings()
    for body in (b"a", b"b", b"a", b"c", b"a", b"b"):
        readings.read(service, make_reply(body), 0.0, key=body)
    assert read.call_count == 4  # "a" came all the time


def test_small_answers_that_never_repeat_have_a_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_READ", 10 * module.OVERHEAD)
    service, readings = make_service("alpha", "", read=lambda *_: {"items": []}), Readings()
    for number in range(100):
        readings.read(service, make_reply(b"", etag=str(number)), 0.0, key=number)
    assert len(readings._known) < 10
