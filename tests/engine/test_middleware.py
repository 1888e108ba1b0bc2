"""The middleware answers as Django's does, but takes no thread where nothing has to be waited for."""

import re
from collections import Counter
from collections.abc import Callable, Iterable
from typing import Any

import pytest
from asgiref.sync import SyncToAsync, async_to_sync
from django.contrib import messages
from django.contrib.auth.models import AnonymousUser
from django.contrib.messages.storage.session import SessionStorage
from django.contrib.sessions.backends import db
from django.core.checks import run_checks
from django.core.files.uploadedfile import SimpleUploadedFile
from django.http import HttpRequest, HttpResponse, StreamingHttpResponse
from django.middleware.csrf import get_token
from django.test import AsyncClient, Client, override_settings
from django.urls import include, path
from django.utils.decorators import async_only_middleware, sync_only_middleware
from django.views.decorators.csrf import csrf_exempt
from django.views.decorators.http import condition

from config import base
from engine.visitors import make_user
from fanout.serving import middleware

NAMES = [
    "SecurityMiddleware",
    "ContentSecurityPolicyMiddleware",
    "SessionMiddleware",
    "CommonMiddleware",
    "CsrfViewMiddleware",
    "AuthenticationMiddleware",
    "MessageMiddleware",
    "XFrameOptionsMiddleware",
]
OURS = [f"fanout.serving.middleware.{name}" for name in NAMES]
DJANGOS = [
    f"{cls.__module__}.{cls.__name__}"
    for cls in (getattr(middleware, name).__bases__[0] for name in NAMES)
]

TOKEN = "a" * 32

# Whatever the project has chosen.
SETTINGS: dict[str, Any] = {
    "ROOT_URLCONF": __name__,
    "SESSION_ENGINE": "django.contrib.sessions.backends.db",
    "SESSION_SAVE_EVERY_REQUEST": False,
    "MESSAGE_STORAGE": "django.contrib.messages.storage.fallback.FallbackStorage",
    "CSRF_USE_SESSIONS": False,
    "CSRF_COOKIE_NAME": "csrftoken",
    "SESSION_COOKIE_NAME": "sessionid",
    "FANOUT_COMPARE": False,
}


# The views, at a path of their name.


async def plain(request: HttpRequest) -> HttpResponse:
    return HttpResponse("plain")


async def viewer(request: HttpRequest) -> HttpResponse:
    return HttpResponse(str(await request.auser()))


async def write(request: HttpRequest) -> HttpResponse:
    await request.session.aupdate({"number": 1, "_csrftoken": TOKEN})
    return HttpResponse("written", status=int(request.GET.get("status", 200)))


def read(request: HttpRequest) -> HttpResponse:
    return HttpResponse(f"{request.session.get('number')} {request.user}")


def expire(request: HttpRequest) -> HttpResponse:
    request.session.set_expiry(int(request.GET["seconds"]))
    return HttpResponse("expires")


def flush(request: HttpRequest) -> HttpResponse:
    request.session.flush()
    return HttpResponse("flushed")


def interrupt(request: HttpRequest) -> HttpResponse:
    request.session["number"] = 2
    db.SessionStore(request.session.session_key).delete()
    return HttpResponse("not to be seen")


def add(request: HttpRequest) -> HttpResponse:
    messages.info(request, request.GET.get("text", "hello"))
    return HttpResponse("added")


def show(request: HttpRequest) -> HttpResponse:
    return HttpResponse(",".join(map(str, messages.get_messages(request))))


def form(request: HttpRequest) -> HttpResponse:
    if request.method == "POST":
        files = {name: getattr(file, "size", 0) for name, file in request.FILES.items()}
        return HttpResponse(f"{request.POST.get('text')} {files}")
    return HttpResponse(get_token(request))


@csrf_exempt
async def exempt(request: HttpRequest) -> HttpResponse:
    return HttpResponse(request.body)


def forget(request: HttpRequest) -> HttpResponse:
    del request.session, request._messages  # type: ignore[attr-defined]
    return HttpResponse("forgotten")


def fail(request: HttpRequest) -> HttpResponse:
    raise ValueError


def stream(request: HttpRequest) -> StreamingHttpResponse:
    return StreamingHttpResponse(iter(["one", "two"]))


@condition(etag_func=lambda request: '"etag"')
def conditional(request: HttpRequest) -> HttpResponse:
    return HttpResponse("conditional")


def headers(request: HttpRequest) -> HttpResponse:
    names = ("X-Frame-Options", "Content-Security-Policy", "Referrer-Policy", "Content-Length")
    return HttpResponse("as it is", headers=dict.fromkeys(names, "8"))


VIEWS = (plain, viewer, write, read, expire, flush, interrupt, forget, add, show, form, exempt)
urlpatterns = [
    *[path(f"{v.__name__}/", v) for v in (*VIEWS, fail, stream, conditional, headers)],
    path("", include("homepage.urls")),
]


# What is sent, one step after another, with the same client.

Step = tuple[str, str, dict[str, Any]]


def get(path: str, **options: Any) -> Step:
    return "get", path, options


def post(path: str, *, csrf: str = TOKEN, **options: Any) -> Step:
    options.setdefault("data", {"text": "text", "csrfmiddlewaretoken": csrf})
    return "post", path, options


def steps(*steps: Step, **settings: Any) -> tuple[tuple[Step, ...], dict[str, Any]]:
    return steps, settings


HSTS = {"SECURE_HSTS_SECONDS": 9, "SECURE_HSTS_PRELOAD": True}
HTML = {"Accept": "text/html"}
PAGE = "/compare/gather/"
LONG = "".join(map(str, range(3000)))  # more than a cookie holds, compressed too
UPLOAD = {"csrfmiddlewaretoken": TOKEN, "small": b"1" * 10, "large": b"1" * 3_000_000}

TABLE = {
    "homepage": steps(get(PAGE), ("head", PAGE, {}), ("options", PAGE, {})),
    "security headers": steps(get("/plain/", secure=True), get("/headers/"), **HSTS),
    "no security headers": steps(
        get("/plain/"), SECURE_REFERRER_POLICY=None, SECURE_CSP={}, CONTENT_SECURITY_POLICY={}
    ),
    "redirect to https": steps(get("/plain/?a=1"), get("/livez"), SECURE_SSL_REDIRECT=True),
    "redirect to www": steps(get("/plain/"), get("/plain?a=1"), PREPEND_WWW=True),
    "redirect to the slash": steps(get("/plain"), get("/plain?a=1"), ("put", "/plain", {})),
    "no redirect to the slash": steps(get("/plain"), get("/admin"), APPEND_SLASH=False),
    "slash and a form, in development": steps(post("/form"), DEBUG=True),
    "refused user agent": steps(
        get("/plain/", headers={"User-Agent": "bad"}),
        DISALLOWED_USER_AGENTS=[re.compile("bad")],
    ),
    "wrong host": steps(get("/plain/", headers={"Host": "wrong.test"})),
    "not found": steps(get("/nothing/"), ("head", "/nothing/", {})),
    "not found, in development": steps(get("/nothing/"), DEBUG=True),
    "error": steps(get("/fail/")),
    "error, in development": steps(get("/fail/", headers={"Accept": "text/plain"}), DEBUG=True),
    "head and conditional": steps(
        ("head", "/plain/", {}),
        get("/conditional/"),
        get("/conditional/", headers={"If-None-Match": '"etag"'}),
        post("/conditional/", headers={"If-Match": '"other"'}),
    ),
    "streaming": steps(get("/stream/"), ("head", "/stream/", {})),
    "session": steps(
        get("/read/"), get("/write/"), get("/read/"), get("/plain/"), get("/flush/"), get("/read/")
    ),
    "session that is not saved": steps(get("/write/?status=503"), get("/read/")),
    "session that expires": steps(
        get("/expire/?seconds=0"), get("/expire/?seconds=60"), get("/plain/")
    ),
    "session that is gone": steps(get("/write/"), get("/interrupt/"), get("/read/")),
    "session that is forgotten": steps(get("/write/"), get("/forget/"), get("/read/")),
    "session saved every time": steps(
        get("/plain/"), get("/write/"), get("/plain/"), SESSION_SAVE_EVERY_REQUEST=True
    ),
    "session in cookies": steps(
        *(get("/write/"), get("/read/"), get("/plain/"), get("/flush/")),
        SESSION_ENGINE="django.contrib.sessions.backends.signed_cookies",
    ),
    "session in the cache": steps(
        *(get("/write/"), get("/read/"), get("/interrupt/"), get("/flush/")),
        SESSION_ENGINE="django.contrib.sessions.backends.cache",
    ),
    "messages": steps(get("/add/"), get("/plain/"), get("/add/"), get("/show/"), get("/show/")),
    "messages beyond a cookie": steps(get(f"/add/?text={LONG}"), get("/show/")),
    "messages in the session": steps(
        get("/add/"), get("/plain/"), get("/show/"), MESSAGE_STORAGE=f"{__name__}.UpdatingStorage"
    ),
    "form": steps(get("/form/"), post("/form/"), post("/form/", data=UPLOAD), post("/form")),
    "form without a token": steps(
        post("/form/", csrf=""), post("/form/", csrf="b" * 32), post("/form/", csrf="a")
    ),
    "form with a token in a header": steps(
        ("put", "/form/", {"headers": {"X-CSRFToken": TOKEN}}), ("delete", "/form/", {})
    ),
    "form from elsewhere": steps(
        post("/form/", headers={"Origin": "https://evil.test"}),
        post("/form/", secure=True),
        post("/form/", secure=True, headers={"Referer": "https://testserver/"}),
    ),
    "form and session": steps(
        *(post("/form/"), get("/form/"), get("/form/"), get("/write/"), post("/form/")),
        CSRF_USE_SESSIONS=True,
    ),
    "exempt from tokens": steps(post("/exempt/", data={"a": "1"}, headers=HTML)),
    "log-in": steps(
        *(get("/accounts/login/"), get("/admin/"), get("/admin/login/")),
        post("/accounts/login/", data={"username": "viewer", "csrfmiddlewaretoken": TOKEN}),
        post(
            "/accounts/login/",
            data={"username": "viewer", "password": "secret", "csrfmiddlewaretoken": TOKEN},
        ),
        *(get(PAGE), get("/read/"), get("/viewer/"), get("/admin/"), get("/readyz")),
    ),
}


class UpdatingStorage(SessionStorage):
    """Messages with an idea of their own of what an update is."""

    def update(self, response: Any) -> Any:
        """Write to the session for every response."""
        self.request.session["updated"] = True
        return super().update(response)


def send(interface: str, stack: list[str], steps: Iterable[Step], **options: Any) -> list[Any]:
    """Each answer of `stack`, with everything that is random replaced by its shape."""
    with override_settings(**(SETTINGS | {"MIDDLEWARE": stack} | options)):
        kind: Any = {"asgi": AsyncClient, "wsgi": Client}[interface]
        client = kind(enforce_csrf_checks=True, raise_request_exception=False)
        client.cookies["csrftoken"] = TOKEN
        return [answer(client, *step) for step in steps]


def answer(client: Any, method: str, path: str, options: dict[str, Any]) -> Any:
    """The status, headers, cookies and body."""
    if "data" in options:
        files = {k: v for k, v in options["data"].items() if isinstance(v, bytes)}
        uploads = {name: SimpleUploadedFile(name, content) for name, content in files.items()}
        options = {**options, "data": options["data"] | uploads}
    call = getattr(client, method)
    call = async_to_sync(call) if isinstance(client, AsyncClient) else call
    response = call(path, **options)
    body = b"".join(response).decode()
    headers = {name: shape(value) for name, value in response.headers.items()}
    if "Traceback" in body:  # shows the names of the middleware
        body = headers["Content-Length"] = "traceback"
    return response.status_code, headers, shape(response.cookies.output()), shape(body)


def shape(text: str) -> str:
    """Without tokens, keys, signatures, dates to come, durations and addresses in memory."""
    for pattern, name in (
        (r"[\w-]+:[\w-]{6}:[\w-]{43}", "SIGNED"),
        (r"\b[a-zA-Z0-9]{32}(?:[a-zA-Z0-9]{32})?\b", "TOKEN"),
        (r"\w{3}, \d\d \w{3} (?!1970)\d{4} \d\d:\d\d:\d\d", "DATE"),
        (r"dur=[\d.]+", "dur"),
        (r'nonce="[^"]+"', "nonce"),
        (r"0x[0-9a-f]+", "0x"),
    ):
        text = re.sub(pattern, name, text)
    return text


@pytest.fixture
def _user(db: None) -> None:
    user = make_user("viewer", "secret")
    user.is_staff = True
    user.save()


@pytest.mark.usefixtures("_user", "two_services")
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("row", TABLE)
def test_answers_are_djangos(interface: str, row: str) -> None:
    steps, settings = TABLE[row]
    ours = send(interface, OURS, steps, **settings)
    assert ours == send(interface, DJANGOS, steps, **settings)


# In what company: a sync one makes all above it sync, an async one is async under WSGI too.

GetResponse = Callable[[HttpRequest], Any]


@sync_only_middleware
def sync_only(get_response: GetResponse) -> GetResponse:
    """Somebody else's middleware, as old ones are."""
    return lambda request: get_response(request)


@async_only_middleware
def async_only(get_response: GetResponse) -> GetResponse:
    """Somebody else's middleware, as new ones are."""

    async def call(request: HttpRequest) -> Any:
        return await get_response(request)

    return call


ALL_SORTS = [
    *(get("/plain/"), get("/write/"), get("/read/"), get("/add/"), get("/show/"), get("/nothing")),
    *(post("/form/"), post("/form/", csrf=""), get("/flush/"), get("/fail/"), get("/plain")),
]


@pytest.mark.django_db
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
@pytest.mark.parametrize("place", range(len(OURS) + 1))
@pytest.mark.parametrize("company", ["sync_only", "async_only"])
def test_any_company_is_welcome(interface: str, company: str, place: int) -> None:
    ours, djangos = (
        [*stack[:place], f"{__name__}.{company}", *stack[place:]] for stack in (OURS, DJANGOS)
    )
    assert send(interface, ours, ALL_SORTS) == send(interface, djangos, ALL_SORTS)


class QueryingSessions(middleware.SessionMiddleware):
    """A project's own: both hooks ask the database, which nobody may do on the event loop."""

    def process_request(self, request: HttpRequest) -> None:
        """Load the session at once."""
        super().process_request(request)
        request.session.get("number")

    def process_response(self, request: HttpRequest, response: Any) -> Any:
        """Say whether the session exists."""
        response["X-Exists"] = str(request.session.exists(str(request.session.session_key)))
        return super().process_response(request, response)


class LenientCsrf(middleware.CsrfViewMiddleware):
    """A project's own: lets some forms pass."""

    def process_view(self, request: HttpRequest, *args: Any) -> Any:
        """Ask Django about the others."""
        return None if "lenient" in request.GET else super().process_view(request, *args)


@pytest.mark.django_db
@pytest.mark.parametrize("interface", ["asgi", "wsgi"])
def test_subclasses_of_a_project_may_do_anything(interface: str) -> None:
    stack = [f"{__name__}.QueryingSessions", f"{__name__}.LenientCsrf"]
    tries = [get("/write/"), post("/form/?lenient", csrf=""), post("/form/", csrf="")]
    answers = send(interface, stack, tries)
    assert [status for status, *_ in answers] == [200, 200, 403]
    assert [headers["X-Exists"] for _, headers, *_ in answers] == ["False", "True", "True"]


class SessionStore(db.SessionStore):
    """A project's own store, which says how to save and knows nothing of `asave`."""

    saved = 0

    def save(self, must_create: bool = False) -> None:
        """Count."""
        type(self).saved += 1
        super().save(must_create)


@pytest.mark.django_db
def test_a_session_is_saved_the_way_its_store_saves() -> None:
    send("asgi", OURS, [get("/write/")], SESSION_ENGINE=__name__)
    assert SessionStore.saved > 0


# How many threads.


@async_only_middleware
def nobody(get_response: GetResponse) -> GetResponse:
    """Just enough for the homepage, at no cost."""

    async def auser() -> AnonymousUser:
        return AnonymousUser()

    async def call(request: HttpRequest) -> Any:
        request.auser = auser
        return await get_response(request)

    return call


@pytest.fixture
def hops(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What went to a thread since the test began."""
    hops: list[str] = []
    call = SyncToAsync.__call__

    async def count(self: Any, *args: Any, **options: Any) -> Any:
        hops.append(getattr(self.func, "__qualname__", type(self.func).__name__))
        return await call(self, *args, **options)

    monkeypatch.setattr(SyncToAsync, "__call__", count)
    return hops


def count_hops(hops: list[str], stack: list[str], step: Step, user: Any = None) -> Counter[str]:
    """The functions that go to a thread for a request, once everything is loaded."""
    with override_settings(**SETTINGS, MIDDLEWARE=stack):
        client = AsyncClient()
        if user:
            client.force_login(user)
        answer(client, *step)
        hops.clear()
        answer(client, *step)
        return Counter(hops)


@pytest.mark.usefixtures("two_services")
@pytest.mark.parametrize("path", ["/plain/", "/compare/gather/", "/nothing/"])
def test_an_anonymous_page_takes_no_thread(hops: list[str], path: str) -> None:
    without = count_hops(hops, [f"{__name__}.nobody"], get(path))
    assert count_hops(hops, base.MIDDLEWARE, get(path)) == without
    assert count_hops(hops, DJANGOS, get(path)).total() > without.total() + 10


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("step", "waits_for"),
    [
        (get("/plain/"), []),
        (get("/viewer/"), ["QuerySet.get", "QuerySet.get"]),  # the session, the user
        (get("/write/"), ["QuerySet.get", "SessionMiddleware.process_response"]),
        (get("/add/"), ["MessageMiddleware.process_response", "add"]),
        (post("/plain/"), ["CsrfViewMiddleware.process_view"]),
        (post("/exempt/"), []),
    ],
)
def test_a_viewers_page_takes_a_thread_for_what_it_waits_for(
    hops: list[str], step: Step, waits_for: list[str]
) -> None:
    without = count_hops(hops, [], get("/plain/"))
    taken = count_hops(hops, OURS, step, make_user("viewer"))
    assert taken - without == Counter(waits_for)


# What goes with it.


def test_the_checks_of_a_deployment_say_what_they_say_of_djangos() -> None:
    def check(stack: list[str]) -> list[str]:
        with override_settings(
            MIDDLEWARE=stack,
            SECURE_HSTS_SECONDS=0,
            SESSION_COOKIE_SECURE=True,
            SILENCED_SYSTEM_CHECKS=base.SILENCED_SYSTEM_CHECKS,
        ):
            messages = run_checks(include_deployment_checks=True)
        return sorted(str(m.id) for m in messages if not m.is_silenced())

    assert check(OURS) == check(DJANGOS)
    assert "security.W004" in check(OURS)


@pytest.mark.django_db
@pytest.mark.usefixtures("two_services")
@pytest.mark.parametrize("path", [PAGE, "/accounts/login/", "/admin/login/", "/livez"])
def test_nothing_inline_is_allowed_or_needed(path: str) -> None:
    [(_, headers, _, html)] = send(
        *("asgi", OURS, [get(path)]),
        SECURE_CSP=base.SECURE_CSP,
        CONTENT_SECURITY_POLICY=base.CONTENT_SECURITY_POLICY,
    )
    policy = headers["Content-Security-Policy"].split("; ")  # in any order, says django-csp
    assert sorted(policy) == sorted(f"{k} {' '.join(v)}" for k, v in base.SECURE_CSP.items())
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert not re.search(r"<style|<script(?![^>]* src=)|<[^>]* (?:style|on\w+)=", html)
