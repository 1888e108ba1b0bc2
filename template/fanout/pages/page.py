"""A page: its template, its services, and those that it cannot be without."""

from collections.abc import Collection, Iterable, Iterator
from graphlib import CycleError
from importlib import import_module
from typing import Any, ClassVar
from weakref import WeakSet

from asgiref.sync import iscoroutinefunction
from django.conf import settings
from django.core.checks import CheckMessage, Error, Warning

from fanout.calls.service import (
    Service,
    find_problems,
    find_services,
    get_classes,
    put_in_order,
    services,
)

Chosen = type[Service] | str  # a service's class, or its name


class Page:
    """What a view shows: sections of these services, or of those of the homepage, in that order.

    If a `required` service fails there is no page. Where that is not said, its class says it.
    """

    known: ClassVar["WeakSet[Page]"] = WeakSet()  # all of this process, for the system checks

    def __init__(
        self, template: str, *chosen: Chosen, required: Iterable[Chosen] | None = None
    ) -> None:
        self.template, self._chosen = template, chosen
        self._required = None if required is None else {_get_name(each) for each in required}
        self.known.add(self)

    @property
    def sections(self) -> list[Service]:
        """Its services, in the order of their sections."""
        return find_services(self._chosen) if self._chosen else services()

    @property
    def services(self) -> list[Service]:
        """The same, each after those whose sections it needs."""
        return put_in_order(self.sections)

    def find_required(self, services: Iterable[Service]) -> set[str]:
        """The names of those of its services that it cannot be without."""
        if self._required is None:
            return {service.name for service in services if service.required}
        return self._required

    def find_problems(self, known: Collection[str]) -> Iterator[str]:
        """What is wrong with its services, a sentence each; those that are `known` have an address."""
        classes = [cls for cls in self._chosen if isinstance(cls, type)]
        if wrong := [(cls, problem) for cls in classes for problem in find_problems(cls)]:
            yield from (f"{cls.__module__}.{cls.__qualname__}: {problem}" for cls, problem in wrong)
            return
        listed = {service.name: service for service in self.sections}
        for name in map(_get_name, self._chosen):
            if name not in known:
                there = ", ".join(sorted(known))
                yield f"The page {self.template} lists {name!r}, which is no service; there are {there}."
        for name in sorted((self._required or set()) - listed.keys()):
            yield f"The page {self.template} requires {name!r}, which it does not list."
        for service in listed.values():
            for name in service.after:
                if name not in listed:
                    yield f"On the page {self.template} {service.name!r} needs {name!r}, which the page does not list."
        try:
            put_in_order(list(listed.values()))
        except CycleError as error:
            yield f"On the page {self.template} services wait for each other: {', '.join(error.args[1])}."


def _get_name(chosen: Chosen) -> str:
    return chosen if isinstance(chosen, str) else chosen.name


def _find_atomic_views(patterns: Any) -> Iterator[str]:
    """The async views that ATOMIC_REQUESTS would break, a sentence each."""
    if atomic := {name for name, db in settings.DATABASES.items() if db.get("ATOMIC_REQUESTS")}:
        from django.contrib.admindocs.views import extract_views_from_urlpatterns as find_views

        why = "is async, so ATOMIC_REQUESTS needs it to be decorated with @non_atomic_requests."
        for view, address, *_ in find_views(patterns):
            if iscoroutinefunction(view) and atomic - getattr(view, "_non_atomic_requests", set()):
                yield f"The view of /{address} {why}"


def check_pages(**_: Any) -> list[CheckMessage]:
    """fanout.E007: pages have what they need, and views. fanout.W001: a class is of a service that a page lists."""
    try:
        urls = import_module(settings.ROOT_URLCONF)
        classes = get_classes(settings.FANOUT_CLASSES)
    except Exception:  # Django says it, or fanout.E004
        return []
    if any(problem for cls in classes for problem in find_problems(cls)):  # fanout.E004, too
        return []
    known = {*settings.FANOUT_SERVICES, *(cls.name for cls in classes)}
    found = {problem for page in Page.known for problem in page.find_problems(known)}
    found.update(_find_atomic_views(urls.urlpatterns))
    messages: list[CheckMessage] = [Error(problem, id="fanout.E007") for problem in sorted(found)]
    listed = {service.name for page in Page.known for service in page.sections}
    names = ", ".join(settings.FANOUT_SERVICES)
    hint = f"The homepage lists {names}: update it, put the class on a page, or delete it."
    for cls in classes:
        if cls.name not in listed:
            message = f"{cls.__module__}.{cls.__qualname__} is of the service {cls.name!r}, which no page lists."
            messages.append(Warning(message, hint=hint, id="fanout.W001"))
    return messages
