"""The limit on log-ins: after too many that failed, more are refused until the next window begins.

Whoever guesses from one address closes an account to that address alone. To close it to its owner
takes ten addresses, and lasts as long as they go on, plus one window at most.
"""

import logging
import math
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from hashlib import sha256
from ipaddress import ip_address, ip_network
from typing import Any
from unicodedata import normalize

from django.core.cache import caches
from django.http import HttpRequest

WINDOW = 300  # seconds
PER_ACCOUNT_AND_ADDRESS, PER_ADDRESS, PER_ACCOUNT = 10, 50, 100  # failures in one window
MOST_CHARACTERS = 254  # of a name, as in Django's form: to normalize a long one takes very long


def throttle(view: Callable[..., Any]) -> Callable[..., Any]:
    """Limit `view`, a LoginView. What is refused is its form with status 429; no password is read."""

    @wraps(view)
    def throttled(request: HttpRequest) -> Any:
        if request.method != "POST":
            return view(request)
        window, elapsed = divmod(int(time.time()), WINDOW)
        limits = _get_limits(request, window)
        if not _count(limits):
            return _refuse(view, request, WINDOW - elapsed)
        response = view(request)
        if response.status_code == 302:  # logged in
            with suppress(Exception):  # the window ends anyway
                for name in limits:
                    caches["fanout"].decr(name)
        return response

    return throttled


def _get_limits(request: HttpRequest, window: int) -> dict[str, int]:
    """The limit of each count, by its name in the cache."""
    name = request.POST.get("username", "").strip()[:MOST_CHARACTERS]
    account = normalize("NFKC", name).strip().casefold()
    address = _get_network(request.META.get("REMOTE_ADDR", ""))
    keys = {(account, address): PER_ACCOUNT_AND_ADDRESS, ("", address): PER_ADDRESS}
    keys[account, ""] = PER_ACCOUNT
    keys.pop(("", ""), None)  # behind a Unix socket nobody has an address
    return {sha256(repr((__name__, window, key)).encode()).hexdigest(): keys[key] for key in keys}


def _get_network(address: str) -> str:
    """The address, or with IPv6 the network that one visitor has: https://www.ripe.net/publications/docs/ripe-690/."""
    with suppress(ValueError):
        ip = ip_address(address)
        return str(getattr(ip, "ipv4_mapped", ip) or ip_network((ip, 56), strict=False))
    return address


def _count(limits: dict[str, int]) -> bool:
    """Count a try. Whether it exceeds none of its limits; those after one that it does do not count it.

    One that has been refused leaves nothing new, so it cannot push out of a cache what others have.
    """
    try:
        cache = caches["fanout"]
        counts = cache.get_many(limits)
        if any(counts.get(name, 0) >= limit for name, limit in limits.items()):
            return False
        for name, limit in limits.items():
            cache.add(name, 0, WINDOW)
            if cache.incr(name) > limit:
                return False
    except Exception:  # of whatever the cache is made; closed, nobody could log in to mend it
        logging.getLogger("fanout").exception("Log-ins are not limited: the cache does not answer")
    return True


def _refuse(view: Callable[..., Any], request: HttpRequest, seconds: int) -> Any:
    logging.getLogger("fanout").warning("A log-in was refused: too many have failed")
    data = request.POST.copy()
    data["password"] = ""
    request.POST = data  # type: ignore[assignment]
    response = view(request)
    form = response.context_data["form"]
    form.errors.clear()
    minutes = math.ceil(seconds / 60)
    wait = f"{minutes} minutes" if minutes > 1 else "a minute"
    form.add_error(None, f"Too many attempts to log in. Try again in {wait}.")
    response.status_code, response.headers["Retry-After"] = 429, str(seconds)
    return response
