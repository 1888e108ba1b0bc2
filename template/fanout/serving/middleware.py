"""Django's middleware without a thread per hook: under ASGI what only touches memory runs on the loop.

Under WSGI the classes are Django's. To go back under ASGI, put Django's own into MIDDLEWARE.
"""

from collections.abc import Callable
from typing import Any, cast

import django
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBadRequest
from django.http.response import HttpResponseBase
from django.middleware import clickjacking, common, csrf, security
from django.utils.deprecation import MiddlewareMixin
from django.utils.module_loading import import_string

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")  # as in Django's CsrfViewMiddleware
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")  # of which Django makes POST
UTF_8 = ("utf-8", "utf8")


class OnLoop(MiddlewareMixin):
    """Calls the hooks on the event loop. Comes after Django's class: should it get async, it wins."""

    def stays_in_memory(self) -> bool:
        """Whether the hooks may run on the loop. Those of a project's subclass may do anything."""
        return type(self).__module__ == __name__

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether `process_response` would wait for a database, a cache or a disk."""
        return False

    async def __acall__(self, request: HttpRequest) -> HttpResponseBase:
        """Answer `request` as Django does, in Django's order."""
        if not self.stays_in_memory():
            return await super().__acall__(request)
        hooks: Any = self  # a class has either hook, or both
        response = hooks.process_request(request) if hasattr(self, "process_request") else None
        response = response or await hooks.get_response(request)
        if hasattr(self, "process_response"):
            if self.has_to_save(request):
                save = sync_to_async(hooks.process_response, thread_sensitive=True)
                response = await save(request, response)
            else:
                response = hooks.process_response(request, response)
        return cast(HttpResponseBase, response)


class SecurityMiddleware(security.SecurityMiddleware, OnLoop):
    """Redirects to https; sets the headers of SECURE_*."""


_Csp: Any = import_string(
    "django.middleware.csp.ContentSecurityPolicyMiddleware"
    if django.VERSION >= (6, 0)
    else "csp.middleware.CSPMiddleware"
)


class ContentSecurityPolicyMiddleware(_Csp, OnLoop):  # type: ignore[misc]
    """Sets Content-Security-Policy: Django's own, or django-csp's where Django has none."""


class CommonMiddleware(common.CommonMiddleware, OnLoop):
    """Redirects to www. and to slashes; sets Content-Length."""


class XFrameOptionsMiddleware(clickjacking.XFrameOptionsMiddleware, OnLoop):
    """Sets X-Frame-Options."""


class AuthenticationMiddleware(auth.AuthenticationMiddleware, OnLoop):
    """Sets `request.user` and `request.auser`, which are looked up when they are asked for."""


class SessionMiddleware(sessions.SessionMiddleware, OnLoop):
    """Sets `request.session`, which is loaded when it is asked for.

    Saving is left to Django, in one thread: `asave` takes two or three, and would pass over the
    `save` or `create_model_instance` of a project's session store.
    """

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether there is something to save. An empty session costs its cookie, and no I/O."""
        try:
            session = request.session
            return (
                session.modified or settings.SESSION_SAVE_EVERY_REQUEST
            ) and not session.is_empty()
        except AttributeError:
            return True


class MessageMiddleware(messages.MessageMiddleware, OnLoop):
    """Sets the storage of messages, which may load and change the session once it is used."""

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether messages were read or added, or the storage has its own idea of an update."""
        storage: Any = getattr(request, "_messages", None)
        return storage is not None and (
            type(storage).update is not BaseStorage.update or storage.used or storage.added_new
        )


class CsrfViewMiddleware(csrf.CsrfViewMiddleware, OnLoop):
    """Refuses forged requests. A token may be in a body, which a thread parses, or in the session."""

    def __init__(self, get_response: Callable[..., Any]) -> None:
        """Django's handler asks the instance whether its `process_view` is async."""
        super().__init__(get_response)
        if iscoroutinefunction(get_response) and super().stays_in_memory():
            self.process_view = self._aprocess_view  # type: ignore[assignment]

    def stays_in_memory(self) -> bool:
        """Not with CSRF_USE_SESSIONS: that loads the session."""
        return super().stays_in_memory() and not settings.CSRF_USE_SESSIONS

    def process_request(  # type: ignore[override]
        self, request: HttpRequest
    ) -> HttpResponseBase | None:
        """Refuse a form in another charset: Django raises, and again on the page that says so."""
        if request.method == "POST" and request.content_type in FORMS:
            charset = (request.content_params or {}).get("charset", "utf-8")
            if charset.lower() not in UTF_8:
                return HttpResponseBadRequest("A form has to be UTF-8.")
        super().process_request(request)
        return None

    async def _aprocess_view(
        self, request: HttpRequest, view: Callable[..., Any], *args: Any
    ) -> HttpResponseBase | None:
        check = super().process_view
        if request.method in SAFE_METHODS or getattr(view, "csrf_exempt", False):
            return check(request, view, *args)  # lets it pass, and reads nothing
        return await sync_to_async(check, thread_sensitive=True)(request, view, *args)
