"""The fakes give the same answers always, and say what they do not understand."""

import json
from datetime import date

import httpx
import pytest

from config.generated import SERVICES
from engine.conftest import serve
from fakes.app import create_app, get_latencies_ms
from fakes.catalogue import ANSWERS, get_answer, get_purchases
from fanout.calls.answer import read_answer

MONDAY = date(2026, 11, 23)


@pytest.mark.parametrize("name", [*ANSWERS, "recco", *SERVICES, "something_else"])
def test_every_answer_is_a_section(name: str) -> None:
    answer = get_answer(name, "", MONDAY)
    assert answer == get_answer(name, "", MONDAY)
    assert read_answer(json.dumps(answer).encode()) == answer
    assert answer["title"]
    assert len(answer["items"]) >= 3


def test_promo_changes_with_the_date_and_not_with_the_viewer() -> None:
    days = [MONDAY, date(2026, 11, 24), date(2026, 11, 25)]
    leading = [get_answer("promo", "", day)["items"][0]["title"] for day in days]
    assert len(set(leading)) == 3
    assert get_answer("promo", "7", MONDAY) == get_answer("promo", "", MONDAY)


def test_recco_recommends_from_what_the_viewer_has_bought() -> None:
    for user in ("1", "2"):
        bought = {f"Because you bought {book.title}" for book in get_purchases(user)}
        assert {item["text"] for item in get_answer("recco", user, MONDAY)["items"]} == bought
    assert get_answer("recco", "1", MONDAY) != get_answer("recco", "2", MONDAY)
    assert "bought" not in json.dumps(get_answer("recco", "", MONDAY))


def test_latencies_lie_between_50_and_150_ms_unless_they_are_set() -> None:
    names = [f"service_{number}" for number in range(1000)]
    assert {50, 150} <= set(get_latencies_ms(names).values()) <= set(range(50, 151))
    assert get_latencies_ms(["a", "b"], "a:7, b:400") == {"a": 7, "b": 400}


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("nobody/", 404),
        ("alpha/?fault=explode", 400),
        ("alpha/?fault=status:99", 400),
        ("alpha/?latency_ms=soon", 400),
        ("alpha/?barrier=few", 400),
        ("alpha/?fault=status:418", 418),
    ],
)
def test_a_wrong_wish_is_refused(fakes: str, path: str, status: int) -> None:
    assert httpx.get(f"{fakes}/{path}").status_code == status


def test_the_front_page_breaks_a_service_and_mends_it(fakes: str) -> None:
    url = f"{fakes}/alpha/?latency_ms=0"
    try:
        page = httpx.post(fakes, data={"alpha.fault": "status:500"}, follow_redirects=True)
        assert httpx.get(url).status_code == 500
        assert '<option value="status:500" selected>' in page.text
    finally:
        httpx.post(fakes, data={"alpha.fault": ""})
    assert httpx.get(url).status_code == 200


def test_the_front_page_slows_a_service_down() -> None:
    with serve(create_app({"alpha": 0})) as address:
        page = httpx.post(address, data={"alpha.latency_ms": "7"}, follow_redirects=True).text
    assert 'value="7"' in page


@pytest.mark.parametrize(
    ("form", "origin", "status"),
    [
        ({"alpha.fault": "explode"}, None, 400),
        ({"alpha.latency_ms": "-1"}, None, 400),
        ({"alpha.latency_ms": "9" * 5000}, None, 400),
        ({"alpha.fault": "hang"}, "http://elsewhere.test", 403),
        ({"alpha.fault": ""}, "{fakes}", 303),
    ],
)
def test_a_wrong_choice_changes_nothing(
    fakes: str, form: dict[str, str], origin: str | None, status: int
) -> None:
    headers = {"Origin": origin.format(fakes=fakes)} if origin else {}
    assert httpx.post(fakes, data=form, headers=headers).status_code == status
    assert httpx.get(f"{fakes}/alpha/?latency_ms=0").status_code == 200
