"""What is sent: the request that a class makes, checked, and a digest that tells it from all others."""

import re
from collections.abc import Hashable, Sequence
from dataclasses import replace
from functools import lru_cache
from hashlib import sha256
from typing import Any

import httpx

from fanout.calls.auth import ClientCredentials, Flow
from fanout.calls.headers import IDS
from fanout.calls.mistake import BadAnswer, Mistake, call, name
from fanout.calls.service import Service, make_url
from fanout.calls.transport.message import ALWAYS, Header, Incoming, Message
from fanout.calls.visit import Visit
from fanout.policies.breaker import Unwell

# What these add does not depend on who visits; with a class that is made of one, it may.
EVERYBODYS = (type(None), httpx.BasicAuth, httpx.DigestAuth, ClientCredentials)
MAX_SENT = 10  # requests of one try
_NAME = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_VALUE = re.compile(rb"([!-~]([\t -~]*[!-~])?)?")


class Talk:
    """One try of a call: its request, and those that `auth` wants to be sent before it or again."""

    errand: Hashable = None  # equal for messages, such as for a token, that may be one
    _flow: Flow | None = None
    _sent, _answered = 0, False

    def __init__(self, service: Service, message: Message, more: list[Header]) -> None:
        """Find the `message` to be sent first; all have `more` headers. Raises BadAnswer."""
        self._service, self.message, self.more = service, message, more
        self._shared = bool(message.digest)
        if service.authenticate:
            more = [*ALWAYS, *more] if more else []  # for a digest, what the class says alone
            self._main = self._request = message.make_request(more)
            self.go_on(None)

    def hears(self, incoming: Incoming) -> bool:
        """Let `auth` see status and headers of an answer to come. The same."""
        if not self._service.authenticate:
            return False
        stream = httpx.ByteStream(b"")
        return self.go_on(httpx.Response(incoming.status, headers=incoming.headers, stream=stream))

    def go_on(self, response: httpx.Response | None) -> bool:
        """Let `auth` see a response. Whether it wants another `message` to be sent. Raises BadAnswer."""
        auth: Any = self._service.authenticate
        who = name(self._service, "auth")
        if response is not None:
            self._answered = self._answered or not self.errand
            response.request = self._request  # without it, httpx has neither cookies nor errors
        try:
            self._flow = self._flow or auth.auth_flow(self._main)
            request = self._flow.send(response)  # type: ignore[arg-type]
        except StopIteration:
            if response is None or self.errand:
                raise Mistake(f"{who} ends without the request itself") from None
            if response.is_closed or response.is_stream_consumed:  # others may have its connection
                raise Mistake(f"{who} reads or closes an answer that is not its own") from None
            return False
        except Unwell:
            raise
        except Exception as error:
            raise Mistake.of(who, error) from None
        self.errand, self._sent = None, self._sent + 1
        if self._sent > MAX_SENT:
            raise Mistake(f"{who} asks for more than {MAX_SENT} requests")
        if request is not self._main:
            self.message = check(request, who)
            self.errand = (self._service.name, "auth", self.message.digest)
            self._request = request
            return True
        if self._answered and self._shared and type(auth) not in EVERYBODYS:
            self._service.alone = True  # what it says only now may be who visits
            raise BadAnswer("is called for each visitor alone from now on: auth tries again")
        self.message, self._request = check(request, who), request
        return True


def prepare(service: Service, visit: Visit) -> Message | None:
    """What `service` is sent in `visit`; None if there is nothing to ask.

    Raises InvalidURL, or BadAnswer.
    """
    for needed in service.after:
        section = visit.sections.get(needed)
        if section is None or section.state == "failed":
            raise BadAnswer(f"needs {needed}")
    if type(service).request is Service.request:
        prepared = _prepare_plain(service, service.identify(visit))
    else:
        request = call(service, "request", visit)
        if request is None:
            return None
        prepared = check(request, who := name(service, "request"))
        # What it proves is for its own host alone.
        if len({(url.scheme, url.host, url.port) for url in (prepared.url, service.url)}) > 1:
            raise Mistake(f"{who} gives a request to another host than {service.name.upper()}_URL")
    if type(service.authenticate) in EVERYBODYS:
        return prepared
    talk = Talk(service, prepared, [])
    both = (talk.message, prepared)
    digest, nothing = (_digest(m.method, m.url, m.headers, m.body) for m in both)
    # One that says nothing at first, or asks something else, may say later who visits.
    alone = service.alone or talk.errand or digest == nothing
    return replace(prepared, digest="" if alone else digest)


def check(request: object, who: str) -> Message:
    """A request that `who` made, in order to be sent. Raises Mistake."""
    if not isinstance(request, httpx.Request):
        raise Mistake(f"{who} gives {type(request).__name__}, which is no httpx.Request")
    try:
        url = make_url(request.url)
    except httpx.InvalidURL:
        raise Mistake(f"{who} gives a request to no http(s) address") from None
    if not isinstance(request.stream, httpx.SyncByteStream):
        raise Mistake(f"{who} gives a request whose body only async code can read")
    try:
        request.url = url
        request.read()
        body = b"".join(request.stream)  # `auth` may have set another one since it was read
    except Exception as error:
        raise Mistake.of(who, error) from None
    for header, value in request.headers.raw:  # its value may be secret
        if not _NAME.fullmatch(header) or not _VALUE.fullmatch(value):
            raise Mistake(f"{who} gives a header {header!r:.60} that cannot be sent")
    if request.headers.pop("Transfer-Encoding", ""):
        request.headers["Content-Length"] = str(len(body))
    if body or request.method in ("POST", "PUT", "PATCH"):
        request.headers.setdefault("Content-Length", str(len(body)))
    request.headers.setdefault("Host", url.netloc.decode("ascii"))
    if url.userinfo and "Authorization" not in request.headers:
        next(httpx.BasicAuth(url.username, url.password).auth_flow(request))
    own = tuple(request.headers.raw)
    return Message(request.method, url, own, body, _digest(request.method, url, own, body))


@lru_cache(1000)
def _prepare_plain(service: Service, user: str) -> Message:
    return check(httpx.Request("GET", service.locate(user)), service.name)


def _digest(method: str, url: httpx.URL, headers: Sequence[Header], body: bytes) -> str:
    """What is the same for equal requests alone; the ids of visits make no difference."""
    own = [header for header in headers if header[0].lower() not in IDS]
    return sha256(repr((method, str(url), own)).encode() + body).hexdigest()
