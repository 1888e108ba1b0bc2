"""The styles differ in how they wait, and in nothing else."""

from collections.abc import Callable

import pytest

from fanout.views import VIEWS
from tests.conftest import Get


@pytest.mark.usefixtures("two_services")
def test_every_style_gives_the_same_sections(get: Get) -> None:
    contents = [
        [(section.name, section.title, section.state, section.data) for section in page.sections]
        for page in (get(style).page for style in VIEWS)
    ]
    assert len(contents[0]) == 2
    assert all(content == contents[0] for content in contents)


def test_gather_calls_all_services_at_once(get: Get, two_services: Callable[..., None]) -> None:
    two_services(alpha="barrier=2&wait=20", beta="barrier=2&wait=20")
    assert get("gather").page.complete


@pytest.mark.parametrize("style", ["sync", "naive"])
def test_the_others_call_one_after_another(
    get: Get, style: str, two_services: Callable[..., None]
) -> None:
    two_services(alpha="barrier=2&wait=0.1", beta="barrier=2&wait=0.1")
    page = get(style).page
    assert [section.error for section in page.sections] == ["answered with status 504"] * 2
