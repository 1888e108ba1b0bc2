"""What counts as an answer, and what is hostile in one."""

import pytest

from fanout.answer import BadAnswer, is_safe_link, read_answer


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
