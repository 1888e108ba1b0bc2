"""The limits on log-ins: few at once, and after too many that failed none until the next window."""

import logging
import time
from collections.abc import Callable
from concurrent.futures import wait
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from unicodedata import normalize

from django.contrib.auth import hashers
from django.core.cache import BaseCache, caches
from django.core.cache.backends.locmem import LocMemCache
from django.db import connections
from django.http import HttpRequest

from fanout.policies.bulkhead import Bulkhead

WINDOW = 300  # seconds
PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS, PER_ACCOUNT = 10, 50, 100  # failures in one window
MOST_CHARACTERS = 254  # of a name, as in Django's form: to normalize a long one takes very long
LOGINS = 4  # at once in a process: each takes a core for half a second, and pages need some too
PATIENCE = 1.0  # seconds that a further one waits for its turn
logger = logging.getLogger("fanout")
_places = Bulkhead(LOGINS)
_own = LocMemCache("log-ins", {"OPTIONS": {"MAX_ENTRIES": 10_000}})  # if the other does not answer


def throttle(view: Callable[..., Any]) -> Callable[..., Any]:
    """Limit `view`, a LoginView. What is refused is its form with status 429 or 503; no password is read."""

    @wraps(view)
    def throttled(request: HttpRequest) -> Any:
        if request.method != "POST":
            return view(request)
        window, elapsed = divmod(int(time.time()), WINDOW)
        counts = _Counts(request, window)
        if not counts.are_full():
            give_back_connections()
            turn = _places.enter()
            try:
                if wait([turn], PATIENCE).not_done:
                    _log(request, "was refused, too many at once")
                    sentence = "Many people log in right now. Try again in a moment."
                    return _refuse(view, request, 503, 1, sentence)
                if counts.add():
                    response = view(request)
                    if response.status_code == 302:  # logged in
                        counts.take_back()
                    else:
                        _log(request, "failed")
                    return response
            finally:
                _places.leave(turn)
        _log(request, "was refused, too many have failed")
        minutes = (WINDOW - elapsed + 59) // 60
        pause = f"{minutes} minutes" if minutes > 1 else "a minute"
        sentence = f"Too many attempts to log in. Try again in {pause}."
        return _refuse(view, request, 429, WINDOW - elapsed, sentence)

    return throttled


def give_back_connections() -> None:
    """Let others have the connections of this thread's pools, but for those in a transaction."""
    for connection in connections.all(initialized_only=True):
        if getattr(connection, "pool", None) and connection.autocommit:
            connection.close()


class PBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    """Django's, and its hashes; for the half second that one takes, no connection of a pool is held."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        """The hash of a password. To verify one makes it again."""
        give_back_connections()
        return super().encode(*args, **kwargs)


class _Counts:
    """Those that a try adds to, each with its limit; in this process if the cache does not answer."""

    def __init__(self, request: HttpRequest, window: int) -> None:
        name = request.POST.get("username", "").strip()[:MOST_CHARACTERS]
        account = normalize("NFKC", name).strip().casefold()
        address = request.META.get("REMOTE_ADDR", "")
        with suppress(ValueError):  # of IPv6 the network: www.ripe.net/publications/docs/ripe-690/
            ip = ip_address(address)
            address = str(getattr(ip, "ipv4_mapped", ip) or ip_network((ip, 56), strict=False))
        keys = {(account, address): PER_ACCOUNT_AND_ADDRESS, ("", address): PER_ADDRESS}
        keys[account, ""] = PER_ACCOUNT
        keys.pop(("", ""), None)  # behind a Unix socket nobody has an address
        hashes = {key: sha256(repr((__name__, window, key)).encode()).hexdigest() for key in keys}
        self._limits = {hashes[key]: limit for key, limit in keys.items()}
        self._cache: BaseCache = caches["fanout"]

    def are_full(self) -> bool:
        """Whether a try is refused. It leaves nothing new, so it cannot push out what others have."""
        counts = self._ask(lambda cache: cache.get_many(self._limits))
        return any(counts.get(name, 0) >= limit for name, limit in self._limits.items())

    def add(self) -> bool:
        """Count a try. Whether it exceeds no limit; counts after one that it does stay as they are."""

        def add(cache: BaseCache) -> bool:
            counts = self._limits.items()
            return all(cache.add(n, 1, WINDOW) or cache.incr(n) <= limit for n, limit in counts)

        return bool(self._ask(add))

    def take_back(self) -> None:
        """Forget the try: it was no failure."""
        with suppress(Exception):  # the window ends anyway
            for name in self._limits:
                self._cache.decr(name)

    def _ask(self, question: Callable[[BaseCache], Any]) -> Any:
        try:
            return question(self._cache)
        except Exception:  # of whatever it is made; closed, nobody could log in to mend it
            logger.exception("Log-ins are counted by this process alone: the cache does not answer")
            self._cache = _own
            return question(_own)


def _refuse(view: Any, request: HttpRequest, status: int, seconds: int, sentence: str) -> Any:
    data = request.POST.copy()
    data["password"] = ""
    request.POST = data  # type: ignore[assignment]
    response = view(request)
    form = response.context_data["form"]
    form.errors.clear()
    form.add_error(None, sentence)
    response.status_code, response.headers["Retry-After"] = status, str(seconds)
    return response


def _log(request: HttpRequest, outcome: str) -> None:
    """Say who tried, as they say it themselves: the name comes last, so that it cannot say more."""
    meta = request.META
    said = {"account": request.POST.get("username", ""), "address": meta.get("REMOTE_ADDR", "")}
    said["request_id"] = meta.get("HTTP_X_REQUEST_ID", "")
    extra = {key: repr(text[:MOST_CHARACTERS])[1:-1] for key, text in said.items()}
    line = "A log-in %s: from %s as '%s'"
    logger.warning(line, outcome, extra["address"], extra["account"], extra=extra)
