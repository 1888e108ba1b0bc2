"""The Jinja environment of the pages."""

from functools import lru_cache
from typing import Any

from django.conf import settings
from django.templatetags.static import static
from django.urls import reverse
from jinja2 import Environment

_METHODS = frozenset(dir(dict))


class _Environment(Environment):
    def getattr(self, obj: Any, attribute: str) -> Any:
        """As Jinja does it, without two exceptions for every key of an answer."""
        if type(obj) is dict and attribute not in _METHODS:
            return obj[attribute] if attribute in obj else self.undefined(obj=obj, name=attribute)
        return super().getattr(obj, attribute)


def environment(**options: Any) -> Environment:
    """Jinja with what every page needs: `static()`, `url()` and the site's `title`."""
    environment = _Environment(trim_blocks=True, lstrip_blocks=True, **options)
    # A look-up in the manifest takes 8 us, and a page makes several.
    get_static = static if settings.DEBUG else lru_cache(1024)(static)
    environment.globals.update(static=get_static, url=reverse, title=settings.FANOUT_TITLE)
    return environment
