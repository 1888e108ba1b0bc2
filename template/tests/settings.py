"""The settings of the tests: the project's own, with nothing in them that other programs use."""

import os

# Before the settings read them; set to nothing they win over .env, too. Tests need no proxy.
os.environ.update(DJANGO_DEBUG="true", CACHE_URL="", DATABASE_URL="", no_proxy="*")

from config.settings import *  # noqa: F403
from fanout import Service

SECRET_KEY = "only-for-tests-" * 4
ALLOWED_HOSTS = ["testserver", "127.0.0.1"]
SECURE_SSL_REDIRECT = False
CACHES = {
    name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
    for name in CACHES  # noqa: F405
}
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, for tests only
FANOUT_TRANSPORT = "httpx"  # which respx, pytest-httpx and vcrpy see
FANOUT_DEADLINE = 60.0  # time enough on a busy machine, as for services that say no other:
Service.timeout = 30.0
