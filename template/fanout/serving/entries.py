"""The entries of servers: Django and its static files, unless the site is not ready to be served."""

import gc
from contextlib import AsyncExitStack, suppress
from typing import Any
from wsgiref.types import WSGIApplication

import django
from django.conf import settings
from django.contrib.staticfiles.handlers import ASGIStaticFilesHandler
from django.core.exceptions import ImproperlyConfigured

from fanout.calls.last_good import last_good, load
from fanout.calls.transport import pool
from fanout.serving.checks import refuse_unready
from fanout.serving.handler import Application, Handler, Message, Receive, Send, WSGIHandler
from fanout.serving.static_files import with_static_files, with_static_files_wsgi
from fanout.telemetry import load_tracing


def get_wsgi_application() -> WSGIApplication:
    """The site for WSGI servers, which have no other moment than this to refuse to start."""
    django.setup()
    refuse_unready()
    with suppress(Exception):  # the cache may be down
        load()  # in this thread: others would not outlive the fork of a server
    tracing = load_tracing()
    return with_static_files_wsgi(tracing.TracedWSGIHandler() if tracing else WSGIHandler())


def get_asgi_application() -> Application:
    """The site for ASGI servers, with a lifespan that opens the connection pool and closes it."""
    django.setup()
    tracing = load_tracing()
    add_files: Any = ASGIStaticFilesHandler if settings.DEBUG else with_static_files
    site: Application = add_files(tracing.TracedHandler() if tracing else Handler())

    async def application(scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            return await site(scope, receive, send)
        await receive()  # https://asgi.readthedocs.io/en/latest/specs/lifespan.html
        async with AsyncExitStack() as stack:
            try:
                refuse_unready()
                last_good.connect()
                await stack.enter_async_context(pool())
                if tracing:
                    tracing.sdk.start()
                    stack.callback(tracing.sdk.stop)
            except Exception as error:  # else servers take this for an entry without lifespan
                known = isinstance(error, ImproperlyConfigured)
                message = str(error) if known else f"{type(error).__name__}: {error}"
                return await send({"type": "lifespan.startup.failed", "message": message})
            gc.freeze()  # what is here stays: to look through it takes 50 ms each time,
            gc.set_threshold(20_000)  # and through the pages in flight 5 % of theirs
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    return application
