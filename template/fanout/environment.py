"""The Jinja environment of the pages."""

from typing import Any

from django.templatetags.static import static
from django.urls import reverse
from jinja2 import Environment


def environment(**options: Any) -> Environment:
    """Jinja with the two functions that a page needs from Django, under Django's names."""
    environment = Environment(trim_blocks=True, lstrip_blocks=True, **options)  # noqa: S701 - Django turns autoescape on
    environment.globals.update(static=static, url=reverse)
    return environment
