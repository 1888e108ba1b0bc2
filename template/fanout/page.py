"""A page: what the views hand to their response, and what tests read from it."""

from dataclasses import dataclass

from fanout.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The outcome of all calls for one visitor, in the order of the services."""

    style: str
    sections: tuple[Section, ...]
    duration: float  # seconds, from the first call to the end of the last

    @property
    def complete(self) -> bool:
        """Whether every section is `ok`."""
        return not self.missing

    @property
    def missing(self) -> list[Section]:
        """The sections that could not be shown."""
        return [section for section in self.sections if section.state == "failed"]

    @property
    def status(self) -> int:
        """The HTTP status: 200 with whatever there is, 503 only if there is nothing at all."""
        return 503 if len(self.missing) == len(self.sections) else 200

    @property
    def slowest(self) -> float:
        """The longest call, in seconds."""
        return max(section.duration for section in self.sections)

    @property
    def total(self) -> float:
        """All calls together, in seconds."""
        return sum(section.duration for section in self.sections)
