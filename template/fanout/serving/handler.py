"""Django's handlers, of which that for ASGI takes no thread for a request that needs none.

Django starts a thread for every request, to tell its signals and to close the response there. What
that is for, connections of the database and caches, only exists if something else of the request
ran in a thread. If so, or if anybody else listens to the signals, all is done as Django does it.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from contextlib import closing
from typing import Any

from asgiref.sync import SyncToAsync, sync_to_async
from django.core import signals
from django.core.cache import close_caches
from django.core.exceptions import RequestAborted
from django.core.handlers import wsgi
from django.core.handlers.asgi import ASGIHandler, ASGIRequest, get_script_prefix
from django.core.handlers.base import reset_urlconf
from django.db import close_old_connections, connections, reset_queries
from django.dispatch import Signal
from django.http import HttpRequest, HttpResponseBase
from django.http.multipartparser import MultiPartParserError
from django.urls import set_script_prefix
from django.utils.http import parse_header_parameters

from fanout.calls.headers import mark_request, mark_response

# Django's own receivers: nothing to do for them while no connection is open.
IDLE = {reset_queries, close_old_connections, close_caches, reset_urlconf}

# What this has in place of Django's own, by its source in 5.2 and 6.0, and in 6.1: a system check compares.
MADE_FROM: dict[Callable[..., Any], set[str]] = {
    ASGIHandler.__call__: {"f756809e9c93"},
    ASGIHandler.handle: {"98faeb5bef80", "c91f27c7fcdc"},
    HttpResponseBase.close: {"84589f5b23ac"},
    HttpRequest._set_content_type_params: {"c4ef0b4724e1", "e22945ec8be2"},  # type: ignore[attr-defined]
}

Message = Mapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Coroutine[Any, Any, None]]


class Utf8Request(HttpRequest):
    """A request that is read as UTF-8: in a charset that a visitor names Django reads even the query."""

    def _set_content_type_params(self, meta: Mapping[str, str]) -> None:
        line = meta.get("CONTENT_TYPE", "")
        try:
            self.content_type, self.content_params = parse_header_parameters(line)
        except (LookupError, ValueError):  # of a charset that its parameters are in
            self.content_type, self.content_params = line.partition(";")[0].lower(), {"charset": ""}

    def parse_file_upload(self, *args: Any) -> Any:
        try:
            return super().parse_file_upload(*args)
        except LookupError as error:  # of a charset in the headers of a part, until Django 6.1
            raise MultiPartParserError(f"A part is in {error}") from error


class Request(Utf8Request, ASGIRequest): ...


class WSGIRequest(Utf8Request, wsgi.WSGIRequest): ...


class WSGIHandler(wsgi.WSGIHandler):
    """Handles requests in threads, as Django does; their ids are in the log and in the answers."""

    request_class = WSGIRequest

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        mark_request(request)
        response = super().get_response(request)
        mark_response(request, response)
        return response


class Handler(ASGIHandler):
    """Handles one request after another, each as far as possible on the event loop."""

    request_class = Request

    async def handle(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        """Receive the request, get its response, send it; a visitor who goes away ends that."""
        try:
            body = await self.read_body(receive)
        except RequestAborted:
            return
        with closing(body):
            set_script_prefix(get_script_prefix(scope))
            if _must_tell(signals.request_started, self.__class__):
                await signals.request_started.asend(sender=self.__class__, scope=scope)
            request, error = self.create_request(scope, body)
            if request:
                mark_request(request)
            if error:
                await self.send_response(error, send)
            await self._finish(error or await self.respond(request, receive, send))

    async def respond(self, request: Any, receive: Receive, send: Send) -> HttpResponseBase | None:
        """The response, sent; none if the visitor went away before there was one."""
        response = None
        errors: BaseExceptionGroup | None = None
        try:
            async with asyncio.TaskGroup() as tasks:
                listener = tasks.create_task(self.listen_for_disconnect(receive))
                response = await self.run_get_response(request)
                mark_response(request, response)
                await self.send_response(response, send)
                listener.cancel()
        except BaseExceptionGroup as group:
            _, errors = group.split(RequestAborted)
        if errors:
            raise errors.exceptions[0] if len(errors.exceptions) == 1 else errors
        return response

    async def send_response(self, response: Any, send: Send) -> None:
        """Send it as Django does, but what is whole with its length: HTTP/1.0 knows no chunks."""
        if not response.streaming and response.status_code not in (204, 304):
            response.headers.setdefault("Content-Length", str(len(response.content)))
        elif response.headers.get("Content-Encoding") == "identity":
            del response.headers["Content-Encoding"]  # a proxy may compress what middleware may not
        await super().send_response(response, send)

    async def _finish(self, response: HttpResponseBase | None) -> None:
        if not _must_tell(signals.request_finished, self.__class__):
            if response:
                response.close()
        elif response:
            await sync_to_async(response.close)()
        else:
            await signals.request_finished.asend(sender=self.__class__)


def _must_tell(signal: Signal, sender: type) -> bool:
    """Whether there is somebody who has to be told as Django does it."""
    used = SyncToAsync.thread_sensitive_context.get() in SyncToAsync.context_to_thread_executor
    if used or any(c.connection for c in connections.all(initialized_only=True)):
        return True
    sync, others = signal._live_receivers(sender)
    return bool(others) or not IDLE.issuperset(sync)
