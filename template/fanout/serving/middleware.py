"""Django's middleware, but under ASGI what only touches memory takes no thread; README.md says more."""

from functools import partial
from typing import Any

import django
from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.contrib.auth import middleware as auth
from django.contrib.messages import middleware as messages
from django.contrib.messages.storage import default_storage
from django.contrib.messages.storage.base import BaseStorage
from django.contrib.sessions import middleware as sessions
from django.http import HttpRequest, HttpResponseBadRequest
from django.middleware import clickjacking, common, csrf, security
from django.utils.deprecation import MiddlewareMixin
from django.utils.functional import SimpleLazyObject, empty
from django.utils.module_loading import import_string

SAFE_METHODS = ("GET", "HEAD", "OPTIONS", "TRACE")  # as in Django's CsrfViewMiddleware
FORMS = ("application/x-www-form-urlencoded", "multipart/form-data")  # of which Django makes POST


class OnLoop(MiddlewareMixin):
    """Calls the hooks on the event loop. Comes after Django's class: should it get async, it wins."""

    def stays_in_memory(self) -> bool:
        """Whether the hooks may run on the loop. Those of a project's subclass may do anything."""
        return type(self).__module__ == __name__

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether `process_response` would wait for a database, a cache or a disk."""
        return False

    async def __acall__(self, request: HttpRequest) -> Any:
        """Answer `request` as Django does, in Django's order."""
        if not self.stays_in_memory():
            return await super().__acall__(request)
        hooks: Any = self  # a class has either hook, or both
        response = hooks.process_request(request) if hasattr(self, "process_request") else None
        response = response or await hooks.get_response(request)
        if not hasattr(self, "process_response"):
            return response
        if self.has_to_save(request):
            return await sync_to_async(hooks.process_response)(request, response)
        return hooks.process_response(request, response)


class SecurityMiddleware(security.SecurityMiddleware, OnLoop): ...


_path = "django.middleware.csp.ContentSecurityPolicyMiddleware"
_Csp: Any = import_string(_path if django.VERSION >= (6, 0) else "csp.middleware.CSPMiddleware")


class ContentSecurityPolicyMiddleware(_Csp, OnLoop):  # type: ignore[misc]
    """Sets Content-Security-Policy: Django's own, or django-csp's where Django has none."""


class CommonMiddleware(common.CommonMiddleware, OnLoop): ...


class XFrameOptionsMiddleware(clickjacking.XFrameOptionsMiddleware, OnLoop): ...


class AuthenticationMiddleware(auth.AuthenticationMiddleware, OnLoop): ...


class SessionMiddleware(sessions.SessionMiddleware, OnLoop):
    """Leaves saving to Django, in a thread: `asave` takes two, and passes over an own `save`."""

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether there is something to save. An empty session costs its cookie, and no I/O."""
        try:
            wanted = request.session.modified or settings.SESSION_SAVE_EVERY_REQUEST
            return wanted and not request.session.is_empty()
        except AttributeError:
            return True


class MessageMiddleware(messages.MessageMiddleware, OnLoop):
    """Sets the storage of messages, made when it is used: then it may load and change the session."""

    def process_request(self, request: HttpRequest) -> None:
        made = import_string(settings.MESSAGE_STORAGE)  # a class, or a function
        usual = getattr(made, "update", None) is BaseStorage.update
        storage = partial(default_storage, request)
        vars(request)["_messages"] = SimpleLazyObject(storage) if usual else storage()

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        storage = getattr(request, "_messages", None)
        untouched = getattr(storage, "_wrapped", None) is empty
        return response if untouched else super().process_response(request, response)

    def has_to_save(self, request: HttpRequest) -> bool:
        """Whether messages were read or added, or the storage has its own idea of an update."""
        storage: Any = getattr(request, "_messages", None)
        if storage is None or getattr(storage, "_wrapped", None) is empty:
            return False
        kept = storage.__class__.update is BaseStorage.update
        return not kept or storage.used or storage.added_new


class CsrfViewMiddleware(csrf.CsrfViewMiddleware, OnLoop):
    """Refuses forged requests. A token may be in a body, which a thread parses, or in the session."""

    def __init__(self, get_response: Any) -> None:
        """Django's handler asks the instance whether its `process_view` is async."""
        super().__init__(get_response)
        if iscoroutinefunction(get_response) and super().stays_in_memory():
            self.process_view = self._aprocess_view  # type: ignore[assignment]

    def stays_in_memory(self) -> bool:
        """Not with CSRF_USE_SESSIONS: that loads the session."""
        return super().stays_in_memory() and not settings.CSRF_USE_SESSIONS

    def process_request(self, request: HttpRequest) -> Any:
        """Refuse a form in another charset: Django raises, and again on the page that says so."""
        if request.method == "POST" and request.content_type in FORMS:
            charset = (request.content_params or {}).get("charset", "utf-8")
            if charset.lower() not in ("utf-8", "utf8"):
                return HttpResponseBadRequest("A form has to be UTF-8.")
        return super().process_request(request)

    async def _aprocess_view(self, request: HttpRequest, view: Any, *args: Any) -> Any:
        check = super().process_view
        if request.method in SAFE_METHODS or getattr(view, "csrf_exempt", False):
            return check(request, view, *args)  # lets it pass, and reads nothing
        return await sync_to_async(check)(request, view, *args)
