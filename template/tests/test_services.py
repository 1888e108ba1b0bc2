"""An example: how to test what your page makes of a service's answer. Replace it by tests of yours."""

from django.test import Client
from django.urls import reverse
from pytest_django import Settings
from starlette.responses import JSONResponse

from tests.conftest import serve

ANSWER = {"title": "This week", "items": [{"title": "Nine Harbours & more", "url": "/books/9/"}]}


def test_the_homepage_shows_what_a_service_says(client: Client, settings: Settings) -> None:
    with serve(JSONResponse(ANSWER)) as address:  # stands for every service of the page
        settings.FANOUT_URLS = dict.fromkeys(settings.FANOUT_URLS, address)
        html = client.get(reverse("home")).getvalue().decode()
    assert "Nine Harbours &amp; more" in html
    assert 'href="/books/9/"' in html
