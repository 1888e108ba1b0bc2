"""The cache that the processes share, named `fanout` in CACHES. What is in it is JSON.

Django's own serializer would run what somebody else has written there: a pickle is a program.
"""

import json
from typing import Any

from django.conf import settings
from django.core.cache import caches
from django.utils.connection import ConnectionProxy

cache: Any = ConnectionProxy(caches, "fanout")


class JsonSerializer:
    """What Django's Redis backend does with values. Redis counts with whole numbers as they are."""

    def dumps(self, value: object) -> bytes:
        """Text for a value of lists, numbers and texts."""
        return json.dumps(value, ensure_ascii=False).encode()

    def loads(self, data: bytes) -> Any:
        """The value. Raises ValueError, or RecursionError."""
        return json.loads(data)


def is_shared() -> bool:
    """Whether other processes see what this one writes."""
    return not str(settings.CACHES["fanout"]["BACKEND"]).endswith(".LocMemCache")
