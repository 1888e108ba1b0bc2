"""A project that has added what others add, all at once, as their documentation has it."""

from typing import Any

import sentry_sdk
from sentry_sdk.transport import Transport

from engine.settings import *  # noqa: F403
from engine.settings import INSTALLED_APPS, MIDDLEWARE
from fanout import Service

sent: list[Any] = []  # what Sentry gets


class _Transport(Transport):
    def capture_envelope(self, envelope: Any) -> None:
        sent.extend(item.payload.json for item in envelope.items)


sentry_sdk.init("http://key@127.0.0.1/1", transport=_Transport, traces_sample_rate=1.0)

FANOUT_DEADLINE = 60.0
Service.timeout = 30.0

AUTH_USER_MODEL = "company.User"
INSTALLED_APPS += [
    *("engine.resilience.company", "allauth", "allauth.account", "corsheaders", "debug_toolbar"),
]
ROOT_URLCONF = "engine.resilience.company.urls"
INTERNAL_IPS = ["127.0.0.1"]
CORS_ALLOW_ALL_ORIGINS = True

UPDATE = "django.middleware.cache.UpdateCacheMiddleware"
GZIP = "django.middleware.gzip.GZipMiddleware"
CONDITIONAL = "django.middleware.http.ConditionalGetMiddleware"
CORS = "corsheaders.middleware.CorsMiddleware"
TOOLBAR = "debug_toolbar.middleware.DebugToolbarMiddleware"
LOCALE = "django.middleware.locale.LocaleMiddleware"
ALLAUTH = "allauth.account.middleware.AccountMiddleware"  # which does not start without it
FETCH = "django.middleware.cache.FetchFromCacheMiddleware"

FEW = [*MIDDLEWARE, ALLAUTH]
MIDDLEWARE = [UPDATE, GZIP, CONDITIONAL, CORS, TOOLBAR, *MIDDLEWARE, LOCALE, ALLAUTH, FETCH]
