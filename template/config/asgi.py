"""For ASGI servers: `uvicorn config.asgi:application`."""

import os

from fanout.serving.entries import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")

application = get_asgi_application()
