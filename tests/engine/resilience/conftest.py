"""What the tests share; what they measured is printed at the end, to read, not to fail on."""

from collections.abc import Iterator
from typing import Any

import pytest

from engine.resilience.programs import Start, run_programs


@pytest.fixture
def start() -> Iterator[Start]:
    """Start a program, which is killed after the test."""
    with run_programs() as start:
        yield start


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print them, and of all pages that were timed the slowest."""
    measured = [
        (name, value, report.nodeid.rpartition("::")[2])
        for report in terminalreporter.getreports("passed")
        for name, value in report.user_properties
    ]
    for name, value, _ in measured:
        if name == "figure":
            terminalreporter.write_line(f"figure: {value}")
    if pages := [(value, test) for name, value, test in measured if name == "seconds"]:
        slowest, test = max(pages)
        terminalreporter.write_line(
            f"figure: slowest of {len(pages)} pages {slowest:.2f} s, {test}"
        )
