"""What people write who try it for the first time: every class here has one typical mistake."""

from collections.abc import Mapping
from typing import Any

import httpx

from engine.shapes import services
from fanout import Secret, Service, Visit


class WrongKey(services.Products):
    """Stripe says `data`."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": response.json()["results"]}


class WrongType(services.Issues):
    """GitHub's answer is an array."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": response.json()["items"]}


class NoSecret(Service):
    """A secret that nobody has set."""

    key = Secret("NOBODYS_KEY")

    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"X-Api-Key": self.key})


class NoReturn(services.Issues):
    """`read` ends without a `return`."""

    def read(self, response: httpx.Response) -> Any:
        response.json()


class NoObject(services.Issues):
    """GitHub's answer, as it comes."""

    def read(self, response: httpx.Response) -> Any:
        return response.json()


class NoItems(services.Issues):
    """A section needs items."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"issues": response.json()}


class ItemsOfText(services.Issues):
    """An item is an object with a title."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [row["title"] for row in response.json()]}


class NoText(services.Products):
    """A title that is null."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [{"title": r["url"]} for r in response.json()["data"]]}


class TextRequest(Service):
    """`request` gives an address."""

    def request(self, visit: Visit) -> Any:
        return str(self.url)


async def _ask(service: Service, visit: Visit) -> httpx.Request:
    return httpx.Request("GET", service.url)


async def _read(service: Service, response: httpx.Response) -> Mapping[str, object]:
    return {"items": response.json()}


class AsyncRequest(Service):
    """`request` as an async method."""

    request: Any = _ask


class AsyncRead(Service):
    """`read` as an async method."""

    read: Any = _read


class WrongAttribute(Service):
    """A visit has no `user`."""

    def request(self, visit: Any) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"X-User": visit.user.email})


class NotHeaders(Service):
    """A header that is no text."""

    def request(self, visit: Visit) -> httpx.Request:
        headers: Any = {"X-Size": 3}
        return httpx.Request("GET", self.url, headers=headers)
