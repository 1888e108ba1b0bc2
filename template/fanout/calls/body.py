"""What comes from a service: a status, and hostile bytes, never more of them than the limit."""

import zlib
from collections.abc import Iterable, Iterator

from fanout.calls.headers import read_retry_after
from fanout.calls.mistake import BadAnswer
from fanout.calls.transport.message import Header, Incoming, get_header
from fanout.policies.breaker import Unwell

STEP = 64 * 1024  # bytes that are read before others have a turn
MAX_CHUNKS = 10_000  # and one more for each KiB of the limit; each takes some 10 us
MAX_HEADERS = 100
PACKING = 1024  # bytes that gzip may add to what it cannot make smaller
_NOT_KEPT = {
    *(b"content-encoding", b"content-length", b"transfer-encoding", b"connection", b"keep-alive"),
    *(b"age", b"date", b"server-timing", b"traceparent", b"x-request-id"),
}
_NOR_COOKIES = {*_NOT_KEPT, b"set-cookie"}


class BadStatus(Unwell):
    """A status that shows a service, or the gateway before it, not to be well."""

    def __init__(self, status: int, pause: float = 0.0) -> None:
        super().__init__(f"answered with status {status}", pause)
        self.status = status
        self.passing = status in (502, 503, 504) and not pause


def check_status(incoming: Incoming, empty: tuple[int, ...]) -> None:
    """Raise BadStatus or BadAnswer for what is neither a success nor `empty`."""
    status, pause = incoming.status, 0.0
    if 200 <= status < 300 or status in empty:
        return
    if status in (429, 503):
        pause = read_retry_after(get_header(incoming, b"retry-after"))
    if status >= 500 or status == 429:
        raise BadStatus(status, pause)
    raise BadAnswer(f"answered with status {status}")


def keep_headers(headers: Iterable[Header], *, cookies: bool = False) -> tuple[Header, ...]:
    """Those that are true of the whole, unpacked body, whenever that came."""
    dropped = _NOT_KEPT if cookies else _NOR_COOKIES
    return tuple([header for header in headers if header[0] not in dropped])


class Body:
    """A body, unpacked piece by piece; every method raises BadAnswer."""

    def __init__(self, incoming: Incoming, max_bytes: int) -> None:
        """Expect a body of at most `max_bytes`, packed and unpacked."""
        if len(incoming.headers) > MAX_HEADERS:
            raise BadAnswer(f"answered with more than {MAX_HEADERS} headers")
        if incoming.version not in ("HTTP/1.1", "HTTP/1.0"):
            raise BadAnswer(f"answered with {incoming.version}")
        coding = get_header(incoming, b"content-encoding").lower()
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise BadAnswer(f"answered with the content coding {coding[:20]!r}")
        self._gzip = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._size = self._packed = self._chunks = self._work = 0

    def add(self, chunk: bytes) -> Iterator[None]:
        """Take the next chunk, step by step: after each step, others may have a turn.

        A step is STEP bytes or 64 chunks at most.
        """
        self._packed += len(chunk)
        self._chunks += 1
        self._work += STEP // 64
        if self._chunks > MAX_CHUNKS + self._max_bytes // 1024:
            raise BadAnswer(f"answered in more than {self._chunks - 1} chunks")
        while chunk:
            piece, rest = self._unpack(chunk)
            self._pieces.append(piece)
            self._size += len(piece)
            if max(self._size, self._packed - PACKING) > self._max_bytes:
                raise BadAnswer(f"answered with more than {self._max_bytes} bytes")
            self._work += max(len(piece), len(chunk) - len(rest))
            chunk = rest
            if self._work >= STEP:
                self._work = 0
                yield

    def finish(self) -> bytes:
        """All of it, unpacked."""
        if self._gzip and self._packed and not self._gzip.eof:
            raise BadAnswer("answered with broken gzip: it ends too early")
        return b"".join(self._pieces)

    def _unpack(self, chunk: bytes) -> tuple[bytes, bytes]:
        """The next STEP bytes of the body at most, and what is left of `chunk`."""
        chunk, rest = chunk[:STEP], chunk[STEP:]
        if not self._gzip:
            return chunk, rest
        try:
            piece = self._gzip.decompress(chunk, min(STEP, self._max_bytes + 1 - self._size))
        except zlib.error as error:
            raise BadAnswer(f"answered with broken gzip: {error}") from None
        if self._gzip.unused_data:
            raise BadAnswer("answered with broken gzip: it goes on after its end")
        return piece, self._gzip.unconsumed_tail + rest
