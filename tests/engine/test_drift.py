"""What is another shape is named, and what is the same in other words is not."""

import copy
import sys
from collections.abc import Callable
from typing import Any

import pytest

from fakes.exchanges import Finding, compare

Change = Callable[[Any], object]

ANSWER = {
    "count": 2,
    "next": None,
    "title": "Reviews",
    "meta": {"page": 1, "pages": 3, "cached": False},
    "languages": ["en", "de"],
    "results": [
        {"id": 1, "name": "A", "rating": 4.5, "badge": None, "tags": ["x"], "by": {"name": "L"}},
        {"id": 2, "name": "B", "rating": 4, "tags": [], "by": {"name": "M", "age": 9}, "price": 1},
    ],
}


def see(change: Change, **more: Any) -> list[Finding]:
    """What is said of an answer that was changed since it was recorded."""
    was = {"status": 200, "json": ANSWER}
    now = copy.deepcopy(was)
    change(now["json"])
    return compare(was, now | more)


def each(change: Change) -> Change:
    """A change of every result."""

    def change_all(answer: Any) -> None:
        for result in answer["results"]:
            change(result)

    return change_all


def put(name: str, value: object) -> Change:
    return lambda answer: answer.__setitem__(name, value)


def drop(name: str) -> Change:
    return lambda answer: answer.__delitem__(name)


def keep(answer: object) -> None:
    """No change."""


XML = {"headers": {"content-type": "text/xml"}}


@pytest.mark.parametrize(
    ("change", "more", "said"),
    [
        (drop("title"), {}, "title is missing"),
        (each(lambda one: one.update(label=one.pop("name"))), {}, "results[].name is missing"),
        (each(drop("rating")), {}, "results[].rating is missing"),
        (lambda answer: answer["results"][1].pop("rating"), {}, "results[].rating is missing"),
        (lambda answer: answer["meta"].pop("pages"), {}, "meta.pages is missing"),
        (lambda answer: answer["results"][0]["by"].pop("name"), {}, "results[].by.name is missing"),
        (each(put("rating", "4")), {}, "results[].rating was a number, is text"),
        (put("title", 7), {}, "title was text, is a number"),
        (put("count", True), {}, "count was a number, is true or false"),
        (lambda answer: answer["meta"].update(cached=0), {}, "meta.cached was true or false, is a number"),
        (put("title", None), {}, "title was text, is null"),
        (lambda answer: answer["results"][1].update(id=None), {}, "results[].id was a number, is null"),
        (put("results", None), {}, "results was an array, is null"),
        (put("results", {"data": []}), {}, "results was an array, is an object"),
        (put("meta", [{"page": 1}]), {}, "meta was an object, is an array"),
        (put("languages", [["en"]]), {}, "languages[] was text, is an array"),
        (each(lambda one: one.update(by=one["by"]["name"])), {}, "results[].by was an object, is text"),
        (keep, {"json": {"data": ANSWER}}, "results is missing"),
        (keep, {"json": [ANSWER]}, "the answer was an object, is an array"),
        (keep, {"status": 404}, "the status was 200, is 404"),
        (keep, XML, "the media type was application/json, is text/xml"),
        (each(put("price", "1")), {}, "results[].price was a number, is text"),
    ],
)  # fmt: skip
def test_a_change_that_breaks_a_reader_is_named(change: Change, more: Any, said: str) -> None:
    assert (said, True) in see(change, **more)


@pytest.mark.parametrize(
    ("change", "more"),
    [
        (keep, {}),
        (put("title", "Other"), {}),
        (put("title", ""), {}),
        (put("count", 0), {}),
        (put("count", 2.5), {}),
        (put("count", -(10**30)), {}),
        (each(put("rating", 5)), {}),
        (each(put("name", "5")), {}),
        (keep, {"json": dict(reversed(ANSWER.items()))}),
        (each(lambda one: one.update(by=dict(reversed(one["by"].items())))), {}),
        (lambda answer: answer["results"].reverse(), {}),
        (lambda answer: answer["results"].extend(answer["results"] * 9), {}),
        (lambda answer: answer["results"].pop(), {}),
        (lambda answer: answer["results"].pop(0), {}),
        (put("languages", ["fr"] * 50), {}),
        (each(lambda one: one.pop("badge", 0)), {}),
        (each(put("badge", None)), {}),
        (lambda answer: answer["results"][1].pop("price"), {}),
        (lambda answer: answer["results"][1]["by"].pop("age"), {}),
        (each(lambda one: one["by"].update(age=1)), {}),
        (lambda answer: answer["meta"].update(cached=True), {}),
        (keep, {"headers": {"Content-Type": "application/json; charset=UTF-8"}}),
    ],
)
def test_what_is_of_the_same_shape_is_not_named(change: Change, more: Any) -> None:
    assert see(change, **more) == []


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (put("results", []), "results is empty today: nothing to compare"),
        (put("stars", 1), "stars is new"),
        (each(put("a.b\n", 1)), r"results[].a.b\n is new"),
        (put("next", "?page=2"), "next was null, is text"),
    ],
)
def test_what_breaks_nobody_is_said_without_failing(change: Change, said: str) -> None:
    assert see(change) == [(said, False)]


def test_text_is_compared_by_its_media_type_alone() -> None:
    assert compare({**XML, "text": "<a/>"}, {**XML, "text": "<b>1</b>"}) == []
    said = [("the body was text, is JSON", True)]
    assert compare({**XML, "text": "<a/>"}, {**XML, "json": {}}) == said
    assert compare({"status": 204}, {}) == [("the status was 204, is 200", True)]


def test_an_array_of_several_kinds_takes_each_of_them() -> None:
    was = {"json": [1, "a", None]}
    assert compare(was, {"json": ["b", None, 2]}) == []
    [(said, _)] = compare(was, {"json": [{}, []]})
    assert said == "[] was a number or text or null, is an object or an array"


def test_an_answer_that_is_nested_too_deeply_is_an_error_of_its_own() -> None:
    deep: Any = []
    for _ in range(sys.getrecursionlimit()):
        deep = [deep]
    with pytest.raises(RecursionError):
        compare({"json": deep}, {"json": deep})
