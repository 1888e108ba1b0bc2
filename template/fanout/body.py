"""The body of a response, as much of it as is wanted: never more in memory than its limit."""

import zlib

from fanout.answer import BadAnswer


class Body:
    """Grows piece by piece and is unpacked on the way; every method raises BadAnswer."""

    def __init__(self, coding: str, max_bytes: int) -> None:
        """Expect a body in the content coding `coding` of at most `max_bytes`, unpacked."""
        if coding not in ("", "identity", "gzip", "x-gzip"):
            raise BadAnswer(f"answered with the content coding {coding[:20]!r}")
        self._gzip = zlib.decompressobj(wbits=31) if coding.endswith("gzip") else None
        self._max_bytes = max_bytes
        self._bytes = bytearray()

    def add(self, chunk: bytes) -> None:
        """Take the next piece."""
        if self._gzip:
            try:
                room = self._max_bytes + 1 - len(self._bytes)
                chunk = self._gzip.decompress(chunk, room)
            except zlib.error as error:
                raise BadAnswer(f"answered with broken gzip: {error}") from None
            if self._gzip.unused_data:
                raise BadAnswer("answered with broken gzip: it goes on after its end")
        self._bytes += chunk
        if len(self._bytes) > self._max_bytes:
            raise BadAnswer(f"answered with more than {self._max_bytes} bytes")

    def finish(self) -> bytes:
        """All of it, unpacked."""
        if self._gzip and not self._gzip.eof:
            raise BadAnswer("answered with broken gzip: it ends too early")
        return bytes(self._bytes)
