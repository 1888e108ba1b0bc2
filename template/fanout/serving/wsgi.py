"""The WSGI entry: Django, unless the site is not ready to be served."""

from wsgiref.types import WSGIApplication

import django
from django.core.handlers.wsgi import WSGIHandler, WSGIRequest
from django.http import HttpRequest, HttpResponseBase

from fanout.calls.headers import mark_request, mark_response
from fanout.serving.checks import refuse_unready
from fanout.serving.handler import Utf8Request
from fanout.serving.static_files import with_static_files_wsgi
from fanout.telemetry import load_tracing


class Request(Utf8Request, WSGIRequest):
    """A request that is read as UTF-8, from a WSGI server."""


class Handler(WSGIHandler):
    """Handles one request after another; all that is logged for one has its id, and the answer too."""

    request_class = Request

    def get_response(self, request: HttpRequest) -> HttpResponseBase:
        mark_request(request)
        response = super().get_response(request)
        mark_response(request, response)
        return response


def get_wsgi_application() -> WSGIApplication:
    """The site for WSGI servers, which have no other moment than this to refuse to start."""
    django.setup(set_prefix=False)
    refuse_unready()
    tracing = load_tracing()
    return with_static_files_wsgi(tracing.TracedWSGIHandler() if tracing else Handler())
