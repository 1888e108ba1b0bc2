"""A visit: one request for a page, as far as its calls need to know it."""

from dataclasses import dataclass

import httpx
from django.conf import settings
from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

from fanout.deadline import Deadline
from fanout.headers import make_headers

Viewer = AbstractBaseUser | None


@dataclass(frozen=True, slots=True)
class Visit:
    """Until when, for whom, and under which request id and trace."""

    deadline: Deadline
    viewer: Viewer
    headers: httpx.Headers  # of every call


def get_visit(request: HttpRequest) -> Visit:
    """Start a visit. Asks the database who is logged in, but only if the visitor has a session."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    user = request.user
    return Visit(deadline, user if user.is_authenticated else None, make_headers(request.headers))


async def aget_visit(request: HttpRequest) -> Visit:
    """Start a visit, without blocking the event loop."""
    deadline = Deadline(settings.FANOUT_DEADLINE)
    user = await request.auser()
    return Visit(deadline, user if user.is_authenticated else None, make_headers(request.headers))
