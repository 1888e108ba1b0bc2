"""The template's settings: `copier update` improves them. Yours go into settings.py, which wins."""

import re
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from dj_database_url import DBConfig, parse
from django.conf import global_settings
from environs import EnvError, env, validate

from config import generated

BASE_DIR = Path(__file__).resolve().parent.parent

env.read_env(BASE_DIR / ".env", recurse=False)

# manage.py sets DJANGO_DEVELOPMENT, but for `serve`; asgi.py and wsgi.py do not, so a server is in
# production mode unless somebody decides otherwise.
DEBUG = env.bool("DJANGO_DEBUG", default=env.bool("DJANGO_DEVELOPMENT", default=False))
SECRET_KEY = env.str("DJANGO_SECRET_KEY", default="") or ("only-for-development" if DEBUG else "")
# The first are keys that were: what they have signed still counts.
SECRET_KEY_FALLBACKS, ALLOWED_HOSTS = (
    [part.strip() for part in env.str(name, default="").split(",") if part.strip()]
    for name in ("DJANGO_SECRET_KEY_FALLBACKS", "DJANGO_ALLOWED_HOSTS")
)
# Tells this site from others on its host and Redis; in development by its folder, too.
SITE = generated.SLUG + (f"-{sha256(str(BASE_DIR).encode()).hexdigest():.8}" if DEBUG else "")

INSTALLED_APPS = [
    "homepage",  # before fanout: its templates and static files win
    "fanout",
    "fakes",  # manage.py dev, compare and fakes
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
]

# Django's, without a thread for each: see fanout/serving/middleware.py.
MIDDLEWARE = [
    "fanout.serving.middleware.SecurityMiddleware",
    "fanout.serving.middleware.ContentSecurityPolicyMiddleware",
    "django_permissions_policy.PermissionsPolicyMiddleware",
    "fanout.serving.middleware.SessionMiddleware",
    "fanout.serving.middleware.CommonMiddleware",
    "fanout.serving.middleware.CsrfViewMiddleware",
    "fanout.serving.middleware.AuthenticationMiddleware",
    "fanout.serving.middleware.MessageMiddleware",
    "fanout.serving.middleware.XFrameOptionsMiddleware",
]
SILENCED_SYSTEM_CHECKS = [
    # That Django's security, clickjacking and CSRF middleware are missing: looked for by name.
    *("security.W001", "security.W002", "security.W003"),
    # That HSTS leaves out subdomains and browsers' lists: those bind more hosts than this site.
    *("security.W005", "security.W021"),
    "security.W008",  # that http is not redirected: fanout.I001 says it, and what to do
]

ROOT_URLCONF = "config.urls"
ASGI_APPLICATION = "config.asgi.application"
WSGI_APPLICATION = "config.wsgi.application"

TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.jinja2.Jinja2",
        "APP_DIRS": True,
        "OPTIONS": {"environment": "fanout.pages.rendering.environment"},
    },
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Connections to PostgreSQL of every process; times in seconds. A page has one while it asks the
# database, not while it waits for services, so a few are enough. Nobody waits longer for one than
# /readyz may. By default the pool waits longer and longer between two tries to connect, and a
# minute's outage is one of two.
DATABASE_POOL = {"min_size": 1, "max_size": 4, "timeout": 0.75, "reconnect_timeout": 2.0}


def get_database(url: str, default: Path) -> DBConfig:
    """What DATABASES wants to have; SQLite in the file `default` for an empty `url`.

    Raises EnvError, without the password, if that is no address, or if the driver is missing.
    """
    if not url:
        return {"ENGINE": "django.db.backends.sqlite3", "NAME": str(default)}
    try:
        database = parse(url, conn_health_checks=True)
    except ValueError:
        database = {"ENGINE": "", "NAME": ""}
    if not database["NAME"] or (database.get("HOST") and "@" in str(database["NAME"])):
        raise EnvError("DATABASE_URL is not an address like postgres://user:password@host/name.")
    if database["ENGINE"] == "django.db.backends.postgresql":
        if not (find_spec("psycopg") and find_spec("psycopg_pool")):
            raise EnvError("DATABASE_URL needs PostgreSQL's driver: run uv sync --group postgres.")
        options: dict[str, Any] = {"connect_timeout": 2}
        # A command of manage.py, but for `serve`, needs one connection, and says at once why not.
        if not env.bool("DJANGO_DEVELOPMENT", default=False):
            from fanout.serving.postgres import Connection  # needs the driver

            options["pool"] = {**DATABASE_POOL, "connection_class": Connection}
        database["OPTIONS"] = {**options, **database.get("OPTIONS", {})}
    return database


# postgres://user:password@host/name; an empty one is a file of SQLite's.
DATABASES = {"default": get_database(env.str("DATABASE_URL", default=""), BASE_DIR / "db.sqlite3")}

# Where the processes share the last good answers of services and the counts of log-ins: redis://,
# rediss://, valkey:// or valkeys://; without one, each process has its own. Other sites may use it.
CACHE_URL = env.str("CACHE_URL", default="")
CACHES: dict[str, dict[str, Any]] = {
    name: {
        "BACKEND": "django.core.cache.backends.redis.RedisCache",
        "LOCATION": re.sub("^valkey(s?)://", r"redis\1://", CACHE_URL),
        "KEY_PREFIX": sha256(repr((SITE, SECRET_KEY)).encode()).hexdigest()[:16],
        "OPTIONS": {"socket_connect_timeout": 0.25, "socket_timeout": 0.25, **more},  # seconds
    }
    if CACHE_URL
    else {
        "BACKEND": "django.core.cache.backends.locmem.LocMemCache",
        "LOCATION": name,
        "OPTIONS": {"MAX_ENTRIES": 10_000},
    }
    for name, more in {
        "default": {},
        "fanout": {"serializer": "fanout.calls.last_good.JsonSerializer"},
    }.items()
}

# Django's, but the one that makes new hashes holds no connection to the database meanwhile.
PASSWORD_HASHERS = ["fanout.serving.throttle.PBKDF2PasswordHasher"] + [
    name for name in global_settings.PASSWORD_HASHERS if not name.endswith(".PBKDF2PasswordHasher")
]

DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}Validator"}
    for name in ("UserAttributeSimilarity", "MinimumLength", "CommonPassword", "NumericPassword")
]

LANGUAGE_CODE = "en-us"
TIME_ZONE = "UTC"

# Where the admin is.
ADMIN_PATH = env.str(
    "DJANGO_ADMIN_PATH",
    default="admin/",
    validate=validate.Regexp(
        r"(/?[a-zA-Z0-9_-][a-zA-Z0-9_/-]*)?\Z",
        error="It is a path like office/admin/, of letters, digits, hyphens and underscores.",
    ),
)
ADMIN_PATH = (ADMIN_PATH.strip("/") or "admin") + "/"

# Whose X-Forwarded-Proto and X-Forwarded-For count: those of proxies, as addresses or networks.
FORWARDED_ALLOW_IPS = env.str("FORWARDED_ALLOW_IPS", default="")

# Cookies of logged-in people travel over https only, and a browser that has seen https stays there.
# Without a proxy that says which requests were https, a redirect to https would never end.
# Cookies go to every port of a host.
SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = f"{SITE}_sessionid", f"{SITE}_csrftoken"
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = not DEBUG
SECURE_HSTS_SECONDS = 0 if DEBUG else 365 * 24 * 3600
SECURE_SSL_REDIRECT = bool(FORWARDED_ALLOW_IPS) and not DEBUG
SECURE_REDIRECT_EXEMPT = ["^(livez|readyz)$"]  # asked without the proxy

# What a page may load and do; nothing inline. The admin's pickers fetch, and services' images may
# come from anywhere, but over http only in development.
SECURE_CSP = {
    "default-src": ["'none'"],
    "script-src": ["'self'"],
    "style-src": ["'self'"],
    "font-src": ["'self'"],
    "connect-src": ["'self'"],
    "img-src": ["'self'", "data:", "https:", *(["http:"] if DEBUG else [])],
    "form-action": ["'self'"],
    "base-uri": ["'none'"],
    "object-src": ["'none'"],
    "frame-ancestors": ["'none'"],
}
CONTENT_SECURITY_POLICY = {"DIRECTIVES": SECURE_CSP}  # what Django 5.2's django-csp reads

# What no page needs of a browser, and nobody who gets into one may use. Browsers complain about
# features that they do not know: Chromium knows no bluetooth on Linux.
PERMISSIONS_POLICY: dict[str, list[str]] = {
    feature: []
    for feature in (
        *("accelerometer", "autoplay", "camera", "display-capture", "encrypted-media"),
        *("fullscreen", "geolocation", "gyroscope", "hid", "magnetometer", "microphone", "midi"),
        *("payment", "screen-wake-lock", "serial", "usb", "xr-spatial-tracking"),
    )
}

# In production the log is JSON, a line per event: see fanout/serving/log.py. Proxies log visits.
LOGGING: dict[str, object] = (
    {}
    if DEBUG
    else {
        "version": 1,
        "disable_existing_loggers": False,
        "formatters": {"json": {"()": "fanout.serving.log.JsonFormatter"}},
        "handlers": {"stderr": {"class": "fanout.serving.log.Handler", "formatter": "json"}},
        "root": {"handlers": ["stderr"], "level": "WARNING"},
        "loggers": {"uvicorn": {"level": "INFO"}, "uvicorn.access": {"propagate": False}},
    }
)

LOGIN_URL = "login"
LOGIN_REDIRECT_URL = LOGOUT_REDIRECT_URL = "home"

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "staticfiles"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "servestatic.storage.CompressedManifestStaticFilesStorage"},
}

# The homepage.
FANOUT_TITLE = generated.TITLE
FANOUT_STYLE = generated.STYLE
FANOUT_COMPARE = env.bool("FANOUT_COMPARE", default=DEBUG)
FANOUT_DEADLINE = env.float("FANOUT_DEADLINE", default=5.0)  # seconds, for a whole page
FANOUT_TRANSPORT = env.str("FANOUT_TRANSPORT", default="httptools")  # or "httpx", which mocks see

# Where `manage.py fakes` listens; it stands in for every service without a URL. Production has none
# unless it is set.
FAKES_URL = env.str("FAKES_URL", default="http://127.0.0.1:8001" if DEBUG else "")
FAKES_LATENCY_MS = env.str("FAKES_LATENCY_MS", default="")  # "promo:80,recco:120"

FANOUT_SERVICES = generated.SERVICES
FANOUT_CLASSES = "homepage.services"  # the module with the classes of services
FANOUT_URLS = {
    name: env.str(f"{name.upper()}_URL", default="") or (FAKES_URL and f"{FAKES_URL}/{name}/")
    for name in FANOUT_SERVICES
}
