"""Whatever a team gets wrong in a class costs one section, and is told in one sentence that says where."""

import logging
import traceback
from collections.abc import Callable, Mapping
from typing import Any

import httpx
import pytest
from django.http import Http404
from pytest_django import Settings

from engine.conftest import Get, Script
from fanout import Service, Visit
from fanout.calls.mistake import BadAnswer, Mistake, call
from fanout.calls.section import MAX_ITEMS, Section, check_section

WHO = "engine.conftest.Service"
SECRET = "s3cr3t"  # noqa: S105


@pytest.fixture
def beta(get: Get, style: str, script: Script, settings: Settings) -> Callable[..., Section]:
    """Get the page, whose beta has this `request`, `read` or `auth`, and of that beta's section."""

    def get_beta(**own: Any) -> Section:
        settings.OPTIONS["beta"] = {"timeout": 30.0, **own}
        response = get(style)
        alpha, beta = response.page.sections
        assert (alpha.state, response.status_code) == ("ok", 200)
        assert response.getvalue()
        return beta

    return get_beta


def find_lines(caplog: pytest.LogCaptureFixture) -> list[logging.LogRecord]:
    """What the engine has logged."""
    return [record for record in caplog.records if record.name == "fanout"]


def raise_(error: BaseException) -> Callable[[Service, Any], Any]:
    """A method that raises this."""

    def fail(self: Service, argument: Any) -> Any:
        try:
            raise RuntimeError(f"what came before {SECRET}")
        except RuntimeError as cause:
            raise error from cause

    return fail


def recurse(self: Service, argument: Any) -> Any:
    """Find no end."""
    return recurse(self, argument)


RESPONSE = httpx.Response(500, request=httpx.Request("GET", f"http://a.test/?key={SECRET}"))
RAISED: dict[str, Callable[[Any, Any], Any]] = {
    "KeyError 'results'": raise_(KeyError("results")),
    "IndexError list index out of range": lambda self, argument: [][0],
    "AttributeError 'Service' object has no attribute 'ulr'": lambda self, _: self.ulr,
    "TypeError object of type 'float' has no len()": lambda self, _: len(self.timeout),
    "UnicodeEncodeError": lambda self, _: f"{SECRET}\xe4".encode("ascii"),
    "ValueError": raise_(ValueError(SECRET)),
    "JSONDecodeError": lambda self, _: httpx.Response(200, text=f"<p>{SECRET}").json(),
    "ZeroDivisionError": lambda self, _: 1 / 0,
    "UnicodeDecodeError": lambda self, _: f"{SECRET}".encode("utf-16").decode(),
    "HTTPStatusError": lambda self, _: RESPONSE.raise_for_status(),
    "InvalidURL": lambda self, _: httpx.Request("GET", f"http://a:{SECRET}/"),
    "Http404": raise_(Http404(SECRET)),
    "StopIteration": raise_(StopIteration(SECRET)),
    "TimeoutError": raise_(TimeoutError(SECRET)),
    "ExceptionGroup": raise_(ExceptionGroup(SECRET, [ValueError(SECRET)])),
    "RecursionError": recurse,
}


@pytest.mark.parametrize("method", ["request", "read", "auth"])
@pytest.mark.parametrize("said", RAISED)
def test_what_a_method_raises_is_named_and_only_pythons_own_is_quoted(
    beta: Callable[..., Section], caplog: pytest.LogCaptureFixture, method: str, said: str
) -> None:
    own: Any = RAISED[said]
    if method == "auth":
        own = property(lambda self: RAISED[said](self, None))
    section = beta(**{method: own})
    assert (section.state, section.error) == ("failed", f"{WHO}.{method}: {said}")
    assert section.status == (200 if method == "read" else None)
    [record] = find_lines(caplog)
    assert record.getMessage() == f"beta {section.error} (failed)"
    logged = logging.Formatter().format(record)
    assert logged.count("Traceback") == 1
    assert logged.endswith(f"\nfanout.calls.mistake.Mistake: {section.error}")
    assert SECRET not in logged.replace(f'"{SECRET}', "")
    assert "what came before" not in logged.replace('"what came before', "")


GIVEN: dict[str, object] = {
    "None, which is no object with items": None,
    "list, which is no object with items": [{"title": "a"}],
    "str, which is no object with items": "items",
    "tuple_iterator, which is no object with items": iter(()),
    "an object without items": {"title": "a", "results": []},
    "a title that is not text": {"title": None, "items": []},
    "items that are no list": {"items": {"a": {"title": ""}}},
    "an item without a title that is text": {"items": [{"title": None}]},
    f"more than {MAX_ITEMS} items": {"items": [{"title": ""}] * (MAX_ITEMS + 1)},
    "text that is not Unicode": {"items": [], "more": {"\ud800": 1}},
}


@pytest.mark.parametrize("said", GIVEN)
def test_what_is_no_section_is_named(beta: Callable[..., Section], said: str) -> None:
    section = beta(read=lambda self, response: GIVEN[said])
    assert (section.state, section.error) == ("failed", f"{WHO}.read gives {said}")


NO_OBJECTS: list[Any] = ["a", None, []]
OPTIONAL = ("text", "url", "image")
ITEMS: list[tuple[Any, str]] = [
    *((no_list, "items that are no list") for no_list in ("text", {"a": {"title": ""}}, {1}, 3)),
    *(([{"title": ""}, item], "an item that is no object") for item in NO_OBJECTS),
    *(([item], "an item without a title that is text") for item in ({}, {"title": 1})),
    *(([{"title": "", key: 1}], f"an item with a {key} that is not text") for key in OPTIONAL),
]


@pytest.mark.parametrize("parsed", [False, True])
@pytest.mark.parametrize(("items", "said"), ITEMS, ids=repr)
def test_items_are_a_list_of_titled_objects(items: object, said: str, parsed: bool) -> None:
    with pytest.raises(BadAnswer, match=f"^me gives {said}$"):
        check_section({"items": items}, "me gives", parsed=parsed)


class _Item(dict[str, str]):
    """An item with a property of its own."""

    @property
    def label(self) -> str:
        return f"£{self['price']}"


def test_an_item_stays_what_its_class_has_made_of_it() -> None:
    given = _Item(title="a", price="3", url="books/1", image="data:image/png,")
    [item] = check_section({"items": [given]}, "me gives")["items"]
    assert item is given
    assert item.label == "£3"


LOOP: dict[str, Any] = {"items": []}
LOOP["loop"] = LOOP


@pytest.mark.parametrize(
    "data",
    [{"title": "\ud800", "items": []}, {"items": [{"title": "", "x": [["\udfff"]]}]}, LOOP],
    ids=ascii,
)
def test_what_cannot_be_shown_is_no_section(data: object) -> None:
    with pytest.raises(BadAnswer, match=r"^me gives text that is not Unicode$"):
        check_section(data, "me gives")


def test_what_a_class_gives_may_be_any_object_with_any_keys() -> None:
    data: Any = {"items": ({"title": "a", 1: {2, 3}, (4,): b"\xff"},), "at": object(), 5: 6}
    assert check_section(data, "me gives") == {**data, "title": "", "items": [*data["items"]]}


async def ask(self: Service, visit: Visit) -> httpx.Request:
    """As somebody would write it who calls services by themselves."""
    return httpx.Request("GET", self.url)


async def read(self: Service, response: httpx.Response) -> Mapping[str, object]:
    """The same for answers."""
    return {"items": response.json()}


@pytest.mark.parametrize(("method", "own"), [("request", ask), ("read", read)])
@pytest.mark.filterwarnings("error")
def test_an_async_method_is_named(beta: Callable[..., Section], method: str, own: Any) -> None:
    assert beta(**{method: own}).error == f"{WHO}.{method} is async: write def"


@pytest.mark.parametrize("message", ["x" * 10_000, "a\r\n\tb\x85c\u2028d", "\ud800"], ids=ascii)
def test_a_sentence_is_one_that_can_be_shown(beta: Callable[..., Section], message: str) -> None:
    error = beta(read=raise_(TypeError(message))).error
    assert error.startswith(f"{WHO}.read: TypeError ")
    assert len(error) < 400
    assert error.isprintable()


def index(self: Service, response: httpx.Response) -> Any:
    """Fails at one of two places; the answer says at which."""
    number = int(response.json()["title"].split()[1])
    if number % 2:
        return response.json()[f"odd {number}"]
    return response.json()[f"even {number}"]


def test_each_is_logged_with_a_traceback_once_and_then_counted(
    beta: Callable[..., Section], caplog: pytest.LogCaptureFixture
) -> None:
    for _ in range(5):
        beta(read=index)
    records = find_lines(caplog)
    lines = [
        f"beta {WHO}.read: KeyError '{'odd' if n % 2 else 'even'} {n}' (failed)"
        for n in range(1, 6)
    ]
    times = ["", "", ", 2 times", ", 2 times", ", 3 times"]
    assert [record.getMessage() for record in records] == [
        *map("".join, zip(lines, times, strict=True))
    ]
    assert [bool(record.exc_info) for record in records] == [True, True, False, False, False]


def test_the_traceback_leads_to_the_line_and_nothing_hangs_on_it() -> None:
    class Own(Service):
        def read(self, response: httpx.Response) -> Mapping[str, object]:
            return {"items": response.json()["results"]}

    answer = httpx.Response(200, json={})
    with pytest.raises(Mistake, match=r"Own\.read: KeyError 'results'$") as caught:
        call(Own("alpha", ""), "read", answer)
    frames = traceback.extract_tb(caught.value.__traceback__)
    assert (frames[-1].name, frames[-1].filename) == ("read", __file__)
    logged = "".join(traceback.format_exception(caught.value))
    assert "direct cause" not in logged
    assert "During handling" not in logged


def test_what_a_class_says_of_an_answer_is_no_mistake_of_it(
    beta: Callable[..., Section], caplog: pytest.LogCaptureFixture
) -> None:
    section = beta(read=raise_(BadAnswer("has no books today")))
    assert (section.state, section.error) == ("failed", "has no books today")
    assert not find_lines(caplog)[0].exc_info


def test_an_end_of_the_process_is_no_mistake() -> None:
    service = type("Own", (Service,), {"read": raise_(SystemExit())})("alpha", "")
    with pytest.raises(SystemExit):
        call(service, "read", None)
