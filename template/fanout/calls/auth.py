"""What a service wants to see before it answers: secrets of the environment, and tokens."""

import json
import re
import time
from collections.abc import Generator
from html import escape
from typing import Any, overload
from urllib.parse import quote, quote_plus

import httpx
from environs import env

from fanout.calls.mistake import BadAnswer, Unset
from fanout.policies.breaker import Unwell

RENEW_AFTER = 0.9  # of a token's time, and 5 s after it was made if it is refused before
TOKEN_SECONDS = 300.0  # that one is used which does not say how long
Flow = Generator[httpx.Request, httpx.Response, None]


class Secret:
    """A variable of the environment that nobody may see: `key = Secret("REVIEWS_KEY")` in a class.

    On a service it is text; where the fake answers, one that is not set is `fake`.
    """

    def __init__(self, variable: str) -> None:
        self.variable = variable

    def __set_name__(self, cls: type, name: str) -> None:
        self._name = name

    @property
    def value(self) -> str:
        """What it is in the environment or in `.env`, or nothing."""
        return env.str(self.variable, default="")

    @overload
    def __get__(self, service: None, cls: type) -> "Secret": ...

    @overload
    def __get__(self, service: Any, cls: type) -> str: ...

    def __get__(self, service: Any, cls: type) -> "Secret | str":
        if service is None:
            return self
        if not self.value and not service.faked:
            raise Unset(f"{self.variable} is not set")
        service.__dict__[self._name] = value = self.value or "fake"
        return value


def get_secrets(cls: type) -> list[Secret]:
    """Those that a class declares."""
    attributes = (getattr(cls, name) for name in dir(cls))
    return [attribute for attribute in attributes if isinstance(attribute, Secret)]


def spell(value: str) -> set[bytes]:
    """A secret as it may stand in text, an address, JSON, HTML and `repr`; none for an empty one."""
    bits = value.encode(errors="surrogateescape")
    quoted = {quote(bits, safe=""), quote(bits), quote_plus(bits)}
    quoted |= {re.sub("%..", lambda found: found[0].lower(), text) for text in quoted}
    texts = {json.dumps(value)[1:-1], json.dumps(value, ensure_ascii=False)[1:-1]}
    texts |= {text.replace("/", r"\/") for text in texts}  # as PHP has it
    forms = {value, repr(value)[1:-1], escape(value), *quoted, *texts}
    return {form.encode(errors="surrogateescape") for form in forms if form}


class ClientCredentials(httpx.Auth):
    """OAuth2 for programs: one token for all calls, kept in memory until it ends.

    https://www.rfc-editor.org/rfc/rfc6749#section-4.4
    """

    requires_response_body = True  # for httpx's own clients: the engine reads what a token is in

    def __init__(
        self, token_url: httpx.URL | str, client_id: str, client_secret: str, scope: str = ""
    ) -> None:
        self._data = {"grant_type": "client_credentials"} | ({"scope": scope} if scope else {})
        self._login = httpx.BasicAuth(quote_plus(client_id), quote_plus(client_secret))
        self._url = token_url
        self._token = ""
        self._made = self._until = float("-inf")  # in seconds, as in `time.monotonic()`

    def auth_flow(self, request: httpx.Request) -> Flow:
        """Ask for a token if there is none; and for another one if it is refused."""
        if time.monotonic() >= self._until:
            yield from self._renew()
        token = self._token
        request.headers["Authorization"] = f"Bearer {token}"
        response = yield request
        if response.status_code == 401:
            if token == self._token and time.monotonic() > self._made + 5:
                yield from self._renew()
            if token != self._token:  # here, or by another call meanwhile
                request.headers["Authorization"] = f"Bearer {self._token}"
                yield request

    def _renew(self) -> Flow:
        request = httpx.Request("POST", self._url, data=self._data)
        response = yield next(self._login.auth_flow(request))
        if not response.is_success:
            error = Unwell if response.status_code >= 500 else BadAnswer
            raise error(f"gets no token: {request.url.host} says {response.status_code}")
        said = response.json()
        self._token, self._made = said["access_token"], time.monotonic()
        seconds = TOKEN_SECONDS if said.get("expires_in") is None else float(said["expires_in"])
        self._until = self._made + RENEW_AFTER * seconds
