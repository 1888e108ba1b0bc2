"""Lists that well-known APIs answer to a GET, in the structure that their documentation has."""

import re
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

BOOKS = ["Dune", "Emma", "Ulysses"]
TOKEN = "9944b09199c62bcf"  # noqa: S105
PEOPLE = [
    ("russellwhyte", "Russell", "Whyte"),
    ("scottketchum", "Scott", "Ketchum"),
    ("scottoneil", "Scott", "O'Neil"),
]


async def list_books(request: Request) -> Response:
    """A page of a list: https://www.django-rest-framework.org/api-guide/pagination/.

    Behind a token: https://www.django-rest-framework.org/api-guide/authentication/.
    """
    if request.headers.get("authorization") != f"Token {TOKEN}":
        given = "authorization" in request.headers
        detail = "Invalid token." if given else "Authentication credentials were not provided."
        return JSONResponse({"detail": detail}, 401, {"WWW-Authenticate": "Token"})
    size, page = (request.query_params.get(key, "1") for key in ("page_size", "page"))
    first = (int(page) - 1) * int(size) if page.isdigit() and size.isdigit() else len(BOOKS)
    if not 0 <= first < len(BOOKS):
        return JSONResponse({"detail": "Invalid page."}, 404)
    url, last = request.url, first + int(size)
    return JSONResponse(
        {
            "count": len(BOOKS),
            "next": str(url.include_query_params(page=int(page) + 1))
            if last < len(BOOKS)
            else None,
            "previous": str(url.include_query_params(page=int(page) - 1)) if first else None,
            "results": [
                {
                    "url": str(url.replace(path=f"/api/books/{number}/", query="")),
                    "id": number,
                    "name": name,
                    "html_url": f"https://books.example.com/{number}",
                }
                for number, name in enumerate(BOOKS[first:last], first + 1)
            ],
        },
        headers={"Allow": "GET, HEAD, OPTIONS", "Vary": "Accept, Cookie"},
    )


async def list_issues(request: Request) -> Response:
    """A bare array: https://docs.github.com/en/rest/issues/issues#list-repository-issues.

    More is named in a header:
    https://docs.github.com/en/rest/using-the-rest-api/using-pagination-in-the-rest-api.
    """
    accept = request.headers.get("accept", "")
    if not request.headers.get("user-agent"):
        return Response("Say who you are in a User-Agent.", 403)
    if not re.search(r"\*/\*|application/(vnd\.github[\w.-]*\+)?json", accept):
        message = f"No answer is of {accept!r}: accept application/json."
        return JSONResponse({"message": message, "status": "415"}, 415)
    size = int(request.query_params.get("per_page", 30))
    url = f"https://api.github.com{request.url.path}"
    page = f"https://github.com/{'/'.join(request.path_params.values())}"
    issues: list[dict[str, Any]] = [
        {
            "id": number,
            "node_id": f"MDU6SXNzdWU{number}",
            "url": f"{url}/{number}",
            "html_url": f"{page}/issues/{number}",
            "number": number,
            "state": "open",
            "title": title,
            "body": "It does not open.",
            "user": {"login": "octocat", "id": 1, "type": "User", "site_admin": False},
            "labels": [{"id": 208045946, "name": "bug", "color": "f29513", "default": True}],
            "assignee": None,
            "comments": 0,
            "closed_at": None,
            "created_at": "2011-04-22T13:33:48Z",
        }
        for number, title in ((1349, "Found another"), (1348, "Mend it"), (1347, "Found a bug"))
    ]
    issues[1]["html_url"] = f"{page}/pull/1348"
    issues[1]["pull_request"] = {"url": f"{url}/1348", "html_url": f"{page}/pull/1348"}
    more = f'<{url}?page=2>; rel="next", <{url}?page=2>; rel="last"'
    return JSONResponse(issues[:size], headers={"Link": more} if size < len(issues) else {})


async def list_articles(request: Request) -> Response:
    """A compound document: https://jsonapi.org/format/#document-compound-documents.

    Other parameters are refused: https://jsonapi.org/format/#query-parameters.
    """
    media_type = "application/vnd.api+json"
    if media_type not in request.headers.get("accept", "").split(","):
        return _refuse(406, "Not Acceptable", {"header": "Accept"})
    params = dict(request.query_params)
    include = params.pop("include", "")
    if params or include not in ("", "author"):
        wrong = next(iter(params), "include")
        return _refuse(400, "Invalid Query Parameter", {"parameter": wrong})
    url = "https://example.com"
    articles = (("1", "Why we read", "9"), ("2", "Why we write", "2"))
    document: dict[str, Any] = {
        "links": {"self": f"{url}/articles", "next": f"{url}/articles?page[offset]=2"},
        "data": [
            {
                "type": "articles",
                "id": number,
                "attributes": {"title": title},
                "relationships": {
                    "author": {
                        "links": {"related": f"{url}/articles/{number}/author"},
                        "data": {"type": "people", "id": author},
                    }
                },
                "links": {"self": f"{url}/articles/{number}"},
            }
            for number, title, author in articles
        ],
    }
    if include:
        document["included"] = [
            {"type": "people", "id": number, "attributes": {"lastName": name}}
            for number, name in (("2", "Woolf"), ("9", "Shaw"))
        ]
    return JSONResponse(document, media_type=media_type)


def _refuse(status: int, title: str, source: dict[str, str]) -> Response:
    """Errors of JSON:API: https://jsonapi.org/format/#error-objects."""
    errors = [{"status": str(status), "source": source, "title": title}]
    return JSONResponse({"errors": errors}, status, media_type="application/vnd.api+json")


async def list_orders(request: Request) -> Response:
    """HAL: https://datatracker.ietf.org/doc/html/draft-kelly-json-hal.

    As of Spring: https://docs.spring.io/spring-data/rest/reference/paging-and-sorting.html.
    """
    accept = request.headers.get("accept", "*/*")
    if not re.search(r"\*/\*|application/(hal\+)?json", accept):
        return Response(status_code=406)
    size = int(request.query_params.get("size", 20))
    url = "https://shop.example.com/orders"
    rows = [
        {
            "name": f"Order {number}",
            "total": 10.2 * number,
            "_links": {key: {"href": f"{url}/{number}"} for key in ("self", "order")},
        }
        for number in range(1, 4)
    ]
    self_link = {"href": f"{url}{{?page,size,sort}}", "templated": True}
    next_link = {"href": f"{url}?page=1&size={size}"}
    return JSONResponse(
        {
            "_embedded": {"orders": rows[:size]},
            "_links": {"self": self_link, **({"next": next_link} if size < 3 else {})},
            "page": {"size": size, "totalElements": 3, "totalPages": -(-3 // size), "number": 0},
        },
        media_type="application/hal+json",
    )


async def list_people(request: Request) -> Response:
    """Rows under `value`: https://www.odata.org/getting-started/basic-tutorial/#filter.

    https://docs.oasis-open.org/odata/odata-json-format/v4.01/odata-json-format-v4.01.html
    """
    options = dict(request.query_params)
    wanted, top = options.pop("$filter", ""), options.pop("$top", "100")
    names = options.pop("$select", "UserName,FirstName,LastName").split(",")
    match = re.fullmatch("(FirstName|LastName) eq '((?:[^']|'')*)'", wanted)
    if (wanted and not match) or not top.isdigit() or any(key[0] == "$" for key in options):
        error = {"code": "", "message": "This is no query."}
        return JSONResponse({"error": error}, 400, {"OData-Version": "4.0"})
    root = str(request.url.replace(path="/TripPinRESTierService", query=""))
    rows = [
        dict(zip(("UserName", "FirstName", "LastName"), person, strict=True)) for person in PEOPLE
    ]
    if match:
        rows = [row for row in rows if row[match[1]] == match[2].replace("''", "'")]
    return JSONResponse(
        {
            "@odata.context": f"{root}/$metadata#People",
            "value": [{name: row[name] for name in names} for row in rows[: int(top)]],
        },
        headers={"OData-Version": "4.0"},
        media_type="application/json; odata.metadata=minimal",
    )


ROUTES = [
    Route("/api/books/", list_books),
    Route("/repos/{owner}/{repo}/issues", list_issues),
    Route("/articles", list_articles),
    Route("/orders", list_orders),
    Route("/TripPinRESTierService/People", list_people),
]
