"""A body is unpacked on the way, and cut off at its limit."""

import gzip

import pytest

from fanout.answer import BadAnswer
from fanout.body import Body


@pytest.mark.parametrize("coding", ["", "identity"])
def test_a_plain_body_is_what_came(coding: str) -> None:
    body = Body(coding, 4)
    body.add(b"ab")
    body.add(b"cd")
    assert body.finish() == b"abcd"


@pytest.mark.parametrize("coding", ["gzip", "x-gzip"])
def test_gzip_is_unpacked(coding: str) -> None:
    body = Body(coding, 4)
    for byte in gzip.compress(b"abcd"):
        body.add(bytes([byte]))
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
        Body(coding, 4).add(chunk)


def test_broken_gzip_is_refused() -> None:
    with pytest.raises(BadAnswer, match="broken gzip"):
        Body("gzip", 4).add(b"abcd" * 10)


def test_gzip_that_ends_too_early_is_refused() -> None:
    body = Body("gzip", 4)
    body.add(gzip.compress(b"ab")[:-1])
    with pytest.raises(BadAnswer, match="too early"):
        body.finish()


def test_nothing_that_comes_after_the_end_of_gzip_is_held() -> None:
    body = Body("gzip", 4)
    body.add(gzip.compress(b"ab"))
    with pytest.raises(BadAnswer, match="goes on"):
        body.add(b"more")
