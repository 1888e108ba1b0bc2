"""A service: a backend that the page calls."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_type_hints

from django.conf import settings

SECONDS = "a number of seconds above 0"


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


def find_problems(options: object) -> Iterator[str]:
    """What is wrong with the options of a service in `FANOUT`, a sentence each."""
    if not isinstance(options, dict):
        yield f"options are a dictionary, not {options!r}."
        return
    kinds = {name: kind for name, kind in get_type_hints(Service).items() if name != "name"}
    for name, value in options.items():
        kind = kinds.get(name)
        if kind is None:
            yield f"there is no option {name!r}; there are {', '.join(kinds)}."
        elif kind is float:
            if not is_seconds(value):
                yield f"{name!r} is {SECONDS}, not {value!r}."
        elif not isinstance(value, kind):
            yield f"{name!r} is a {kind.__name__}, not {value!r}."


def is_seconds(value: object) -> bool:
    """Whether `value` can be a time; NaN is not above 0, and True is no number to people."""
    return not isinstance(value, bool) and isinstance(value, int | float) and value > 0


def services() -> list[Service]:
    """Every service of the page, in the order of its sections."""
    found = []
    for name, options in settings.FANOUT_SERVICES.items():
        overlaid: dict[str, Any] = {**options, **settings.FANOUT.get(name, {})}
        found.append(Service(name=name, **overlaid))
    return found
