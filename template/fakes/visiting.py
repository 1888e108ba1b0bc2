"""Calls of services for a command: as a page would make them, and seen whole."""

import logging
import re
from argparse import ArgumentParser
from collections.abc import Iterable
from dataclasses import replace
from importlib import import_module
from typing import Any

import httpx
from django.conf import settings
from django.contrib.auth import get_user_model
from django.contrib.auth.models import AnonymousUser
from django.core.exceptions import ObjectDoesNotExist
from django.core.management.base import CommandError
from django.db import Error
from django.test.client import RequestFactory
from django.urls import Resolver404, ResolverMatch, resolve

from fanout.calls.answer import Answer, Reply
from fanout.calls.auth import get_secrets, spell
from fanout.calls.call import Call
from fanout.calls.fetch import fetch
from fanout.calls.headers import pass_on
from fanout.calls.mistake import BadAnswer
from fanout.calls.section import Section
from fanout.calls.service import Service, find_services, put_in_order, services
from fanout.calls.visit import Viewer, Visit
from fanout.pages.page import Page
from fanout.policies.deadline import Deadline

LEAST = 4  # bytes of what is masked: shorter ones would mask words
ELSEWHERE = "in the path of its page: give that by --path"
# What an error says, and the way out: the first that fits.
WAYS = {
    "fake .*be reached": "no fakes are at FAKES_URL: run manage.py dev, or set {url}",
    "fake .*status (404|501)": "the terminal of the fakes says what they know",
    "is not set": "it belongs into .env or the environment",
    "status (401|403)|gets no token": "{secrets}",
    "status (404|410)|be reached": "{url} may be wrong, or nothing is there",
    "status 3": "redirects are not followed: {url} has to be where it leads",
    "status (429|5)": "it is busy or broken, which nothing here can mend",
    "status": "it does not take what is sent",
    "did not answer": "`timeout` of its class is {timeout:g} s",
    r"than \d+ bytes": "`max_bytes` of its class says how many may come",
    r"answered with|\.read\b": "`read` of its class says what an answer means",
}


class SeenCall(Call):
    """A call that shows what came."""

    section: Section
    reply: Reply | None = None  # one that is no failure
    lifetimes = (0.0, 0.0)  # seconds of being fresh, and of being stale at most

    @property
    def state(self) -> str:
        """That of the section, if there is one."""
        return "not called" if self.section.error.endswith(ELSEWHERE) else self.section.state

    @property
    def where(self) -> str:
        """The address, without what may be secret."""
        text = str(self.message.url if hasattr(self, "message") else self.service.address)
        bare = re.sub("(?<=//)[^/]*@", "", text.partition("?")[0])
        return self.service.mask(bare.encode(), LEAST).decode()

    @property
    def problem(self) -> str:
        """What is wrong, and the way out; nothing if all is well."""
        service, error = self.service, self.section.error
        if not error:
            return "" if self.reply else "nothing was asked: `request` gives None"
        said = f"{'fake ' * service.faked}{error}"
        way = next((way for pattern, way in WAYS.items() if re.search(pattern, said)), "")
        names = [secret.variable for secret in get_secrets(type(service)) if secret.value]
        refused = " is set, ".join([*names, "but refused"])
        way = way.format(
            url=f"{service.name.upper()}_URL",
            secrets=refused if names else "no Secret of its class is set",
            timeout=service.timeout,
        )
        return f"{error.removeprefix('answered with status ')}; {way}".removesuffix("; ")

    def mask(self, text: str) -> str:
        """A text without secrets, and without what else has proved who we are."""
        headers = httpx.Headers(self._talk.message.headers)
        proofs = [self.service.url.password, headers.get("Authorization", "").rpartition(" ")[2]]
        proofs += re.findall("=([^;]+)", headers.get("Cookie", ""))
        for form in sorted(set().union(*map(spell, proofs)), key=len, reverse=True):
            text = text.replace(form.decode(), "***") if len(form) >= LEAST else text
        return self.service.mask(text.encode(), LEAST).decode()

    def keep(self, reply: Reply) -> Answer:
        """The answer of what came. Raises BadAnswer."""
        self.reply = reply
        return super().keep(reply)

    def _get_lifetimes(self, said: dict[str, float]) -> tuple[float, float]:
        self.lifetimes = super()._get_lifetimes(said)
        return self.lifetimes


def call(service: Service, visit: Visit) -> SeenCall:
    """Call a service as a page would, after those whose sections it needs; the log is silent."""
    for needed in find_services(service.after):
        if needed.name not in visit.sections:
            call(needed, visit)
    # As much time for each as it has on a page that waits for all at once.
    visit = replace(visit, deadline=Deadline(settings.FANOUT_DEADLINE))
    seen, logger = SeenCall(service, visit), logging.getLogger("fanout")
    logger.disabled = True
    seen.section = fetch(service, visit, seen)
    logger.disabled = False
    return seen


def add_arguments(parser: ArgumentParser) -> None:
    """Whose visit it is, and of which page."""
    parser.add_argument("--user", default="", metavar="NAME", help="call as for this user")
    parser.add_argument("--path", default="", help="of a page, such as /books/9/")


def choose(path: str, names: Iterable[str] = ()) -> list[Service]:
    """Services of these names, or all; of the page at `path`, or everywhere. Raises CommandError."""
    page = _resolve(path).kwargs.get("page") if path else None
    found = page.sections if isinstance(page, Page) else services(everywhere=not path)
    known = {service.name: service for service in put_in_order(found)}
    if unknown := [name for name in names if name not in known]:
        raise CommandError(f"There is no {', '.join(unknown)}; there are {', '.join(known)}.")
    return [service for name, service in known.items() if not names or name in names]


def find_viewer(user: str) -> Viewer:
    """The user of that name, or nobody. Raises CommandError."""
    try:
        return get_user_model()._default_manager.get_by_natural_key(user) if user else None
    except (ObjectDoesNotExist, Error) as error:
        raise CommandError(f"The database does not say who {user!r} is: {error}") from None


def make_visit(path: str, viewer: Viewer) -> Visit:
    """A visit of the page at that path. Raises CommandError."""
    request: Any = RequestFactory(SERVER_NAME="localhost").get(path)
    request.resolver_match = _resolve(path)
    request.user = viewer or AnonymousUser()
    request.session = import_module(settings.SESSION_ENGINE).SessionStore()
    return _Visit(request, viewer, Deadline(settings.FANOUT_DEADLINE), pass_on({}))


class _Arguments(dict[str, Any]):
    def __missing__(self, name: str) -> Any:
        raise BadAnswer(f"needs {name!r} {ELSEWHERE}")


class _Visit(Visit):
    """One that says what is wrong if a service of another page wants an argument of its path."""

    @property
    def kwargs(self) -> dict[str, Any]:
        return _Arguments(super().kwargs)


def _resolve(path: str) -> ResolverMatch:
    try:
        return resolve(path.partition("?")[0])
    except Resolver404:
        raise CommandError(f"There is no page {path}; a path is like /books/9/.") from None
