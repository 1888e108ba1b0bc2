"""A section: what one service gives to a page."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from fanout.answer import Memory

State = Literal["ok", "stale", "failed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Section:
    """The outcome of one call; times are in seconds, `start` counts from the page's beginning."""

    name: str  # the service's
    title: str  # the heading
    state: State
    start: float
    duration: float
    required: bool = False
    error: str = ""  # why the call failed: for logs and developers, not for visitors
    age: float = 0.0  # of the answer
    data: Mapping[str, Any] = field(default_factory=dict)  # the answer, as `read_answer` left it
    memory: Memory | None = field(default=None, repr=False, compare=False)  # of the answer

    @property
    def items(self) -> list[dict[str, Any]]:
        """What to show, each with a `title`; none for a failed section."""
        items: list[dict[str, Any]] = self.data.get("items", [])
        return items
