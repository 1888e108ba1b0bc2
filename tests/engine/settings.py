"""The project's settings for these tests: in development mode, whatever the shell and .env say."""

import os

# What is set, even to nothing, wins over .env.
os.environ |= {
    "DJANGO_DEBUG": "true",
    "DJANGO_ADMIN_PATH": "",
    "DJANGO_SECRET_KEY_FALLBACKS": "",
    "DATABASE_URL": "",
    "CACHE_URL": "",
    "FORWARDED_ALLOW_IPS": "",
    "FANOUT_DEADLINE": "5",
    "FANOUT_TRANSPORT": "httptools",
    "FANOUT_COMPARE_PAGES": "true",
    "no_proxy": "*",  # none finds what tests serve
}
os.environ.pop("WEB_CONCURRENCY", None)  # to uvicorn, nothing is no number

from config.settings import *  # noqa: F403

SECRET_KEY = "only-for-tests-" * 4
ALLOWED_HOSTS = ["127.0.0.1"]
FANOUT_COMPARE = True
CACHES = {  # tests empty them
    name: {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": f"engine-{name}",
    }
    for name in CACHES  # noqa: F405
}
STORAGES = {
    **STORAGES,  # noqa: F405
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # fast, for tests only
