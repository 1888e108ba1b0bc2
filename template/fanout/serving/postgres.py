"""Connections to PostgreSQL whose waits obey `time_limit`: psycopg bounds only that to connect."""

from collections.abc import Generator
from importlib import import_module
from typing import Any

from fanout.policies.deadline import time_left

_psycopg: Any = import_module("psycopg")  # not always there, and types are checked without it too


class Connection(_psycopg.Connection):  # type: ignore[misc]
    """What the pool hands out. One whose time is over is closed, and the pool makes another."""

    def wait(self, generator: Generator[Any, Any, Any], *args: Any, **options: Any) -> Any:
        """Run what talks to the server. Raises OperationalError once the time is over."""
        return super().wait(self._bound(generator), *args, **options)

    def _bound(self, generator: Generator[Any, Any, Any]) -> Generator[Any, Any, Any]:
        """The same, but it looks at the clock when it goes on: every 0.1 s if nothing comes."""
        try:
            ready = None
            while True:
                ready = yield generator.send(ready)
                if time_left() <= 0:
                    self.pgconn.finish()
                    raise _psycopg.OperationalError("the database took too long")
        except StopIteration as end:
            return end.value
