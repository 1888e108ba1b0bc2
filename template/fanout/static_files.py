"""Static files in production: what `collectstatic` has gathered, served without Django."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit
from wsgiref.headers import Headers

from django.conf import settings
from django.core.files.storage import storages
from servestatic import ServeStatic, ServeStaticASGI

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication

    from fanout.asgi import Application


def with_static_files(site: "Application") -> "Application":
    """The ASGI application `site`, and the static files, of which `site` never hears."""
    prefix, files = _find(ServeStaticASGI)

    def application(scope: Any, receive: Any, send: Any) -> Any:
        if files and scope["path"].startswith(prefix) and scope["type"] == "http":
            # ServeStatic expects the path as in WSGI: its bytes, read as Latin-1.
            scope = {**scope, "path": scope["path"].encode().decode("latin-1")}
            return files(scope, receive, send)
        return site(scope, receive, send)

    return application


def with_static_files_wsgi(site: "WSGIApplication") -> "WSGIApplication":
    """The WSGI application `site`, likewise."""
    prefix, files = _find(ServeStatic)

    def application(environ: Any, start_response: Any) -> Any:
        if files and environ["PATH_INFO"].startswith(prefix):
            return files(environ, start_response)
        return site(environ, start_response)

    return application


def _find(server: type[Any]) -> tuple[str, Callable[..., Any] | None]:
    """The path of STATIC_URL and a `server` of the files below it, if they are served here."""
    url, root = urlsplit(settings.STATIC_URL), settings.STATIC_ROOT
    if settings.DEBUG or url.path == "/" or not root or not Path(root).is_dir():
        return url.path, None
    files = server(
        None,
        root,
        url.path,
        allow_all_origins=bool(url.netloc),  # a CDN's fonts need it
        add_headers_function=_add_headers,
    )
    # Names, sizes and owners of all files are nobody's business.
    files.files.pop(url.path + getattr(storages["staticfiles"], "manifest_name", ""), None)
    return url.path, files


def _add_headers(headers: Headers, path: str, url: str) -> None:
    headers["X-Content-Type-Options"] = "nosniff"  # Django's middleware does not see files
