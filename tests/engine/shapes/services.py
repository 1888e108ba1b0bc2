"""How a team would call well-known APIs: a class each, of at most 12 lines."""

from collections.abc import Mapping

import httpx
from defusedxml.ElementTree import fromstring

from fanout import ClientCredentials, Secret, Service, Visit

ATOM = {"": "http://www.w3.org/2005/Atom"}


class Books(Service):
    """Django REST framework: the first page of a list, behind a token."""

    key = Secret("BOOKS_KEY")

    def request(self, visit: Visit) -> httpx.Request:
        url = self.url.copy_merge_params({"page_size": "2"})
        return httpx.Request("GET", url, headers={"Authorization": f"Token {self.key}"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = response.json()["results"]
        return {"items": [{"title": row["name"], "url": row["html_url"]} for row in rows]}


class Issues(Service):
    """GitHub: a bare array, of pull requests, too; a header says if there is more."""

    def request(self, visit: Visit) -> httpx.Request:
        url = self.url.copy_merge_params({"state": "open", "per_page": "2"})
        return httpx.Request("GET", url, headers={"Accept": "application/vnd.github+json"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = [row for row in response.json() if "pull_request" not in row]
        items = [{"title": row["title"], "url": row["html_url"]} for row in rows]
        return {"items": items, "more": "next" in response.links}


class Articles(Service):
    """JSON:API: a media type of its own, and authors beside the articles (`?include=author`)."""

    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"Accept": "application/vnd.api+json"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        answer = response.json()
        names = {one["id"]: one["attributes"]["lastName"] for one in answer["included"]}
        for row in answer["data"]:
            row["attributes"]["text"] = names[row["relationships"]["author"]["data"]["id"]]
        return {"items": [{**r["attributes"], "url": r["links"]["self"]} for r in answer["data"]]}


class Novels(Service):
    """GraphQL: an operation with variables; what could not be had is null, and said in `errors`."""

    query = "query Books($first: Int!) { books(first: $first) { title url } }"

    def request(self, visit: Visit) -> httpx.Request:
        body = {"query": self.query, "operationName": "Books", "variables": {"first": 3}}
        return httpx.Request("POST", self.url, json=body)

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        answer = response.json()
        return {"items": [*filter(None, answer["data"]["books"])], "partial": "errors" in answer}


class Posts(Service):
    """Elasticsearch: a search by POST, which may be repeated; documents are in `_source`."""

    retry = True

    def request(self, visit: Visit) -> httpx.Request:
        body = {"query": {"match": {"title": "dune ulysses"}}, "size": 5}
        return httpx.Request("POST", self.url, json=body)

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [hit["_source"] for hit in response.json()["hits"]["hits"]]}


class Offers(Service):
    """Algolia: two indices in one POST."""

    key = Secret("ALGOLIA_KEY")

    def request(self, visit: Visit) -> httpx.Request:
        headers = {"X-Algolia-Application-Id": "SHOP123456", "X-Algolia-API-Key": self.key}
        queries = [{"indexName": name, "hitsPerPage": 1} for name in ("books", "guides")]
        return httpx.Request("POST", self.url, headers=headers, json={"requests": queries})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [hit for one in response.json()["results"] for hit in one["hits"]]}


class Products(Service):
    """Stripe: a list, behind a Bearer key; not every product has a page."""

    key = Secret("STRIPE_KEY")

    def request(self, visit: Visit) -> httpx.Request:
        url = self.url.copy_merge_params({"active": "true", "limit": "3"})
        return httpx.Request("GET", url, headers={"Authorization": f"Bearer {self.key}"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = response.json()["data"]
        return {"items": [{"title": row["name"], "url": row["url"]} for row in rows]}


class Orders(Service):
    """HAL, as Spring speaks it: rows are embedded, and each has its own links."""

    def request(self, visit: Visit) -> httpx.Request:
        url = self.url.copy_merge_params({"size": "2", "sort": "name,asc"})
        return httpx.Request("GET", url, headers={"Accept": "application/hal+json"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = response.json()["_embedded"]["orders"]
        return {"items": [{"title": r["name"], "url": r["_links"]["self"]["href"]} for r in rows]}


class People(Service):
    """OData: a filter in which a quotation mark is doubled; rows are under `value`."""

    def request(self, visit: Visit) -> httpx.Request:
        params = {"$filter": "LastName eq 'O''Neil'", "$select": "UserName,LastName", "$top": "3"}
        return httpx.Request("GET", self.url.copy_merge_params(params))

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = [(row["LastName"], row["UserName"]) for row in response.json()["value"]]
        return {"items": [{"title": name, "url": f"/people/{user}"} for name, user in rows]}


class News(Service):
    """RSS 2.0: an item may have no title."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        feed, items = fromstring(response.content), []
        for row in feed.iterfind("channel/item"):
            title = row.findtext("title") or row.findtext("description", "")
            items.append({"title": title, "url": row.findtext("link", "")})
        return {"title": feed.findtext("channel/title", ""), "items": items}


class Blog(Service):
    """Atom: in a namespace, with several links an entry; one without `rel` leads to the page."""

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        items = []
        for entry in fromstring(response.content).iterfind("entry", ATOM):
            links = [link.attrib for link in entry.iterfind("link", ATOM)]
            urls = [link["href"] for link in links if link.get("rel", "alternate") == "alternate"]
            items.append({"title": entry.findtext("title", "", ATOM), "url": urls[0]})
        return {"items": items}


class Player(Service):
    """Spotify: a 204 if nothing plays is an empty section without a word about it."""

    token = Secret("PLAYER_TOKEN")

    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"Authorization": f"Bearer {self.token}"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        track = response.json()["item"]
        return {"items": [{"title": track["name"], "url": track["external_urls"]["spotify"]}]}


class Breaches(Service):
    """Have I Been Pwned: a 404 says that there are none."""

    empty = (404,)
    key = Secret("BREACHES_KEY")

    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"hibp-api-key": self.key})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [{"title": row["Name"]} for row in response.json()]}


class Messages(Service):
    """Slack: an error is a 200, too, but one without `messages`: to read it fails."""

    token = Secret("SLACK_TOKEN")

    def request(self, visit: Visit) -> httpx.Request:
        return httpx.Request("GET", self.url, headers={"Authorization": f"Bearer {self.token}"})

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        return {"items": [{"title": row["text"]} for row in response.json()["messages"]]}


class Releases(Service):
    """OAuth2, with client credentials: `auth` gets the token, and keeps it."""

    secret = Secret("RELEASES_SECRET")

    @property
    def auth(self) -> httpx.Auth:
        return ClientCredentials(self.url.join("/api/token"), "shop of books", self.secret)

    def read(self, response: httpx.Response) -> Mapping[str, object]:
        rows = response.json()["albums"]["items"]
        return {"items": [{"title": r["name"], "url": r["external_urls"]["spotify"]} for r in rows]}
