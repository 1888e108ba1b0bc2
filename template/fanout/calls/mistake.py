"""What goes wrong between a service and its class, in a sentence."""

from collections.abc import Coroutine, Hashable, Mapping
from contextlib import suppress
from traceback import walk_tb
from typing import Any


class BadAnswer(Exception):
    """A service answered, but not with a section; the message says what came instead."""

    def __init__(self, message: str = "", status: int | None = None) -> None:
        super().__init__(message)
        self.status = status  # that it answered with


class Unset(Exception):
    """A secret is not set; the message says which."""


class Mistake(BadAnswer):
    """A method of a service's class failed; the message names it, and the traceback leads there."""

    def __init__(self, message: str, kind: Hashable = "") -> None:
        super().__init__(message)
        self.kind = kind or message  # the same for all that are made in the same place

    @classmethod
    def of(cls, method: str, error: Exception) -> BadAnswer:
        """The one that `error` shows, unless that is a BadAnswer. Only errors of Python's own are quoted.

        Other messages may hold what a service, a visitor or a secret says.
        """
        if isinstance(error, BadAnswer):
            return error
        quoted = KeyError | IndexError | AttributeError | TypeError | Unset
        kind = "" if isinstance(error, Unset) else type(error).__name__
        what = str(error) if isinstance(error, quoted) else ""
        if isinstance(error, UnicodeEncodeError) and (header := _find_header(error)):
            return cls(f"{method} gives a header {header!r:.60} that cannot be sent")
        lines = [line for _, line in walk_tb(error.__traceback__)]
        said = " ".join(filter(None, (f"{method}:", kind, what)))
        mistake = cls(said, (method, kind, *lines[-1:]))
        return mistake.with_traceback(error.__traceback__)


def _find_header(error: UnicodeEncodeError) -> object:
    """The name of the header that httpx could not take; the error knows nothing but its value."""
    for frame, _ in walk_tb(error.__traceback__):
        headers: Any = frame.f_locals.get("headers")  # what httpx calls them, for its callers too
        with suppress(TypeError, ValueError):
            for header, value in headers.items() if isinstance(headers, Mapping) else headers:
                if error.object in (header, value):
                    return header
    return None


def name(service: object, method: str) -> str:
    """A method of a service's class, as `homepage.services.Reviews.read`."""
    return f"{type(service).__module__}.{type(service).__qualname__}.{method}"


def call(service: object, method: str, argument: object) -> Any:
    """What a method of a service's class gives. Raises BadAnswer, or a Mistake for any other error."""
    who = name(service, method)
    try:
        given = getattr(service, method)(argument)
    except Exception as error:
        raise Mistake.of(who, error) from None
    if isinstance(given, Coroutine):
        given.close()
        raise Mistake(f"{who} is async: write def")
    return given
