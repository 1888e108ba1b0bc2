"""A typical mistake costs its own section, and ends in one sentence that says where to look."""

import logging

import pytest
from pytest_django import Settings

from engine.conftest import Get
from engine.shapes.conftest import PATHS
from fanout.calls.service import get_classes

WHERE = "engine.shapes.mistakes"
SENTENCES = {
    "wrong_key": "WrongKey.read: KeyError 'results'",
    "wrong_type": "WrongType.read: TypeError list indices must be integers or slices, not str",
    "no_return": "NoReturn.read gives None, which is no object with items",
    "no_object": "NoObject.read gives list, which is no object with items",
    "no_items": "NoItems.read gives an object without items",
    "items_of_text": "ItemsOfText.read gives an item that is no object",
    "no_text": "NoText.read gives an item without a title that is text",
    "text_request": "TextRequest.request gives str, which is no httpx.Request",
    "async_request": "AsyncRequest.request is async: write def",
    "async_read": "AsyncRead.read is async: write def",
    "wrong_attribute": (
        "WrongAttribute.request: AttributeError 'Visit' object has no attribute 'user'"
    ),
    "no_secret": "NoSecret.request: NOBODYS_KEY is not set",
    "not_headers": (
        "NotHeaders.request: TypeError Header value must be str or bytes, not <class 'int'>"
    ),
}


@pytest.fixture
def _mistakes(apis: object, settings: Settings) -> None:
    """The homepage has one section of each mistake, and a good one."""
    settings.FANOUT_CLASSES = WHERE
    names = [cls.name for cls in get_classes(WHERE)]
    address = settings.FANOUT_URLS["issues"].removesuffix(PATHS["issues"])
    products = {"wrong_key", "no_text"}
    settings.FANOUT_SERVICES = names
    settings.FANOUT_URLS = {
        name: f"{address}{PATHS['products' if name in products else 'issues']}" for name in names
    }


@pytest.mark.usefixtures("_mistakes")
def test_a_mistake_ends_in_a_sentence_that_names_class_and_method(get: Get, style: str) -> None:
    sections = get(style).page.sections
    assert {section.state for section in sections} == {"failed"}
    errors = {section.name: section.error for section in sections}
    assert errors == {name: f"{WHERE}.{sentence}" for name, sentence in SENTENCES.items()}


@pytest.mark.usefixtures("_mistakes")
def test_a_mistake_is_logged_with_a_traceback_once_and_then_counted(
    get: Get, style: str, settings: Settings, caplog: pytest.LogCaptureFixture
) -> None:
    settings.FANOUT_SERVICES = ["wrong_key"]
    caplog.set_level(logging.WARNING, "fanout")
    for _ in range(3):
        get(style)
    first, *others = [record for record in caplog.records if record.name == "fanout"]
    line = f"wrong_key {WHERE}.{SENTENCES['wrong_key']} (failed)"
    assert first.getMessage() == line
    assert first.exc_info
    assert [record.getMessage() for record in others] == [f"{line}, {n} times" for n in (2, 3)]
    assert not any(record.exc_info for record in others)
