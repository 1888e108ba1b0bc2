"""The same homepage in every style: the views differ only in how they wait."""

from collections.abc import Callable
from typing import Any

from django.http import HttpRequest

from fanout.views import gather, naive, stream, sync

VIEWS: dict[str, Callable[[HttpRequest], Any]] = {
    "sync": sync.home,
    "naive": naive.home,
    "gather": gather.home,
    "stream": stream.home,
}
