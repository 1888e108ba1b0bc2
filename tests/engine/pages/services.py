"""Services of whatever page a test makes, which may come after others."""

import httpx

from fanout import Service, Visit


class _Link(Service):
    """Is asked with the titles of those that it comes after, and with what is in the path."""

    timeout = 30.0

    def request(self, visit: Visit) -> httpx.Request:
        asked = {name: visit.sections[name].title for name in self.after}
        return httpx.Request("GET", self.url.copy_merge_params({**asked, **visit.kwargs}))


class Profile(_Link):
    """The one that others need."""


class Alpha(_Link):
    """One of those."""

    after = ("profile",)


class Beta(_Link):
    """Needs nobody, unless a test says so."""


class Gamma(_Link):
    """The same."""
