"""A page: what a response shows, and what tests read from it."""

from dataclasses import dataclass

from fanout.section import Section


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """The outcome of all calls for one visitor, in the order of the services."""

    style: str
    sections: tuple[Section, ...]
    duration: float  # seconds, from the start of the visit to the end of the last call

    @property
    def complete(self) -> bool:
        """Whether every section is `ok`."""
        return all(section.state == "ok" for section in self.sections)

    @property
    def missing(self) -> list[Section]:
        """The sections that could not be shown."""
        return [section for section in self.sections if section.state == "failed"]

    @property
    def status(self) -> int:
        """The HTTP status: 503 if a required section is missing, or all of them are; else 200."""
        needed = any(section.required for section in self.missing)
        return 503 if needed or len(self.missing) == len(self.sections) else 200
