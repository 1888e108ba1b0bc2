"""One service of the homepage is personal; the others say the same to everybody."""

from itertools import cycle

from fanout import Service, Visit

_visitors = cycle(map(str, range(1000)))


class Personal(Service):
    """As if each page were another visitor's, but nobody has to log in, as peers have no log-in."""

    name = "shelf_1"

    def identify(self, visit: Visit) -> str:
        """The next visitor's id."""
        return next(_visitors)


class Book(Service):
    """Of a page that is not measured."""
