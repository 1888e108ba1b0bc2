"""System checks: what must be in order before the site answers anybody."""

import inspect
import re
import socket
from contextlib import suppress
from hashlib import sha256
from ipaddress import ip_network
from traceback import walk_tb
from typing import Any
from urllib.parse import urlsplit

from django.conf import settings
from django.core.checks import CheckMessage, Error, Info, Tags, Warning, run_checks
from django.core.checks.security.base import check_secret_key
from django.core.exceptions import ImproperlyConfigured
from django.core.files.storage import storages
from django.utils.module_loading import import_string

from fanout.calls.auth import get_secrets
from fanout.calls.mistake import BadAnswer
from fanout.calls.section import is_safe_link
from fanout.calls.service import SECONDS, Service, find_problems, get_classes, services
from fanout.calls.transport import TRANSPORTS
from fanout.serving.handler import MADE_FROM

KEY = "DJANGO_SECRET_KEY"
TAG = "fanout"  # of the checks that a server makes before it starts


def check_production(**_: Any) -> list[CheckMessage]:
    """fanout.E001: in production, everything that has no safe default is set. fanout.W004: secrets are."""
    unset = ", ".join(_find_unset(on_homepage=True) if settings.DEBUG else _find_missing())
    warning = Warning(f"Not set, so that services cannot be called: {unset}.", id="fanout.W004")
    hint = "Set them in the environment or in .env, or DJANGO_DEBUG=true for development."
    error = Error(f"Not set, but needed in production: {unset}.", hint=hint, id="fanout.E001")
    return [warning if settings.DEBUG else error] if unset else []


def check_key(**_: Any) -> list[CheckMessage]:
    """fanout.E006: in production, the key is none that `check --deploy` would only warn of."""
    if settings.DEBUG or not check_secret_key(None) or KEY in _find_missing():
        return []
    message = f"{KEY} can be guessed: it is short, plain, or made for development."
    hint = 'Make one by python -c "import secrets; print(secrets.token_urlsafe(50))".'
    return [Error(message, hint=hint, id="fanout.E006")]


def check_urls(**_: Any) -> list[CheckMessage]:
    """fanout.E002: the URL of a service, and that of the cache, is one that can be used."""
    messages = []
    for service in _get_services():
        url = service.address
        with suppress(BadAnswer, ValueError):  # of a port that is none
            if not url or (service.url and is_safe_link(url) and urlsplit(url).port != 0):
                continue
        variable = "FAKES_URL" if service.faked else f"{service.name.upper()}_URL"
        messages.append(f"{variable} is not an http(s) address.")
    if settings.CACHE_URL and not _is_cache(settings.CACHE_URL):
        messages.append("CACHE_URL is not an address like redis://:p%40ss@host/0, %40 for an @.")
    return [Error(message, id="fanout.E002") for message in dict.fromkeys(messages)]


def check_options(**_: Any) -> list[CheckMessage]:
    """fanout.E004: settings and classes of services are in order."""
    wrong = []
    words, accepts = SECONDS
    if not accepts(settings.FANOUT_DEADLINE):
        wrong += [f"FANOUT_DEADLINE is {words}, not {settings.FANOUT_DEADLINE!r}."]
    if (name := settings.FANOUT_TRANSPORT) not in TRANSPORTS:
        wrong += [f"FANOUT_TRANSPORT is {' or '.join(TRANSPORTS)}, not {name!r}."]
    proxies = settings.FORWARDED_ALLOW_IPS
    try:
        for proxy in proxies.split(",") if proxies not in ("", "*") else ():
            ip_network(proxy.strip())
    except ValueError:
        wrong += [f"FORWARDED_ALLOW_IPS is * or addresses or networks, not {proxies!r}."]
    if (workers := socket.socket.__module__.partition(".")[0]) in ("gevent", "eventlet"):
        wrong += [f"Workers of {workers} run one async view at a time: take gthread instead."]
    if "fanout" not in settings.CACHES:
        wrong += ["CACHES has no 'fanout', which log-ins and services need: see config/base.py."]
    return [Error(message, id="fanout.E004") for message in wrong] + _check_classes()


def check_deployment(**_: Any) -> list[CheckMessage]:
    """fanout.I001, fanout.W003, and what `check --deploy` says of middleware it does not know."""
    from django.test.utils import override_settings  # no server needs what that loads

    classes = [getattr(import_string(path), "__mro__", ()) for path in settings.MIDDLEWARE]
    names = [f"{base.__module__}.{base.__qualname__}" for bases in classes for base in bases]
    said = run_checks(tags=[Tags.security], include_deployment_checks=True)
    with override_settings(MIDDLEWARE=names):
        messages = run_checks(tags=[Tags.security], include_deployment_checks=True)
    messages = [message for message in messages if message not in said]
    if not settings.SECURE_SSL_REDIRECT:
        hint = "Set FORWARDED_ALLOW_IPS to the address of the proxy that brings https."
        messages.append(Info("http is not redirected to https.", hint=hint, id="fanout.I001"))
    if unset := _find_unset(on_homepage=False):
        message = f"Not set: {', '.join(unset)}. The homepage does not need them."
        messages.append(Warning(message, id="fanout.W003"))
    return messages


def check_static_files(**_: Any) -> list[CheckMessage]:
    """fanout.E005: in production, there are the files that pages name by their hashes."""
    with suppress(ValueError):  # half a manifest
        if settings.DEBUG or getattr(storages["staticfiles"], "hashed_files", True):
            return []
    hint = "Run manage.py collectstatic."
    return [Error("No static files are collected.", hint=hint, id="fanout.E005")]


def check_handler(**_: Any) -> list[CheckMessage]:
    """fanout.W002: the Django here has the handler that ours was made from."""
    hint = (
        "Update from the template. Until it knows this Django, import get_asgi_application from "
        "django.core.asgi in config/asgi.py, and silence this check."
    )
    message = "This Django has another {} than fanout/serving/handler.py was made from."
    return [
        Warning(message.format(method.__qualname__), hint=hint, id="fanout.W002")
        for method, known in MADE_FROM.items()
        if method.__module__.startswith("django.")  # not Sentry's around it
        and sha256(inspect.getsource(method).encode()).hexdigest()[:12] not in known
    ]


def refuse_unready() -> None:
    """Raise ImproperlyConfigured, naming everything at once, unless this site may be served."""
    if problems := [p for p in run_checks(tags=[TAG]) if p.is_serious()]:
        problems.sort(key=lambda problem: problem.id or "")
        sentences = (sentence for p in problems for sentence in (p.msg, p.hint))
        raise ImproperlyConfigured(" ".join(filter(None, sentences)))


def _is_cache(url: str) -> bool:
    pool: Any = import_string("redis.ConnectionPool")  # takes half a second
    with suppress(Exception):  # its message may have a piece of the password
        pool.from_url(re.sub("^valkey", "redis", url)).make_connection()
        return "@" not in "".join(urlsplit(url)[2:])  # that ends a password with a /, ? or # in it
    return False


def _find_missing() -> list[str]:
    missing = [] if settings.ALLOWED_HOSTS else ["DJANGO_ALLOWED_HOSTS"]
    try:
        settings.SECRET_KEY  # noqa: B018 - Django refuses an empty one when it is read
    except ImproperlyConfigured:
        missing.insert(0, KEY)
    return missing + _find_unset(on_homepage=True)


def _find_unset(*, on_homepage: bool) -> list[str]:
    """Addresses and secrets that are not set, of services that the homepage lists or of all others."""
    unset = []
    for service in _get_services():
        if (service.name in settings.FANOUT_SERVICES) is on_homepage:
            unset += [] if service.address else [f"{service.name.upper()}_URL"]
            secrets = [] if service.faked else get_secrets(type(service))
            unset += [secret.variable for secret in secrets if not secret.value]
    return list(dict.fromkeys(unset))


def _get_services() -> list[Service]:
    """All services, if their options are in order; if not, that is what has to be said first."""
    return [] if any(m.is_serious() for m in check_options()) else services(everywhere=True)


def _check_classes() -> list[CheckMessage]:
    module, listed = settings.FANOUT_CLASSES, settings.FANOUT_SERVICES
    try:
        classes = get_classes(module)
    except Exception as error:
        trace = walk_tb(error.__traceback__)
        lines: list[Any] = [n for frame, n in trace if frame.f_globals.get("__name__") == module]
        line = lines[-1] if lines else getattr(error, "lineno", "?")
        # Others may quote a value, which may be a secret.
        named = isinstance(error, NameError | ImportError | AttributeError | SyntaxError)
        said = f": {getattr(error, 'msg', error)}" if named else ""
        message = f"{module} cannot be imported: {type(error).__name__} in line {line}{said}."
        return [Error(message, id="fanout.E004")]
    messages: list[CheckMessage] = []
    names = [cls.name for cls in classes]
    for cls in classes:
        where, problems = f"{module}.{cls.__qualname__}", list(find_problems(cls))
        if names.count(cls.name) > 1:
            problems.append(f"another class has the name {cls.name!r}, too.")
        messages += [Error(f"{where}: {problem}", id="fanout.E004") for problem in problems]
    if "recco" in listed and "recco" not in names:
        message = "The service 'recco' is for whoever is logged in, but no class says so."
        hint = f"Write into {module}: class Recco(Service): personal = True"
        messages.append(Warning(message, hint=hint, id="fanout.W001"))
    return messages
