"""A service: a backend that the page calls."""

from dataclasses import dataclass
from typing import Any

from django.conf import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """One backend, with its options from `FANOUT_SERVICES`, overlaid by `FANOUT`."""

    name: str
    url: str
    timeout: float = 1.0  # the most one call may take, in seconds
    personal: bool = False  # gets `?user=<id>` of the viewer, if somebody is logged in

    @property
    def label(self) -> str:
        """The name as people read it: `new_arrivals` is `New arrivals`."""
        return self.name.replace("_", " ").capitalize()


def services() -> list[Service]:
    """Every service of the page, in the order of its sections."""
    found = []
    for name, options in settings.FANOUT_SERVICES.items():
        overlaid: dict[str, Any] = {**options, **settings.FANOUT.get(name, {})}
        found.append(Service(name=name, **overlaid))
    return found
