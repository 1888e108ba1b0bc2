"""A visit: one request for a page, as far as its calls need to know it.

Whoever asked the database gives the connection back before services are called: else each page that
waits would keep one.
"""

from dataclasses import dataclass

import httpx
from asgiref.sync import sync_to_async
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.db import close_old_connections
from django.http import HttpRequest

from fanout.calls.headers import make_headers
from fanout.policies.deadline import Deadline

Viewer = AbstractBaseUser | None


@dataclass(frozen=True, slots=True)
class Visit:
    """What was asked, for whom, until when, and under which request id and trace."""

    request: HttpRequest
    viewer: Viewer
    deadline: Deadline
    headers: httpx.Headers  # of every call


def get_visit(request: HttpRequest) -> Visit:
    """Start a visit. Asks the database who is logged in, but only if the visitor has a session."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    viewer = request.user if request.user.is_authenticated else None
    if _has_asked(request, viewer):
        close_old_connections()
    return Visit(request, viewer, deadline, make_headers(request.headers))


async def aget_visit(request: HttpRequest) -> Visit:
    """Start a visit, without blocking the event loop."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    user = await request.auser()
    viewer = user if user.is_authenticated else None
    if _has_asked(request, viewer):
        await sync_to_async(close_old_connections)()
    return Visit(request, viewer, deadline, make_headers(request.headers))


def _has_asked(request: HttpRequest, viewer: Viewer) -> bool:
    """Whether the database was asked: not for a visitor without a session."""
    return viewer is not None or settings.SESSION_COOKIE_NAME in request.COOKIES
