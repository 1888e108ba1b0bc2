"""A limit on the total time of a blocking HTTP call.

httpx bounds every single wait on a socket, so a service that sends a byte now and then is never
too slow for it. This bounds the sum of the waits. What it cannot bound is a slow DNS server, and a
host with several dead addresses, each of which is tried for as long.
"""

import ssl
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
    """Let all calls in the block, made through a TimeLimitedTransport, take `seconds` in all."""
    token = _end.set(time.monotonic() + seconds)
    try:
        yield
    finally:
        _end.reset(token)


class TimeLimitedTransport(httpx.HTTPTransport):
    """httpx's own transport, whose sockets know `time_limit`."""

    def __init__(self, *, verify: ssl.SSLContext, limits: httpx.Limits) -> None:
        """Take the pool's place: httpx has no parameter for what httpcore offers."""
        super().__init__(verify=verify, limits=limits, trust_env=False)
        self._pool = httpcore.ConnectionPool(
            ssl_context=verify,
            max_connections=limits.max_connections,
            max_keepalive_connections=limits.max_keepalive_connections,
            keepalive_expiry=limits.keepalive_expiry,
            network_backend=_Backend(),
        )


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

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        return _Stream(
            self._stream.start_tls(ssl_context, server_hostname, _left(httpcore.ConnectTimeout))
        )


def _left(exceeded: type[httpcore.TimeoutException]) -> float:
    left = _end.get() - time.monotonic()
    if left <= 0:
        raise exceeded("the call's time is over")
    return left
