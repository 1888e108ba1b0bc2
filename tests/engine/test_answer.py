"""What counts as an answer, and what is hostile in one."""

import gzip

import pytest

from fanout.calls.answer import BadAnswer, Body, is_safe_link, read_answer


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"\xff\xfe\xfd",
        b"null",
        b"[]",
        b'"text"',
        b'{"price": NaN}',
        b'{"price": -Infinity}',
        b'{"price": 1e999}',
        b'{"title": 1}',
        b'{"title": null}',
        b'{"title": "\\ud800"}',
        b'{"title": "\xed\xa0\x80"}',
        '{"title": "\\ud800"}'.encode("utf-16"),
        '{"title": "\ud800"}'.encode("utf-16-le", "surrogatepass"),
        '{"title": "\ud800"}'.encode("utf-32-le", "surrogatepass"),
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


# Its body is unpacked on the way, and cut off at its limit.


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
