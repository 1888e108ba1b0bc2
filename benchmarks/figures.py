"""Figures: the median of several rounds, and how far they lie apart."""

from collections.abc import Iterable
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Figure:
    """The median of what several rounds gave, the lowest and the highest."""

    median: float
    low: float
    high: float

    def __str__(self) -> str:
        if self.low == self.high:
            return shorten(self.median)
        return f"{shorten(self.median)} ({shorten(self.low)} to {shorten(self.high)})"


@dataclass(frozen=True, slots=True)
class Target:
    """What was aimed for, and what was measured."""

    name: str
    goal: str
    figure: Figure
    reached: bool | None  # nothing where there is no goal

    @property
    def verdict(self) -> str:
        """In words."""
        return {True: "reached", False: "NOT REACHED", None: ""}[self.reached]


def of(values: Iterable[float]) -> Figure:
    """The figure of what the rounds gave."""
    values = list(values)
    return Figure(median(values), min(values), max(values))


def ratio(values: Iterable[float], others: Iterable[float]) -> Figure:
    """How many times as much, round by round."""
    return of(value / other for value, other in zip(values, others, strict=True))


def at_least(name: str, goal: float, figure: Figure) -> Target:
    """A target that is reached from `goal` on."""
    return Target(name, f"at least {goal:g}", figure, figure.median >= goal)


def at_most(name: str, goal: float, figure: Figure) -> Target:
    """A target that is reached up to `goal`."""
    return Target(name, f"at most {goal:g}", figure, figure.median <= goal)


def without_goal(name: str, figure: Figure) -> Target:
    """What stands beside a target, to judge it by."""
    return Target(name, "", figure, None)


def shorten(value: float) -> str:
    """Three digits that count, and no more than two behind the point."""
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"
