"""Searches that well-known APIs take by POST, in the structure that their documentation has."""

import json
import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

APPLICATION, SEARCH_KEY = "SHOP123456", "43b15df305339e82"
BOOKS = [
    {"title": "Dune", "url": "https://books.example.com/dune"},
    {"title": "Emma", "url": "https://books.example.com/emma"},
    {"title": "Ulysses", "url": "https://books.example.com/ulysses"},
]


def _is_json(request: Request) -> bool:
    kind = request.headers.get("content-type", "").partition(";")[0]
    return kind.strip().lower() == "application/json"


async def _read_object(request: Request) -> dict[str, Any]:
    """The JSON object in the body; an empty one if there is none."""
    try:
        body = json.loads(await request.body())
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}


async def run_operation(request: Request) -> Response:
    """GraphQL: https://spec.graphql.org/October2021/#sec-Response, `errors` beside `data`.

    By POST, and refused as https://graphql.github.io/graphql-over-http/draft/ has it. The second
    book cannot be had: it is null, and there is an error with its path.
    """
    if not _is_json(request):
        return Response("POST application/json.", 415)
    asked = await _read_object(request)
    query, variables = asked.get("query"), asked.get("variables") or {}
    if not isinstance(query, str) or not isinstance(variables, dict):
        return JSONResponse({"errors": [{"message": "There is no query."}]}, 400)
    name = asked.get("operationName")
    pattern = r"query (\w+)\(\$first: Int!\) { books\(first: \$first\) { ([\w ]+) } }"
    if not (match := re.fullmatch(pattern, query)) or name not in (None, match[1]):
        return _fail(f'Unknown operation named "{name}".')
    for field in match[2].split():
        if field not in ("title", "url"):
            return _fail(f'Cannot query field "{field}" on type "Book".')
    if type(variables.get("first")) is not int:
        return _fail('Variable "$first" of required type "Int!" was not provided.')
    rows = [{field: book[field] for field in match[2].split()} for book in BOOKS]
    error = {
        "message": "Book 2 is out of print.",
        "locations": [{"line": 1, "column": query.index("books") + 1}],
        "path": ["books", 1],
        "extensions": {"code": "OUT_OF_PRINT"},
    }
    books = [rows[0], None, rows[2]][: variables["first"]]
    errors = {"errors": [error]} if None in books else {}
    return JSONResponse({**errors, "data": {"books": books}})


def _fail(message: str) -> Response:
    """A request error, without data: 200 for who accepts application/json."""
    return JSONResponse({"errors": [{"message": message, "locations": [{"line": 1, "column": 1}]}]})


async def search_posts(request: Request) -> Response:
    """Elasticsearch: https://www.elastic.co/docs/api/doc/elasticsearch/operation/operation-search.

    The real one takes a GET, and no query, too: that finds everything, which nobody may want here.
    """
    if not _is_json(request):
        kind = request.headers.get("content-type", "")
        error = f"Content-Type header [{kind}] is not supported"
        return JSONResponse({"error": error, "status": 406}, 406)
    asked = await _read_object(request)
    match asked:
        case {"query": {"match": {"title": str(words)}}}:
            found = [b for b in BOOKS if b["title"].lower() in words.lower().split()]
        case {"query": {"match_all": {}}}:
            found = BOOKS
        case _:
            cause = {"type": "parsing_exception", "reason": "unknown query", "line": 1, "col": 2}
            error_object = {"root_cause": [cause], **cause}
            return JSONResponse({"error": error_object, "status": 400}, 400)
    hits = [
        {"_index": "books", "_id": str(number), "_score": 1.3, "_source": book}
        for number, book in enumerate(found[: asked.get("size", 10)])
    ]
    return JSONResponse(
        {
            "took": 5,
            "timed_out": False,
            "_shards": {"total": 1, "successful": 1, "skipped": 0, "failed": 0},
            "hits": {
                "total": {"value": len(found), "relation": "eq"},
                "max_score": 1.3 if found else None,
                "hits": hits,
            },
        }
    )


async def search_indices(request: Request) -> Response:
    """Algolia: https://www.algolia.com/doc/rest-api/search/search, of any content type."""
    names = ("x-algolia-application-id", "x-algolia-api-key")
    if [request.headers.get(name) for name in names] != [APPLICATION, SEARCH_KEY]:
        return _say("Invalid Application-ID or API key", 403)
    queries = (await _read_object(request)).get("requests")
    if not isinstance(queries, list):
        return _say("Invalid JSON, or no requests in it", 400)
    results = []
    for query in queries:
        if (name := query.get("indexName")) not in ("books", "guides"):
            return _say(f"Index {name} does not exist", 404)
        rows = BOOKS if name == "books" else [{"title": "How to read", "url": "/guides/read"}]
        size = query.get("hitsPerPage", 20)
        hits = [
            {
                "objectID": str(number),
                **row,
                "_highlightResult": {
                    "title": {"value": row["title"], "matchLevel": "none", "matchedWords": []}
                },
            }
            for number, row in enumerate(rows[:size])
        ]
        results.append(
            {
                "hits": hits,
                "nbHits": len(rows),
                "page": 0,
                "nbPages": -(-len(rows) // size),
                "hitsPerPage": size,
                "exhaustiveNbHits": True,
                "query": query.get("query", ""),
                "params": f"hitsPerPage={size}",
                "index": name,
                "processingTimeMS": 1,
            }
        )
    return JSONResponse({"results": results})


def _say(message: str, status: int) -> Response:
    return JSONResponse({"message": message, "status": status}, status)


ROUTES = [
    Route("/graphql", run_operation, methods=["POST"]),
    Route("/books/_search", search_posts, methods=["POST"]),
    Route("/1/indexes/*/queries", search_indices, methods=["POST"]),
]
