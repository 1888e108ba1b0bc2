"""A body is unpacked on the way, and cut off at its limits."""

import gzip
from types import SimpleNamespace
from typing import Any

import pytest

from fanout.calls.body import MAX_CHUNKS, PACKING, STEP, Body
from fanout.calls.mistake import BadAnswer


class Head(SimpleNamespace):
    """An answer of which only this has come."""

    def __init__(self, *headers: tuple[bytes, bytes], version: str = "HTTP/1.1") -> None:
        """Have these headers."""
        super().__init__(status=200, version=version, headers=[*headers])

    def get(self, name: bytes) -> str:
        """The value of the header."""
        return str(dict(self.headers).get(name, b""), "ascii")


def open_body(coding: str, max_bytes: int) -> Body:
    """A body in that coding, of which nothing has come."""
    head: Any = Head((b"content-encoding", coding.encode()))
    return Body(head, max_bytes)


def take(body: Body, *chunks: bytes) -> int:
    """Add `chunks`; how often others had a turn meanwhile."""
    return sum(1 for chunk in chunks for _ in body.add(chunk))


@pytest.mark.parametrize("coding", ["", "identity"])
def test_a_plain_body_is_what_came(coding: str) -> None:
    body = open_body(coding, 4)
    take(body, b"ab", b"cd")
    assert body.finish() == b"abcd"


@pytest.mark.parametrize("coding", ["gzip", "x-gzip", "GZip"])
def test_gzip_is_unpacked(coding: str) -> None:
    body = open_body(coding, 4)
    take(body, *[bytes([byte]) for byte in gzip.compress(b"abcd")])
    assert body.finish() == b"abcd"


@pytest.mark.parametrize("coding", ["br", "deflate", "gzip, gzip", "x" * 1000])
def test_other_codings_are_refused(coding: str) -> None:
    with pytest.raises(BadAnswer, match="content coding"):
        open_body(coding, 4)


@pytest.mark.parametrize(
    ("coding", "chunk"), [("", b"abcde"), ("gzip", gzip.compress(b"abcde" * 1_000_000))]
)
def test_more_than_the_limit_is_refused(coding: str, chunk: bytes) -> None:
    with pytest.raises(BadAnswer, match="more than 4 bytes"):
        take(open_body(coding, 4), chunk)


def test_broken_gzip_is_refused() -> None:
    with pytest.raises(BadAnswer, match="broken gzip"):
        take(open_body("gzip", 4), b"abcd" * 10)


def test_gzip_that_ends_too_early_is_refused() -> None:
    body = open_body("gzip", 4)
    take(body, gzip.compress(b"ab")[:-1])
    with pytest.raises(BadAnswer, match="too early"):
        body.finish()


def test_nothing_that_comes_after_the_end_of_gzip_is_held() -> None:
    body = open_body("gzip", 4)
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
    assert take(open_body(coding, 11 * STEP), *chunks) >= 10


def test_a_usual_answer_comes_in_one_turn() -> None:
    assert take(open_body("", STEP), *[b"a" * 1000] * 30) == 0


@pytest.mark.parametrize(("coding", "chunk"), [("", b"a"), ("gzip", b"")])
def test_chunks_have_a_limit(coding: str, chunk: bytes) -> None:
    body = open_body(coding, 100 * 1024)
    take(body, *[chunk] * (MAX_CHUNKS + 100))
    with pytest.raises(BadAnswer, match=f"in more than {MAX_CHUNKS + 100} chunks"):
        take(body, chunk)


def test_packed_bytes_have_a_limit_too() -> None:
    body = open_body("gzip", 1000)
    take(body, pack_nothing(990 + PACKING))
    with pytest.raises(BadAnswer, match="more than 1000 bytes"):
        take(body, NOTHING)


@pytest.mark.parametrize(
    ("head", "error"),
    [
        (Head(*[(b"x", b"1")] * 101), "answered with more than 100 headers"),
        (Head(version="HTTP/2.0"), "answered with HTTP/2.0"),
    ],
)
def test_what_no_service_sends_is_refused(head: Any, error: str) -> None:
    with pytest.raises(BadAnswer, match=error):
        Body(head, 4)


def test_nothing_at_all_is_no_broken_gzip() -> None:
    assert open_body("gzip", 4).finish() == b""  # as after HEAD
