"""Static files in production: what `collectstatic` has gathered, served without Django."""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit
from wsgiref.types import WSGIApplication

from django.conf import settings
from django.core.files.storage import storages
from django.http import HttpResponse
from django.middleware.security import SecurityMiddleware
from servestatic import ServeStatic, ServeStaticASGI

from fanout.serving.handler import Application

# An SVG is a document when it is opened: no script that is written in it runs.
POLICY = "script-src 'self'; object-src 'none'; base-uri 'none'"
SECURE = (False, True)


def with_static_files(site: Application) -> Application:
    """The ASGI application `site`, and the static files, of which `site` never hears."""
    prefix, files = _find(ServeStaticASGI)
    more = [[(k.lower().encode(), v.encode()) for k, v in _make_headers(s)] for s in SECURE]

    def application(scope: Any, receive: Any, send: Any) -> Any:
        if files and scope["path"].startswith(prefix) and scope["type"] == "http":
            # ServeStatic expects the path as in WSGI: its bytes, read as Latin-1.
            scope = {**scope, "path": scope["path"].encode().decode("latin-1")}
            return files(scope, receive, partial(_send, send, more[scope.get("scheme") == "https"]))
        return site(scope, receive, send)

    return application


def with_static_files_wsgi(site: WSGIApplication) -> WSGIApplication:
    """The WSGI application `site`, likewise."""
    prefix, files = _find(ServeStatic)
    more = [_make_headers(secure) for secure in SECURE]

    def application(environ: Any, start_response: Any) -> Any:
        if files and environ["PATH_INFO"].startswith(prefix):
            secure = environ["wsgi.url_scheme"] == "https"
            headers = more[secure]
            return files(environ, lambda line, own: start_response(line, [*own, *headers]))
        return site(environ, start_response)

    return application


def _find(server: type[Any]) -> tuple[str, Callable[..., Any] | None]:
    """The path of STATIC_URL and a `server` of the files below it, if they are served here."""
    url, root = urlsplit(settings.STATIC_URL), settings.STATIC_ROOT
    if settings.DEBUG or url.path == "/" or not root or not Path(root).is_dir():
        return url.path, None
    shared = bool(url.netloc)  # a CDN's fonts need it
    files = server(None, root, url.path, allow_all_origins=shared)
    # Names, sizes and owners of all files are nobody's business.
    files.files.pop(url.path + getattr(storages["staticfiles"], "manifest_name", ""), None)
    return url.path, files


async def _send(send: Any, more: list[tuple[bytes, bytes]], message: Any) -> None:
    if message["type"] == "http.response.start":
        message["headers"] = [*message["headers"], *more]
    await send(message)


def _make_headers(secure: bool) -> list[tuple[str, str]]:
    """What Django's middleware, which does not see files, would add over https or http; and POLICY."""
    response = HttpResponse(headers={"Content-Security-Policy": POLICY})
    del response.headers["Content-Type"]
    middleware: Any = SecurityMiddleware(HttpResponse)
    middleware.process_response(SimpleNamespace(is_secure=lambda: secure), response)
    return list(response.headers.items())
