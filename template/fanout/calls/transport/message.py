"""What goes to a service and what comes from it, whatever the transport."""

import re
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Protocol

import httpx

Header = tuple[bytes, bytes]
Origin = tuple[str, str, int]  # scheme, host, port: where connections lead to
ALWAYS = [(b"Accept", b"application/json"), (b"Accept-Encoding", b"identity")]
ALWAYS += [(b"User-Agent", b"fanout")]  # what a class leaves out is in every request
_LINE = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+ [!-~]+ HTTP/1\.1")


@dataclass(frozen=True)
class Message:
    """A request, whole and in order, but for what the engine adds."""

    method: str
    url: httpx.URL
    headers: Sequence[Header]  # the class's own
    body: bytes
    digest: str = ""  # of all that; empty if it cannot be known, so that it is like no other

    def make_request(self, more: Iterable[Header]) -> httpx.Request:
        """The request for httpx, with `more` headers where the class has not set them."""
        stream = httpx.ByteStream(self.body)  # with one, httpx adds no headers of its own
        headers = [*self.headers, *self._add(more)]
        request = httpx.Request(self.method, self.url, headers=headers, stream=stream)
        request.read()
        return request

    def encode(self, more: Iterable[Header]) -> bytes:
        """The same as it is sent. Raises httpx.LocalProtocolError if it cannot be."""
        return b"\r\n".join([self._start, *map(b": ".join, self._add(more)), b"", self.body])

    @cached_property
    def origin(self) -> Origin:
        """Where it goes to."""
        scheme, port = self.url.scheme, self.url.port
        usual = {"http": 80, "https": 443}[scheme]
        return scheme, self.url.raw_host.decode("ascii"), usual if port is None else port

    @cached_property
    def _names(self) -> frozenset[bytes]:
        return frozenset(name.lower() for name, _ in self.headers)

    @cached_property
    def _start(self) -> bytes:
        line = b"%b %b HTTP/1.1" % (self.method.encode(), self.url.raw_path)
        lengths = {value for name, value in self.headers if name.lower() == b"content-length"}
        if not _LINE.fullmatch(line) or lengths - {b"%d" % len(self.body)}:
            raise httpx.LocalProtocolError("its method, path or Content-Length is not right")
        return b"\r\n".join([line, *map(b": ".join, [*self.headers, *self._add(ALWAYS)])])

    def _add(self, more: Iterable[Header]) -> list[Header]:
        return [header for header in more if header[0].lower() not in self._names]


class WentAway(httpx.RemoteProtocolError):
    """A connection that was used before ended without an answer: the service may not have seen it."""


class Incoming(Protocol):
    """An answer while it comes: its body can be iterated over, once. Raises httpx.TransportError."""

    status: int
    version: str  # such as HTTP/1.1
    headers: list[Header]  # with names in lower case

    def __aiter__(self) -> AsyncIterator[bytes]: ...

    async def aclose(self) -> None:
        """Give the connection back, or close it."""


def get_header(incoming: Incoming, name: bytes) -> str:
    """The values of a header by its name in lower case; nothing if there is none."""
    return b", ".join([value for n, value in incoming.headers if n == name]).decode("latin-1")
