"""A limit on the total time of a blocking HTTP call.

httpx bounds every single wait on a socket, so a service that sends a byte now and then is never
too slow for it. This bounds the sum of the waits. What it cannot bound is a slow DNS server, and a
host with several dead addresses, each of which is tried for as long.
"""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

import httpcore
import httpx

_end: ContextVar[float] = ContextVar("_end")


@contextmanager
def time_limit(seconds: float) -> Iterator[None]:
    """Let all calls in the block, made through a limited transport, take `seconds` in all."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


def limit_time(transport: httpx.HTTPTransport) -> httpx.HTTPTransport:
    """Make the sockets of `transport` obey `time_limit`; httpx has no parameter for that."""
    transport._pool._network_backend = _Backend()
    return transport


class _Backend(httpcore.SyncBackend):
    def connect_tcp(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        options["timeout"] = _left(httpcore.ConnectTimeout)
        return _Stream(super().connect_tcp(*args, **options))


class _Stream(httpcore.NetworkStream):
    def __init__(self, stream: httpcore.NetworkStream) -> None:
        self._stream = stream

    def close(self) -> None:
        self._stream.close()

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._stream.read(max_bytes, _left(httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._stream.write(buffer, _left(httpcore.WriteTimeout))

    def start_tls(self, *args: Any, **options: Any) -> httpcore.NetworkStream:
        options["timeout"] = _left(httpcore.ConnectTimeout)
        return _Stream(self._stream.start_tls(*args, **options))


def _left(exceeded: type[httpcore.TimeoutException]) -> float:
    left = _end.get() - time.monotonic()
    if left <= 0:
        raise exceeded("the call's time is over")
    return left
