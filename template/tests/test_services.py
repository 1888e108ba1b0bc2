"""An example: how to test a service of yours, and what the page makes of it. Yours go into new files."""

from collections.abc import Mapping

import httpx
from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from starlette.responses import JSONResponse

from fanout import Service
from tests.conftest import serve

ANSWER = {"results": [{"name": "Nine Harbours & more", "html_url": "/books/9/"}]}


class Reviews(Service):  # yours is imported from homepage.services
    """A service that answers in its own way."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        """What the section shows."""
        rows = response.json()["results"]
        return {"items": [{"title": row["name"], "url": row["html_url"]} for row in rows]}


def test_an_answer_is_read() -> None:
    service = Reviews("reviews", "http://reviews.test/")
    section = service.read(httpx.Response(200, json=ANSWER))
    assert section == {"items": [{"title": "Nine Harbours & more", "url": "/books/9/"}]}


def test_the_homepage_shows_it(client: Client, settings: Settings) -> None:
    settings.FANOUT_SERVICES = ["reviews"]
    settings.FANOUT_CLASSES = __name__  # of yours are found without this line
    with serve(JSONResponse(ANSWER)) as address:
        settings.FANOUT_URLS = {"reviews": address}
        html = client.get(reverse("home")).getvalue().decode()
    assert "Nine Harbours &amp; more" in html
    assert 'href="/books/9/"' in html
