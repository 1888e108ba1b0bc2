"""Run Django's own tests with the middleware of a generated project in place of Django's.

Run by `test_django_suite.py` as `run.py WAY RUNTESTS MODULE...`, in an environment with that Django
and with the project's folder on the path. The ways are:

- `plain`: as Django runs them. The classes are replaced, sync tests stay sync.
- `loop`: sync tests go through the async code too. The test client's requests go down the async
  chain of middleware, and a middleware that a test makes and calls itself runs its `__acall__`.
  What remains sync is a `process_response` that a test calls alone: it is Django's own.
"""

import asyncio
import importlib
import importlib.util
import json
import runpy
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any
from unittest import TestSuite

import django
from asgiref.sync import async_to_sync, iscoroutinefunction, sync_to_async
from django.http import HttpResponse

_SYNC_CHAIN = "wants what the handler logs when it builds its sync chain, not what middleware does"

# Every test that is left out (or every test below a name), and why; those of `plain` in both ways.
DESELECTED: dict[str, dict[str, str]] = {
    "plain": {},
    "loop": {
        "middleware_exceptions.tests.MiddlewareNotUsedTests.test_log": _SYNC_CHAIN,
        "middleware_exceptions.tests.MiddlewareNotUsedTests.test_log_custom_message": _SYNC_CHAIN,
        "middleware_exceptions.tests.MiddlewareSyncAsyncTests.test_async_middleware": _SYNC_CHAIN,
    },
}
if django.VERSION < (6, 1):
    DESELECTED["loop"]["auth_tests.test_remote_user"] = (
        "until 6.1 Django's own RemoteUserMiddleware looks for another header when it is async"
    )

calls: Counter[str] = Counter()
deselected: set[str] = set()


def replace() -> list[type]:
    """Put our classes where Django's are; what Django itself imported earlier stays Django's."""
    ours = importlib.import_module("fanout.serving.middleware")
    classes = [
        value
        for value in vars(ours).values()
        if isinstance(value, type) and issubclass(value, ours.OnLoop) and value is not ours.OnLoop
    ]
    for cls in classes:
        theirs = cls.__bases__[0]
        module = sys.modules[theirs.__module__]
        assert getattr(module, theirs.__name__) is theirs
        setattr(module, theirs.__name__, cls)
    assert len(classes) == 8
    count(ours.OnLoop)
    return classes


def count(base: Any) -> None:
    """Count the requests that ran on the loop, by class: proof that our code was there."""
    original = base.__acall__

    async def acall(self: Any, request: Any) -> Any:
        if self.stays_in_memory():
            calls[type(self).__name__] += 1
        return await original(self, request)

    base.__acall__ = acall


def replace_handler() -> None:
    """Put the project's ASGI handler, if it has one, where Django's is."""
    asgi: Any = importlib.import_module("django.core.handlers.asgi")
    if importlib.util.find_spec("fanout.serving.handler"):
        entry: Any = importlib.import_module("django.core.asgi")
        ours: Any = importlib.import_module("fanout.serving.handler")
        ours.mark_response = lambda *_: None  # the one header that Django's responses do not have
        asgi.ASGIHandler = ours.Handler
        entry.ASGIHandler = asgi.ASGIHandler
    print(f"fanout: the ASGI handler is: {asgi.ASGIHandler.__module__}")


def drive(cls: Any) -> None:
    """Let an instance that is called by sync code run its async code all the same."""
    init = cls.__init__
    hook: Any = getattr(cls, "process_request", None)

    def __init__(self: Any, get_response: Any) -> None:
        self.driven = bool(get_response) and not iscoroutinefunction(get_response)
        init(self, sync_to_async(get_response) if self.driven else get_response)
        if self.driven:  # for whoever asks, it is sync
            for mark in ("_is_coroutine", "_is_coroutine_marker"):
                vars(self).pop(mark, None)
            if process_view := vars(self).get("process_view"):
                self.process_view = async_to_sync(process_view)

    def __call__(self: Any, request: Any) -> Any:
        if not self.driven:
            return self.__acall__(request)
        self.driven, acall = False, async_to_sync(self.__acall__)
        try:
            with ThreadPoolExecutor(1) as thread:  # for async tests, which call it on their loop
                return thread.submit(acall, request).result() if is_on_loop() else acall(request)
        finally:
            self.driven = True

    def process_request(self: Any, request: Any) -> Any:
        if not self.driven:
            return hook(self, request)
        passed = HttpResponse()

        async def view(request: Any) -> HttpResponse:
            return passed

        self.get_response = view
        response = self(request)
        return None if response is passed else response

    cls.__init__, cls.__call__ = __init__, __call__
    if cls.__name__ in (
        "CommonMiddleware",
        "SecurityMiddleware",
    ):  # whose tests call the hook alone
        cls.process_request = process_request


def is_on_loop() -> bool:
    """Whether the caller runs on an event loop, where nothing can be waited for synchronously."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


def drive_client() -> None:
    """Let Django's sync test client send its requests down the async chain of middleware."""
    from django.core.handlers.base import BaseHandler
    from django.test.client import ClientHandler

    def load_middleware(self: Any, is_async: bool = False) -> None:
        BaseHandler.load_middleware(self, is_async=True)

    def get_response(self: Any, request: Any) -> Any:
        return async_to_sync(self.get_response_async)(request)

    handler: Any = ClientHandler
    handler.load_middleware, handler.get_response = load_middleware, get_response


def deselect(names: dict[str, str]) -> None:
    """Leave out the tests of these names, and those below them."""
    from django.test.runner import DiscoverRunner

    build: Any = DiscoverRunner.build_suite

    def build_suite(self: Any, *args: Any, **kwargs: Any) -> Any:
        suite = build(self, *args, **kwargs)
        return type(suite)(list(keep(suite))) if isinstance(suite, TestSuite) else suite

    def keep(suite: TestSuite) -> Iterator[Any]:
        for test in suite:
            if isinstance(test, TestSuite):
                yield from keep(test)
            elif name := next((n for n in names if f"{test.id()}.".startswith(f"{n}.")), ""):
                deselected.add(name)
            else:
                yield test

    runner: Any = DiscoverRunner
    runner.build_suite = build_suite


def main(way: str, runtests: str, *modules: str) -> None:
    """Run `modules`; exits as Django's runner does. Prints what was called and left out."""
    names = DESELECTED["plain"] | DESELECTED[way]
    setup: Callable[..., None] = django.setup

    def setup_and_replace(*args: Any, **kwargs: Any) -> None:
        setup(*args, **kwargs)
        django.setup = setup  # tests call it too
        classes = replace()
        replace_handler()
        deselect(names)
        if way == "loop":
            drive_client()
            for cls in classes:
                drive(cls)

    django.setup = setup_and_replace
    sys.path.insert(0, str(Path(runtests).parent))
    sys.argv = [runtests, "--parallel=1", "--verbosity=1", *modules]
    try:
        runpy.run_path(runtests, run_name="__main__")
    finally:
        print("fanout: on the loop:", json.dumps(calls))
        print("fanout: left out:", json.dumps(sorted(deselected)))
        print("fanout: to be left out:", json.dumps(sorted(names)))


if __name__ == "__main__":
    main(*sys.argv[1:])
