"""A visit: one request for a page, as far as its calls need to know it.

Whoever asked the database gives the connection back before services are called: else each page that
waits would keep one.
"""

import logging
from asyncio import Event
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Union

from asgiref.sync import sync_to_async
from django.conf import settings
from django.db import Error, close_old_connections
from django.http import HttpRequest
from django.utils.translation import get_language

from fanout.calls.headers import REQUEST_ID, pass_on
from fanout.calls.section import Section
from fanout.policies.deadline import Deadline, time_limit

if TYPE_CHECKING:  # a model, which nobody may import before the apps are ready
    from django.contrib.auth.base_user import AbstractBaseUser

VIEWER_SECONDS = 1.0  # for looking them up: most of the deadline is for the services
Viewer = Union["AbstractBaseUser", None]


@dataclass(frozen=True, slots=True)
class Visit:
    """What was asked, for whom, until when, and under which request id and trace."""

    request: HttpRequest
    viewer: Viewer
    deadline: Deadline
    headers: Mapping[str, str]  # of every call
    viewer_unknown: bool = False  # somebody may be logged in, but the database did not say who
    language: str = field(default_factory=lambda: get_language() or settings.LANGUAGE_CODE)
    sections: dict[str, Section] = field(default_factory=dict)  # made so far, by name
    arrivals: dict[str, Event | None] = field(default_factory=dict)  # being made, if awaited

    @property
    def kwargs(self) -> dict[str, Any]:
        """The arguments in the path of the page."""
        match: Any = self.request.resolver_match
        if not match:
            return {}
        given = {key: value for key, value in match.kwargs.items() if key != "page"}  # the view's
        return {**given, **match.captured_kwargs}


def get_visit(request: HttpRequest) -> Visit:
    """Start a visit. Asks the database who is logged in, but only if the visitor has a session."""
    deadline, headers = Deadline(settings.FANOUT_DEADLINE), pass_on(request.META)
    viewer, unknown = None, False
    with time_limit(deadline.budget(VIEWER_SECONDS)):
        try:
            viewer = request.user if request.user.is_authenticated else None
        except Error as error:
            unknown = True
            _log(error, headers)
        if _has_asked(request, viewer):
            close_old_connections()
    return Visit(request, viewer, deadline, headers, unknown)


async def aget_visit(request: HttpRequest) -> Visit:
    """Start a visit, without blocking the event loop."""
    deadline, headers = Deadline(settings.FANOUT_DEADLINE), pass_on(request.META)
    viewer, unknown = None, False
    with time_limit(deadline.budget(VIEWER_SECONDS)):
        try:
            user = await request.auser()
            viewer = user if user.is_authenticated else None
        except Error as error:
            unknown = True
            _log(error, headers)
        if _has_asked(request, viewer):
            await sync_to_async(close_old_connections)()
    return Visit(request, viewer, deadline, headers, unknown)


def _has_asked(request: HttpRequest, viewer: Viewer) -> bool:
    """Whether the database was asked: not for a visitor without a session."""
    return viewer is not None or settings.SESSION_COOKIE_NAME in request.COOKIES


def _log(error: Error, headers: Mapping[str, str]) -> None:
    message = "The database did not say who the viewer is: %s"
    extra = {"request_id": headers[REQUEST_ID]}
    logging.getLogger("fanout").warning(message, error, extra=extra)
