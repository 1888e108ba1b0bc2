"""The project's settings for its tests: in development mode, whatever the environment says."""

import os

os.environ["DJANGO_DEBUG"] = "true"

from config.settings import *  # noqa: F403

SECRET_KEY = "only-for-tests-" * 4
ALLOWED_HOSTS = ["127.0.0.1"]
FANOUT_COMPARE = True
CACHES = {  # tests empty them
    name: {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": name}
    for name in CACHES  # noqa: F405
}
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, for tests only
