"""The fakes give the same answers always, and say what they do not understand."""

import httpx
import pytest

from config.generated import SERVICES
from fakes.latency import get_latencies_ms


def test_answers_are_deterministic(fakes: str) -> None:
    for name in SERVICES:
        answers = [httpx.get(f"{fakes}/{name}/?latency_ms=0").json() for _ in range(2)]
        assert answers[0] == answers[1]


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
