"""Yours: how each service is called, and what it answers. README.md says how any backend is.

One without a class is called like any other. This is how `promo` would get less time:

    class Promo(Service):
        timeout = 0.5
"""

import httpx

from fanout import Service, Visit


class Recco(Service):
    """What to read next, for whoever is logged in."""

    personal = True


class Book(Service):
    """The book whose number is in the path of the page."""

    def request(self, visit: Visit) -> httpx.Request:
        """What is sent: `GET <BOOK_URL>9`."""
        return httpx.Request("GET", self.url.join(visit.kwargs["isbn"]))

    def read(self, response: httpx.Response) -> dict[str, object]:
        """What sections/book.html shows."""
        book = response.json()
        item = {
            "title": book["name"],
            "author": book["writer"]["name"],
            "text": book["about"],
            "price": f"£{book['price']['amount']}",
            "image": book["cover"],
        }
        return {"title": book["name"], "items": [item]}
