"""What counts as an answer, and what is hostile in one."""

import gzip

import pytest

from fanout.calls import answer as module
from fanout.calls.answer import (
    MAX_CHUNKS,
    MAX_VALUES,
    PACKING,
    STEP,
    BadAnswer,
    Body,
    Readings,
    is_safe_link,
    read_answer,
    read_retry_after,
)


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
        b'{"items": [{"title": "a", "url": 1}]}',
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
def test_an_unsafe_link_is_dropped(key: str) -> None:
    body = f'{{"items": [{{"title": "a", "{key}": "javascript:alert(1)"}}]}}'
    assert read_answer(body.encode())["items"] == [{"title": "a", key: ""}]


def test_only_an_image_may_stand_in_its_address() -> None:
    body = b'{"items": [{"title": "a", "url": "data:image/png,", "image": "data:image/png,"}]}'
    assert read_answer(body)["items"] == [{"title": "a", "url": "", "image": "data:image/png,"}]


# Its body is unpacked on the way, and cut off at its limits.


def take(body: Body, *chunks: bytes) -> int:
    """Add `chunks`; how often others had a turn meanwhile."""
    return sum(1 for chunk in chunks for _ in body.add(chunk))


@pytest.mark.parametrize("coding", ["", "identity"])
def test_a_plain_body_is_what_came(coding: str) -> None:
    body = Body(coding, 4)
    take(body, b"ab", b"cd")
    assert body.finish() == b"abcd"


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_gzip_is_unpacked(coding: str) -> None:
    body = Body(coding, 4)
    take(body, *[bytes([byte]) for byte in gzip.compress(b"abcd")])
    assert body.finish() == b"abcd"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "x" * 1000])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(BadAnswer, match="content coding"):
        Body(coding, 4)


@pytest.mark.parametrize(
    ("coding", "chunk"), [("", b"abcde"), ("gzip", gzip.compress(b"abcde" * 1_000_000))]
)
def test_more_than_the_limit_is_refused(coding: str, chunk: bytes) -> None:
    with pytest.raises(BadAnswer, match="more than 4 bytes"):
        take(Body(coding, 4), chunk)


def test_broken_gzip_is_refused() -> None:
    with pytest.raises(BadAnswer, match="broken gzip"):
        take(Body("gzip", 4), b"abcd" * 10)


def test_gzip_that_ends_too_early_is_refused() -> None:
    body = Body("gzip", 4)
    take(body, gzip.compress(b"ab")[:-1])
    with pytest.raises(BadAnswer, match="too early"):
        body.finish()


def test_nothing_that_comes_after_the_end_of_gzip_is_held() -> None:
    body = Body("gzip", 4)
    take(body, gzip.compress(b"ab"))
    with pytest.raises(BadAnswer, match="goes on"):
        take(body, b"more")


NOTHING = b"\x00\x00\x00\xff\xff"  # an empty stored block


def pack_nothing(size: int) -> bytes:
    """Gzip of so many bytes which is nothing unpacked."""
    return b"\x1f\x8b\x08" + bytes(7) + NOTHING * (size // 5)


@pytest.mark.parametrize(
    ("coding", "chunks"),
    [
        ("", [b"a"] * 640),
        ("", [b"a" * STEP] * 10),
        ("", [b"a" * STEP * 10]),
        ("gzip", [bytes([byte]) for byte in pack_nothing(640)]),
        ("gzip", [pack_nothing(10 * STEP)]),
        ("gzip", [gzip.compress(bytes(10 * STEP))]),
    ],
    ids=["tiny", "large", "huge", "tiny, packed", "of nothing", "much in little"],
)
def test_others_have_a_turn_after_64_chunks_or_64_kib(coding: str, chunks: list[bytes]) -> None:
    assert take(Body(coding, 11 * STEP), *chunks) >= 10


def test_a_usual_answer_comes_in_one_turn() -> None:
    assert take(Body("", STEP), *[b"a" * 1000] * 30) == 0


@pytest.mark.parametrize(("coding", "chunk"), [("", b"a"), ("gzip", b"")])
def test_chunks_have_a_limit(coding: str, chunk: bytes) -> None:
    body = Body(coding, 100 * 1024)
    take(body, *[chunk] * (MAX_CHUNKS + 100))
    with pytest.raises(BadAnswer, match=f"in more than {MAX_CHUNKS + 100} chunks"):
        take(body, chunk)


def test_packed_bytes_have_a_limit_too() -> None:
    body = Body("gzip", 1000)
    take(body, pack_nothing(990 + PACKING))
    with pytest.raises(BadAnswer, match="more than 1000 bytes"):
        take(body, NOTHING)


# What it would cost is known before it is read, and it is read once.

WIDE = b'{"items": [], "x": [%s]}'


@pytest.mark.parametrize("value", [b"0", b"{}", b"[]", b'{"":0}', b'"a"', b"[{}]"])
def test_an_answer_that_would_be_too_large_in_memory_is_not_parsed(
    monkeypatch: pytest.MonkeyPatch, value: bytes
) -> None:
    monkeypatch.setattr("json.loads", None)
    with pytest.raises(BadAnswer, match=f"more than {MAX_VALUES} values"):
        Readings().read(WIDE % b",".join([value] * MAX_VALUES), 0.0)


@pytest.fixture
def read(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """The bodies that were read."""
    bodies: list[bytes] = []

    def read_answer(body: bytes) -> dict[str, object]:
        bodies.append(body)
        return {"items": []}

    monkeypatch.setattr(module, "read_answer", read_answer)
    return bodies


def test_an_answer_that_comes_again_is_read_once(read: list[bytes]) -> None:
    readings = Readings()
    first, again = (readings.read(bytes(bytearray(b"alpha")), at) for at in (1.0, 2.0))
    assert first.data is again.data
    assert first.html is again.html
    assert (first.at, again.at) == (1.0, 2.0)
    readings.read(b"beta", 3.0)
    assert read == [b"alpha", b"beta"]
    readings.clear()
    readings.read(b"beta", 4.0)
    assert len(read) == 3


def test_the_one_that_did_not_come_for_longest_is_read_again(
    read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ", 3 * 20 * 4)
    readings = Readings()
    for body in (b"aaaa", b"bbbb", b"cccc", b"aaaa", b"dddd", b"aaaa", b"bbbb"):
        readings.read(body, 0.0)
    assert read == [b"aaaa", b"bbbb", b"cccc", b"dddd", b"bbbb"]


def test_what_is_too_large_or_may_not_be_kept_pushes_nothing_out(
    read: list[bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MAX_READ", 20 * 4)
    readings = Readings()
    for _ in range(2):
        readings.read(b"aaaa", 0.0)
        readings.read(b"a" * 5, 0.0)
        readings.read(b"bbbb", 0.0, storable=False)
    assert read == [b"aaaa", b"a" * 5, b"bbbb", b"a" * 5, b"bbbb"]


def test_two_threads_may_read_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    readings = Readings()

    def read_answer(body: bytes) -> dict[str, object]:
        if body not in readings._known:
            monkeypatch.setattr(module, "read_answer", lambda body: {"items": ["inner"]})
            readings.read(body, 0.0)
        return {"items": ["outer"]}

    monkeypatch.setattr(module, "read_answer", read_answer)
    assert readings.read(b"a", 0.0).data == {"items": ["outer"]}
    assert readings.read(b"a", 0.0).data == {"items": ["inner"]}
    assert readings._weight == 20


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("", 0.0),
        ("0", 0.0),
        ("120", 120.0),
        ("-1", 0.0),
        ("1.5", 0.0),
        ("\N{SUPERSCRIPT TWO}", 0.0),
        ("9" * 400, float("inf")),
        ("Thu, 01 Jan 1970 00:20:00 GMT", 200.0),
        ("Thu, 01 Jan 1970 00:00:00 GMT", 0.0),
        ("Thu, 99 Jan 1970 00:00:00 GMT", 0.0),
        ("soon", 0.0),
    ],
)
def test_how_long_a_service_wants_to_be_left_alone(
    monkeypatch: pytest.MonkeyPatch, value: str, seconds: float
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert read_retry_after(value) == seconds
