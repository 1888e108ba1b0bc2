"""The APIs refuse what the real ones would, so a class that asks wrongly gets nothing."""

from typing import Any

import httpx
import pytest

from engine.shapes import guarded, plain, posted
from engine.shapes.conftest import PATHS

BOOKS = {"Authorization": f"Token {plain.TOKEN}"}
STRIPE = {"Authorization": f"Bearer {guarded.STRIPE_KEY}"}
ALGOLIA = {
    "X-Algolia-Application-Id": posted.APPLICATION,
    "X-Algolia-API-Key": posted.SEARCH_KEY,
}
QUERY = "query Books($first: Int!) { books(first: $first) { title } }"
FORM = {"grant_type": "client_credentials"}
CLIENT = ("shop+of+books", "s3%3Acr%25t%2B%C3%A4")  # as forms have it


@pytest.mark.parametrize(
    ("name", "method", "options", "status"),
    [
        ("books", "GET", {}, 401),
        ("books", "GET", {"headers": {"Authorization": f"Bearer {plain.TOKEN}"}}, 401),
        ("books", "GET", {"headers": BOOKS, "params": {"page": "9"}}, 404),
        ("books", "GET", {"headers": BOOKS}, 200),
        ("books", "POST", {"headers": BOOKS}, 405),
        ("issues", "GET", {"headers": {"Accept": "text/html"}}, 415),
        ("issues", "GET", {"headers": {"User-Agent": ""}}, 403),
        ("articles", "GET", {"headers": {"Accept": "application/json"}}, 406),
        (
            "articles",
            "GET",
            {"headers": {"Accept": "application/vnd.api+json"}, "params": {"size": "3"}},
            400,
        ),
        ("novels", "GET", {"params": {"query": QUERY}}, 405),
        ("novels", "POST", {"data": {"query": QUERY}}, 415),
        ("novels", "POST", {"json": {"operationName": "Books"}}, 400),
        ("posts", "GET", {"json": {"query": {"match_all": {}}}}, 405),
        ("posts", "POST", {"content": '{"query": {"match_all": {}}}'}, 406),
        ("posts", "POST", {"json": {"q": "dune"}}, 400),
        ("posts", "POST", {"json": {"query": {"match_all": {}}}}, 200),
        ("offers", "GET", {"headers": ALGOLIA}, 405),
        ("offers", "POST", {"json": {"requests": []}}, 403),
        ("offers", "POST", {"headers": ALGOLIA, "json": {}}, 400),
        ("offers", "POST", {"headers": ALGOLIA, "json": {"requests": [{}]}}, 404),
        ("products", "GET", {}, 401),
        ("products", "GET", {"headers": {"Authorization": "Bearer sk_test_other"}}, 401),
        ("products", "GET", {"headers": STRIPE, "params": {"size": "3"}}, 400),
        ("products", "POST", {"headers": STRIPE}, 405),
        ("orders", "GET", {"headers": {"Accept": "application/xml"}}, 406),
        ("people", "GET", {"params": {"$filter": "LastName = 'O''Neil'"}}, 400),
        ("people", "GET", {"params": {"$filter": "LastName eq 'O'Neil'"}}, 400),
        ("people", "GET", {"params": {"$limit": "3"}}, 400),
        ("news", "POST", {}, 405),
        ("blog", "POST", {}, 405),
        ("player", "GET", {}, 401),
        ("breaches", "GET", {}, 401),
        ("breaches", "GET", {"headers": {"User-Agent": ""}}, 403),
        ("releases", "GET", {}, 401),
        ("releases", "GET", {"headers": {"Authorization": "Bearer NgCXRK0MzYjw"}}, 401),
        ("token", "GET", {"auth": CLIENT, "params": FORM}, 405),
        ("token", "POST", {"data": FORM}, 401),
        ("token", "POST", {"data": FORM, "headers": {"Authorization": "Basic ?"}}, 401),
        ("token", "POST", {"data": FORM, "auth": ("shop of books", guarded.CLIENT_SECRET)}, 401),
        ("token", "POST", {"json": FORM, "auth": CLIENT}, 400),
        ("token", "POST", {"data": {"grant_type": "password"}, "auth": CLIENT}, 400),
        ("token", "POST", {"data": FORM, "auth": CLIENT}, 200),
    ],
)
def test_a_call_gets_the_status_of_the_real_api(
    address: str, name: str, method: str, options: dict[str, Any], status: int
) -> None:
    path = {**PATHS, "token": "/api/token"}[name]
    params = {**httpx.URL(path).params, **options.pop("params", {})}
    response = httpx.request(method, f"{address}{path}", params=params, **options)
    assert response.status_code == status, response.text


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"query": QUERY}, 'Variable "$first" of required type "Int!" was not provided.'),
        ({"query": QUERY, "operationName": "News"}, 'Unknown operation named "News".'),
        ({"query": QUERY.replace("title", "name")}, 'Cannot query field "name" on type "Book".'),
    ],
)
def test_graphql_says_in_a_200_what_is_wrong_with_an_operation(
    address: str, body: dict[str, Any], message: str
) -> None:
    response = httpx.post(f"{address}/graphql", json=body)
    assert response.status_code == 200
    assert [error["message"] for error in response.json()["errors"]] == [message]


@pytest.mark.parametrize(
    ("headers", "error"),
    [
        ({}, "not_authed"),
        ({"Authorization": "Bearer xoxb-0"}, "invalid_auth"),
        ({"Authorization": f"Bearer {guarded.SLACK_TOKEN}"}, "channel_not_found"),
    ],
)
def test_slack_says_in_a_200_what_is_wrong(
    address: str, headers: dict[str, str], error: str
) -> None:
    response = httpx.get(f"{address}/api/conversations.history", headers=headers)
    assert response.status_code == 200
    assert response.json() == {"ok": False, "error": error}
