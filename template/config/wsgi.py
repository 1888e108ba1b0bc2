"""For WSGI servers, where every page waits in a thread of its own."""

import os

from fanout.serving.entries import get_wsgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_wsgi_application()
