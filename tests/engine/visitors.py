"""Visitors: who they are, and how they come."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
from asgiref.sync import async_to_sync
from django.contrib.auth import get_user_model
from django.test import AsyncClient, Client, RequestFactory

from fanout.calls.answer import Readings, Reply, readings
from fanout.calls.headers import pass_on
from fanout.calls.visit import Visit
from fanout.policies.deadline import Deadline


def make_visit(viewer: Any = None, seconds: float = 60.0) -> Visit:
    """A visit of somebody that may take so many seconds."""
    return Visit(RequestFactory().get("/"), viewer, Deadline(seconds), pass_on({}))


def forget_readings() -> None:
    """Have no answer that was read before."""
    vars(readings).update(vars(Readings()))


def make_reply(body: bytes, status: int = 200, **headers: str) -> Reply:
    """What a service says."""
    pairs = ((name.encode(), value.encode()) for name, value in headers.items())
    return Reply(status, tuple(pairs), body)


def make_user(name: str, password: str = "") -> Any:
    """A new user of whatever model the project has."""
    model = get_user_model()
    user = model(**{model.USERNAME_FIELD: name})
    user.set_password(password)
    user.save()
    return user


def ask_wsgi(
    application: Any, *paths: str, method: str = "GET", **headers: Any
) -> list[httpx.Response]:
    """The answers of a WSGI application, in one thread that is not the test's, as in servers."""

    def ask(path: str) -> httpx.Response:
        environ = RequestFactory(SERVER_NAME="127.0.0.1").generic(method, path, **headers).environ
        started: list[Any] = []
        parts = application(environ, lambda *line_and_headers: started.extend(line_and_headers))
        line, answered = started
        return httpx.Response(int(line[:3]), headers=answered, content=b"".join(parts))

    with ThreadPoolExecutor(1) as threads:
        return list(threads.map(ask, paths))


class _AsyncClient(AsyncClient):
    """Comes from an address, as Client does that gets a REMOTE_ADDR."""

    address: str

    def _base_scope(self, **request: Any) -> Any:
        factory: Any = super()
        return {**factory._base_scope(**request), "client": [self.address, 0]}


def send(
    interface: str, method: str, path: str, *, address: str = "127.0.0.1", **options: Any
) -> Any:
    """What a visitor who comes from `address` is answered."""
    if interface == "wsgi":
        return getattr(Client(REMOTE_ADDR=address), method)(path, **options)
    client = _AsyncClient()
    client.address = address

    async def call() -> Any:
        response = await getattr(client, method)(path, **options)
        if response.streaming:
            response.streaming_content = [part async for part in response]
        return response

    return async_to_sync(call)()
