"""The WSGI entry: Django, unless the site is not ready to be served."""

from typing import TYPE_CHECKING

import django
from django.core.handlers.wsgi import WSGIHandler

from fanout.checks import refuse_unready
from fanout.static_files import with_static_files_wsgi

if TYPE_CHECKING:
    from wsgiref.types import WSGIApplication


def get_wsgi_application() -> "WSGIApplication":
    """The site for WSGI servers, which have no other moment than this to refuse to start."""
    django.setup(set_prefix=False)
    refuse_unready()
    return with_static_files_wsgi(WSGIHandler())
