"""Static files in production: what `collectstatic` has gathered, served without Django."""

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


def with_static_files(site: Application) -> Application:
    """The ASGI application `site`, and the static files, of which `site` never hears."""
    prefix, files, headers = _find(ServeStaticASGI)
    raw = [[(k.lower().encode(), v.encode()) for k, v in more] for more in headers]

    def application(scope: Any, receive: Any, send: Any) -> Any:
        script, path = _part(scope.get("root_path", ""), scope["path"])
        scope = {**scope, "root_path": script, "path": script + path}
        if not files or not scope["path"].startswith(prefix) or scope["type"] != "http":
            return site(scope, receive, send)

        async def send_more(message: Any) -> None:
            if message["type"] == "http.response.start":
                message["headers"] += raw[scope.get("scheme") == "https"]
            await send(message)

        # ServeStatic expects the path as in WSGI: its bytes, read as Latin-1.
        scope = {**scope, "path": scope["path"].encode().decode("latin-1")}
        return files(scope, receive, send_more)

    return application


def with_static_files_wsgi(site: WSGIApplication) -> WSGIApplication:
    """The WSGI application `site`, likewise."""
    prefix, files, headers = _find(ServeStatic)

    def application(environ: Any, start_response: Any) -> Any:
        script, path = _part(environ.get("SCRIPT_NAME", ""), environ.get("PATH_INFO", ""))
        environ = {**environ, "SCRIPT_NAME": script, "PATH_INFO": path}
        if files and f"{script}{path}".startswith(prefix):
            more = headers[environ["wsgi.url_scheme"] == "https"]
            environ["PATH_INFO"] = script + path
            return files(environ, lambda line, own: start_response(line, [*own, *more]))
        return site(environ, start_response)

    return application


def _part(script: str, path: str) -> tuple[str, str]:
    """What the site is below, and what is asked there, whether a proxy takes off the first or not."""
    script = (settings.FORCE_SCRIPT_NAME or script).rstrip("/")
    return script, path.removeprefix(script) if f"{path}/".startswith(f"{script}/") else path


def _find(server: type[Any]) -> tuple[str, Any, list[list[tuple[str, str]]]]:
    """The path of STATIC_URL, a `server` if files are served, and more headers for http and https."""
    url, root = urlsplit(settings.STATIC_URL), settings.STATIC_ROOT
    if settings.DEBUG or url.path == "/" or not root or not Path(root).is_dir():
        return url.path, None, []
    shared = bool(url.netloc)  # a CDN's fonts need it
    files = server(None, root, url.path, allow_all_origins=shared)
    # Names, sizes and owners of all files are nobody's business.
    files.files.pop(url.path + getattr(storages["staticfiles"], "manifest_name", ""), None)
    return url.path, files, [_make_headers(secure) for secure in (False, True)]


def _make_headers(secure: bool) -> list[tuple[str, str]]:
    """What Django's middleware, which does not see files, would add over https or http; and POLICY."""
    response = HttpResponse(headers={"Content-Security-Policy": POLICY})
    del response.headers["Content-Type"]
    middleware: Any = SecurityMiddleware(HttpResponse)
    middleware.process_response(SimpleNamespace(is_secure=lambda: secure), response)
    return list(response.headers.items())
