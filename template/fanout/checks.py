"""System checks: what a production site needs before it answers anybody."""

from typing import Any

import httpx
from django.conf import settings
from django.core.checks import CheckMessage, Error
from django.core.exceptions import ImproperlyConfigured

from fanout.answer import is_safe_link
from fanout.service import services


def check_production(**_: Any) -> list[CheckMessage]:
    """fanout.E001: in production, everything that has no safe default is set."""
    missing = [] if settings.DEBUG else _missing()
    if not missing:
        return []
    return [
        Error(
            f"Not set, but needed in production: {', '.join(missing)}.",
            hint="Set them in the environment or in .env, or DJANGO_DEBUG=true for development.",
            id="fanout.E001",
        )
    ]


def check_urls(**_: Any) -> list[CheckMessage]:
    """fanout.E002: a service's URL is one that can be called."""
    return [
        Error(
            f"{service.name.upper()}_URL is not an http(s) address: {service.url!r}.",
            id="fanout.E002",
        )
        for service in services()
        if service.url and not _is_callable(service.url)
    ]


def refuse_unready() -> None:
    """Raise ImproperlyConfigured, naming everything at once, unless this site may be served."""
    if problems := [*check_production(), *check_urls()]:
        raise ImproperlyConfigured(
            " ".join(" ".join(filter(None, (problem.msg, problem.hint))) for problem in problems)
        )


def _missing() -> list[str]:
    missing = []
    try:
        settings.SECRET_KEY  # noqa: B018 - Django refuses an empty one when it is read
    except ImproperlyConfigured:
        missing.append("DJANGO_SECRET_KEY")
    if not settings.ALLOWED_HOSTS:
        missing.append("DJANGO_ALLOWED_HOSTS")
    return missing + [f"{service.name.upper()}_URL" for service in services() if not service.url]


def _is_callable(url: str) -> bool:
    try:
        parsed = httpx.URL(url)
    except httpx.InvalidURL:
        return False
    return bool(parsed.scheme and parsed.host) and is_safe_link(url)
