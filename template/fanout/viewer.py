"""The viewer: the user for whom a page is made, or nobody."""

from django.contrib.auth.base_user import AbstractBaseUser
from django.http import HttpRequest

Viewer = AbstractBaseUser | None


def get_viewer(request: HttpRequest) -> Viewer:
    """Who is logged in. Asks the database only if the visitor has a session."""
    return request.user if request.user.is_authenticated else None


async def aget_viewer(request: HttpRequest) -> Viewer:
    """Who is logged in, without blocking the event loop."""
    user = await request.auser()
    return user if user.is_authenticated else None
