"""Every way in which an upstream can misbehave, byte by byte, and what its section has to be."""

import gzip
import json
import re
import socket
import struct
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

Talk = Callable[["Connection"], None]

GOOD = {"title": "Good", "items": [{"title": "One"}]}
HTML = "</h2></li><script>alert(1)</script><img src=x onerror=alert(1)>\"'&`{{7*7}}{%x%}"
FIELDS = ("title", "text", "url", "image", "author", "price", "badge")
HOSTILE = {
    "title": HTML,
    "items": [
        dict.fromkeys(FIELDS, HTML),
        {"title": HTML, "url": "javascript:alert(1)", "image": "javascript:alert(1)"},
        {"title": HTML, "url": "\" onclick='alert(1)", "image": 'x" onerror="alert(1)'},
        {"title": HTML, "badge": [HTML], "price": {HTML: HTML}, "author": 1.5},
    ],
    HTML: HTML,
}


class Connection:
    """One connection of the site, and the words to misbehave with."""

    def __init__(self, sock: socket.socket, over: Event) -> None:
        """Talk on `sock` until the test is `over`."""
        self._sock = sock
        self._over = over

    def read(self) -> bytes:
        """The site's request, with its body: to close before that is read would be a reset."""
        request, length = b"", 1
        while len(request) < length:
            if not (chunk := self._sock.recv(65536)):
                break
            request += chunk
            head, end, _ = request.partition(b"\r\n\r\n")
            body = re.search(rb"(?i)\ncontent-length: *(\d+)", head)
            length = len(head + end) + int(body[1] if body else 0) if end else len(request) + 1
        return request

    def send(self, data: bytes) -> None:
        """Send some bytes."""
        self._sock.sendall(data)

    def hang(self) -> None:
        """Say nothing more, until the site goes away."""
        while not self._over.is_set() and self._sock.recv(65536):
            pass

    def trickle(self, data: bytes) -> None:
        """Send a byte at a time, every 20 ms."""
        for byte in data:
            if self._over.wait(0.02):
                return
            self.send(bytes([byte]))

    def repeat(self, data: bytes, times: int = 1 << 62) -> None:
        """Send the same again and again."""
        for _ in range(times):
            if self._over.is_set():
                return
            self.send(data)

    def reset(self) -> None:
        """Close with a reset instead of an end."""
        self._sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


@contextmanager
def run_upstream(talk: Talk) -> Iterator[int]:
    """Talk like that on every connection to a free port, which is the value."""
    over = Event()
    threads: list[Thread] = []

    def answer(sock: socket.socket) -> None:
        with sock, suppress(OSError):
            sock.settimeout(60)
            talk(Connection(sock, over))

    def accept(listener: socket.socket) -> None:
        with suppress(OSError):
            while True:
                sock, _ = listener.accept()
                thread = Thread(target=answer, args=(sock,), daemon=True)
                thread.start()
                threads.append(thread)

    with socket.create_server(("127.0.0.1", 0)) as listener:
        Thread(target=accept, args=(listener,), daemon=True).start()
        yield listener.getsockname()[1]
        over.set()
        with suppress(OSError):
            listener.shutdown(socket.SHUT_RDWR)


def respond(
    body: object = GOOD, status: str = "200 OK", headers: str = "", close: bool = False
) -> Talk:
    """A whole response; `close` leaves its length to the end of the connection."""
    data = body if isinstance(body, bytes) else json.dumps(body).encode()
    length = "" if close else f"Content-Length: {len(data)}\r\n"
    head = f"HTTP/1.1 {status}\r\n{length}{headers}\r\n".encode("latin-1")

    def talk(connection: Connection) -> None:
        connection.read()
        connection.send(head + data)

    return talk


def say(*parts: bytes, then: str = "") -> Talk:
    """These bytes, and then the end, or `hang`, `reset`, `trickle` or `repeat` of the last."""

    def talk(connection: Connection) -> None:
        connection.read()
        if then in ("trickle", "repeat"):
            connection.send(b"".join(parts[:-1]))
            getattr(connection, then)(parts[-1])
        else:
            connection.send(b"".join(parts))
            if then:
                getattr(connection, then)()

    return talk


def packed(data: bytes, coding: str = "gzip") -> Talk:
    """A body in a content coding."""
    return respond(data, headers=f"Content-Encoding: {coding}\r\n")


BODY = json.dumps(GOOD).encode()
HEAD = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(BODY)
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
SPACES = b" " * 1024 * 1024
TREE = b'{"items": [], "x": [%s]}' % b",".join([b'{"":0}'] * 140_000)

# Sockets

SOCKETS: dict[str, tuple[Talk, str]] = {
    "reset before the request is read": (lambda connection: connection.reset(), "failed"),
    "closed before the request is read": (lambda connection: None, "failed"),
    "reset instead of an answer": (say(then="reset"), "failed"),
    "closed instead of an answer": (say(), "failed"),
    "closed in the status line": (say(b"HTTP/1.1 20"), "failed"),
    "closed in the headers": (say(b"HTTP/1.1 200 OK\r\nContent-"), "failed"),
    "closed after the headers": (say(HEAD), "failed"),
    "closed in the body": (say(HEAD, BODY[:9]), "failed"),
    "reset in the body": (say(HEAD, BODY[:9], then="reset"), "failed"),
    "closed in a chunk": (say(CHUNKED, b"40\r\n{"), "failed"),
    "closed without the last chunk": (say(CHUNKED, b"%x\r\n" % len(BODY), BODY, b"\r\n"), "failed"),
    "hang before the request is read": (lambda connection: connection.hang(), "failed"),
    "hang before the headers": (say(then="hang"), "failed"),
    "hang in the headers": (say(b"HTTP/1.1 200 OK\r\nContent-", then="hang"), "failed"),
    "hang after the headers": (say(HEAD, then="hang"), "failed"),
    "hang in the body": (say(HEAD, BODY[:9], then="hang"), "failed"),
    "hang before the last chunk": (
        say(CHUNKED, b"%x\r\n" % len(BODY), BODY, b"\r\n", then="hang"),
        "failed",
    ),
    "hang after the answer": (say(HEAD, BODY, then="hang"), "ok"),
    "trickled headers": (say(HEAD, then="trickle"), "failed"),
    "trickled body": (say(HEAD, BODY, then="trickle"), "failed"),
    "interim answers for ever": (say(b"HTTP/1.1 100 Continue\r\n\r\n", then="repeat"), "failed"),
    "headers for ever": (say(b"HTTP/1.1 200 OK\r\n", b"A: b\r\n", then="repeat"), "failed"),
    "a body for ever": (say(b"HTTP/1.1 200 OK\r\n\r\n", SPACES, then="repeat"), "failed"),
}

# HTTP

PROTOCOL: dict[str, tuple[Talk, str]] = {
    "no HTTP": (say(b"SSH-2.0-OpenSSH_9.6\r\n"), "failed"),
    "HTTP/0.9": (say(BODY), "failed"),
    "HTTP/1.0": (say(b"HTTP/1.0 200 OK\r\n\r\n", BODY), "ok"),
    "HTTP/3.0": (say(b"HTTP/3.0 200 OK\r\n\r\n", BODY), "failed"),
    "a length that is too short": (say(HEAD.replace(b"Length: ", b"Length: 0"), BODY), "ok"),
    "a length that cuts": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n", BODY),
        "failed",
    ),
    "a length that is too long": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 999\r\n\r\n", BODY),
        "failed",
    ),
    "a length that is no number": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n", BODY),
        "failed",
    ),
    "a negative length": (say(b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n", BODY), "failed"),
    "two lengths": (
        say(b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\nContent-Length: 10\r\n\r\n", BODY),
        "failed",
    ),
    "no length": (respond(close=True), "ok"),
    "a chunk size that is no number": (say(CHUNKED, b"zz\r\n", BODY), "failed"),
    "a second answer behind the first": (say(HEAD, BODY, HEAD, BODY), "ok"),
    "a header of 1 MiB": (respond(headers=f"A: {'b' * 1024 * 1024}\r\n"), "failed"),
    "200,000 headers": (respond(headers="A: b\r\n" * 200_000), "failed"),
    "a header with a NUL": (respond(headers="A: b\x00c\r\n"), "failed"),
    "a header without a colon": (respond(headers="nonsense\r\n"), "failed"),
    "cookies": (respond(headers="Set-Cookie: a=b; Domain=127.0.0.1\r\n" * 90), "ok"),
    "101 headers": (respond(headers="X-More: 1\r\n" * 100), "failed"),
    "bytes beyond ASCII in a header": (respond(headers="X-Name: \xe9\xff\r\n"), "ok"),
    "the wrong content type": (respond(headers="Content-Type: text/html\r\n"), "ok"),
}

# Statuses

STATUSES: dict[str, tuple[Talk, str]] = {
    "status 100, then 200": (say(b"HTTP/1.1 100 Continue\r\n\r\n", HEAD, BODY), "ok"),
    "status 103, then 200": (
        say(b"HTTP/1.1 103 Early Hints\r\nLink: </a>\r\n\r\n", HEAD, BODY),
        "ok",
    ),
    "status 101": (
        say(b"HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n"),
        "failed",
    ),
    "status 204": (say(b"HTTP/1.1 204 No Content\r\n\r\n"), "ok"),
    "status 999": (respond(status="999 Odd"), "failed"),
    "status 42": (respond(status="42 Odd"), "failed"),
    **{f"status {code}": (respond(status=f"{code} OK"), "ok") for code in (200, 201, 203, 206)},
    **{
        f"status {code}": (respond(status=f"{code} No"), "failed")
        for code in (300, 304, 400, 401, 403, 404, 407, 408, 410, 418, 429, 451)
    },
    **{
        f"status {code}": (respond(status=f"{code} No"), "failed")
        for code in (500, 501, 502, 503, 504, 511, 599)
    },
    **{
        f"redirect {code} to itself": (
            respond(status=f"{code} No", headers="Location: /\r\n"),
            "failed",
        )
        for code in (301, 302, 303, 307, 308)
    },
    "redirect to a file": (
        respond(status="302 No", headers="Location: file:///etc/passwd\r\n"),
        "failed",
    ),
}

# Bodies

BODIES: dict[str, tuple[Talk, str]] = {
    "an empty body": (respond(b""), "failed"),
    "HTML": (respond(b"<!doctype html><script>alert(1)</script>"), "failed"),
    "a JSON list": (respond([GOOD]), "failed"),
    "null": (respond(None), "failed"),
    "a number": (respond(7), "failed"),
    "a string": (respond(HTML), "failed"),
    "NaN": (respond(b'{"items": [], "price": NaN}'), "failed"),
    "Infinity": (respond(b'{"items": [], "price": -Infinity}'), "failed"),
    "a number that overflows": (respond(b'{"items": [], "price": 1e999}'), "failed"),
    "an integer of 100,000 digits": (
        respond(b'{"items": [], "price": %s}' % (b"9" * 100_000)),
        "failed",
    ),
    "lists nested 100,000 deep": (respond(b"[" * 100_000), "failed"),
    "objects nested 100,000 deep": (
        respond(b'{"a":' * 100_000 + b"1" + b"}" * 100_000),
        "failed",
    ),
    "a cut string": (respond(BODY[:-5]), "failed"),
    "two objects": (respond(BODY + BODY), "failed"),
    "duplicate keys": (respond(b'{"title": "a", "title": "b", "items": []}'), "ok"),
    "no keys": (respond({}), "failed"),
    "an error with status 200": (respond({"error": "quota exceeded"}), "failed"),
    "wrong types": (respond({"title": ["a"], "items": "b"}), "failed"),
    "items that are no objects": (respond({"items": [1, None, []]}), "failed"),
    "1,000 items": (respond({"items": [{"title": str(n)} for n in range(1000)]}), "ok"),
    "a title of 900,000 letters": (respond({"title": "a" * 900_000, "items": []}), "ok"),
    "every HTML special in every field": (respond(HOSTILE), "ok"),
    "control characters": (respond({"title": "\x00\x1b[2J\u202e\ufffe", "items": []}), "ok"),
    "half a surrogate pair": (respond(b'{"title": "\\ud800", "items": []}'), "failed"),
    "latin-1": (respond('{"title": "é", "items": []}'.encode("latin-1")), "failed"),
    "UTF-16": (respond('{"title": "é", "items": []}'.encode("utf-16")), "failed"),
    "a byte order mark": (respond(b"\xef\xbb\xbf" + BODY), "ok"),
    "50 MiB": (say(b"HTTP/1.1 200 OK\r\nContent-Length: 52428800\r\n\r\n", SPACES * 50), "failed"),
    "1 MiB in chunks of a byte": (say(CHUNKED, b"1\r\n \r\n" * 1024 * 1024), "failed"),
    "a large tree in a small gzip": (packed(gzip.compress(TREE)), "failed"),
    "gzip": (packed(gzip.compress(BODY)), "ok"),
    "gzip of nothing, for ever": (
        packed(gzip.compress(b"")[:10] + b"\x00\x00\x00\xff\xff" * 1024 * 1024),
        "failed",
    ),
    "a gzip bomb": (packed(gzip.compress(SPACES * 50 + BODY)), "failed"),
    "gzip in gzip": (packed(gzip.compress(gzip.compress(BODY)), "gzip, gzip"), "failed"),
    "half of a gzip": (packed(gzip.compress(BODY)[:-9]), "failed"),
    "no gzip": (packed(BODY), "failed"),
    "brotli": (packed(BODY, "br"), "failed"),
}

BEHAVIOURS = SOCKETS | PROTOCOL | STATUSES | BODIES
