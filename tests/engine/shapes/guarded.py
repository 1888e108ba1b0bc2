"""APIs that want a key or a token, and those that say no in unusual ways, as they document it."""

from base64 import b64decode
from binascii import Error
from typing import Any
from urllib.parse import parse_qsl, unquote_plus

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

STRIPE_KEY = "sk_test_4eC39HqLyjWD"
BREACHES_KEY = "00000000000000000000000000000001"
SLACK_TOKEN = "xoxb-17653672481"  # noqa: S105
SILENT, PLAYING = "BQDsilent", "BQDplaying"  # two users' tokens
CLIENT_ID, CLIENT_SECRET = "shop of books", "s3:cr%t+ä"


def _get_bearer(request: Request) -> str:
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


async def list_products(request: Request) -> Response:
    """Stripe: https://docs.stripe.com/api/products/list, https://docs.stripe.com/api/errors."""
    if (key := _get_bearer(request)) != STRIPE_KEY:
        message = f"No such key: {key[:8]}****{key[-4:]}"
        return _deny(401, message if key else "There is no key.")
    if unknown := set(request.query_params) - {"active", "limit", "starting_after"}:
        return _deny(400, f"There is no parameter {unknown.pop()}")
    limit = int(request.query_params.get("limit", 10))
    products: list[dict[str, Any]] = [
        {
            "id": f"prod_{name}",
            "object": "product",
            "active": True,
            "created": 1678833149,
            "default_price": None,
            "description": None,
            "images": ["https://files.stripe.example/gold.png"] if url else [],
            "livemode": False,
            "metadata": {},
            "name": f"{name} Plan",
            "updated": 1678833149,
            "url": url,
        }
        for name, url in (("Gold", "https://shop.example.com/gold"), ("Silver", None))
    ]
    has_more = limit < len(products)
    answer = {"object": "list", "url": "/v1/products", "has_more": has_more}
    return JSONResponse({**answer, "data": products[:limit]})


def _deny(status: int, message: str) -> Response:
    return JSONResponse({"error": {"message": message, "type": "invalid_request_error"}}, status)


async def list_breaches(request: Request) -> Response:
    """Have I Been Pwned: https://haveibeenpwned.com/API/v3, 404 for an account without any."""
    if not request.headers.get("user-agent"):
        return Response(status_code=403)
    if request.headers.get("hibp-api-key") != BREACHES_KEY:
        message = "There is no such hibp-api-key."
        return JSONResponse({"statusCode": 401, "message": message}, 401)
    if request.path_params["account"] != "account-exists@hibp-integration-tests.com":
        return Response(status_code=404)
    if request.query_params.get("truncateResponse") == "false":
        more = {"Title": "Adobe", "Domain": "adobe.com", "DataClasses": ["Email addresses"]}
        return JSONResponse([{"Name": "Adobe", **more}])
    return JSONResponse([{"Name": "Adobe"}])


async def get_playback(request: Request) -> Response:
    """Spotify: 204 if nothing plays.

    https://developer.spotify.com/documentation/web-api/reference/get-information-about-the-users-current-playback
    """
    if (token := _get_bearer(request)) not in (SILENT, PLAYING):
        return _refuse_token("Invalid access token" if token else "No token provided")
    if token == SILENT:
        return Response(status_code=204)
    track = {
        "type": "track",
        "name": "Sea Song",
        "artists": [{"name": "The Quays", "type": "artist"}],
        "external_urls": {"spotify": "https://open.spotify.com/track/11dFghVXANMlKmJXsNCbNl"},
    }
    device = {"id": None, "is_active": True, "name": "Kitchen speaker", "type": "speaker"}
    return JSONResponse(
        {"device": device, "is_playing": True, "currently_playing_type": "track", "item": track}
    )


async def list_releases(request: Request) -> Response:
    """Spotify: https://developer.spotify.com/documentation/web-api/reference/get-new-releases."""
    if (token := _get_bearer(request)) not in request.app.state.valid:
        return _refuse_token("The access token expired" if token else "No token provided")
    album = {
        "album_type": "album",
        "total_tracks": 18,
        "external_urls": {"spotify": "https://open.spotify.com/album/2up3OPMp9Tb4dAKM2erWXQ"},
        "id": "2up3OPMp9Tb4dAKM2erWXQ",
        "images": [{"url": "https://i.scdn.co/image/ab67", "height": 300, "width": 300}],
        "name": "Low Tide",
        "release_date": "2015-08-21",
        "type": "album",
        "artists": [{"name": "The Quays", "type": "artist"}],
    }
    page = {"limit": 20, "next": None, "offset": 0, "previous": None, "total": 1, "items": [album]}
    return JSONResponse({"albums": {"href": str(request.url), **page}})


def _refuse_token(message: str) -> Response:
    """As https://developer.spotify.com/documentation/web-api/concepts/api-calls has it."""
    headers = {"WWW-Authenticate": 'Bearer realm="spotify", error="invalid_token"'}
    return JSONResponse({"error": {"status": 401, "message": message}}, 401, headers)


async def make_token(request: Request) -> Response:
    """Client credentials: https://www.rfc-editor.org/rfc/rfc6749#section-4.4.

    The client says who it is as section 2.3.1 has it: both parts encoded as forms are.
    """
    never = {"Cache-Control": "no-store", "Pragma": "no-cache"}
    kind, _, packed = request.headers.get("authorization", "").partition(" ")
    try:
        name, _, secret = b64decode(packed, validate=True).decode().partition(":")
    except (Error, UnicodeDecodeError):
        name = secret = ""
    who = [unquote_plus(part) for part in (name, secret)]
    if kind.lower() != "basic" or who != [CLIENT_ID, CLIENT_SECRET]:
        headers = {**never, "WWW-Authenticate": 'Basic realm="accounts"'}
        return JSONResponse({"error": "invalid_client"}, 401, headers)
    body = dict(parse_qsl((await request.body()).decode()))
    form = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    if not form or "grant_type" not in body:
        return JSONResponse({"error": "invalid_request"}, 400, never)
    if body["grant_type"] != "client_credentials":
        return JSONResponse({"error": "unsupported_grant_type"}, 400, never)
    state = request.app.state
    state.tokens.append(token := f"NgCXRK{len(state.tokens)}MzYjw")
    state.valid.add(token)
    answer = {"access_token": token, "token_type": "Bearer", "expires_in": state.expires_in}
    return JSONResponse(answer, headers=never)


async def list_messages(request: Request) -> Response:
    """Slack: 200 with `ok` false for an error: https://docs.slack.dev/apis/web-api/#responses.

    https://docs.slack.dev/reference/methods/conversations.history
    """
    if _get_bearer(request) != SLACK_TOKEN:
        error = "invalid_auth" if "authorization" in request.headers else "not_authed"
        return JSONResponse({"ok": False, "error": error})
    if request.query_params.get("channel") != "C012AB3CD":
        return JSONResponse({"ok": False, "error": "channel_not_found"})
    message = {"type": "message", "user": "U123ABC456", "ts": "1512085950.000216"}
    messages = [{**message, "text": text} for text in ("Who has the key?", "It is under the mat.")]
    more = {"has_more": False, "pin_count": 0, "response_metadata": {"next_cursor": ""}}
    return JSONResponse({"ok": True, "messages": messages, **more})


ROUTES = [
    Route("/v1/products", list_products),
    Route("/api/v3/breachedaccount/{account}", list_breaches),
    Route("/v1/me/player", get_playback),
    Route("/v1/browse/new-releases", list_releases),
    Route("/api/token", make_token, methods=["POST"]),
    Route("/api/conversations.history", list_messages, methods=["GET", "POST"]),
]
