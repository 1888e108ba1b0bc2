"""The WSGI entry: Django, unless the site is not ready to be served."""

import django
from django.core.handlers.wsgi import WSGIHandler

from fanout.checks import refuse_unready


def get_wsgi_application() -> WSGIHandler:
    """The site for WSGI servers, which have no other moment than this to refuse to start."""
    django.setup(set_prefix=False)
    refuse_unready()
    return WSGIHandler()
