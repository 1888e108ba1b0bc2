"""Three services of the homepage, each of which needs the one before; the others need nobody."""

import httpx

from fanout import Service, Visit


class _Link(Service):
    def request(self, visit: Visit) -> httpx.Request:
        """It says something that is known only then."""
        titles = [visit.sections[name].title for name in self.after]
        return httpx.Request("GET", self.url, headers={"X-Titles": ascii(titles)})


class Second(_Link):
    """Needs the first one."""

    name = "shelf_2"
    after = ("shelf_1",)


class Third(_Link):
    """Needs the second one."""

    name = "shelf_3"
    after = ("shelf_2",)


class Book(Service):
    """Of a page that is not measured."""
