"""Listening, and serving the site from one process or several, with uvicorn."""

import os
import signal
import socket
import sys
import time
from contextlib import suppress
from ipaddress import IPv4Network
from multiprocessing import active_children, parent_process
from queue import SimpleQueue
from threading import Thread
from typing import Any

import uvicorn
from django.conf import settings
from django.core.management.base import CommandError
from uvicorn.config import LOGGING_CONFIG, STARTUP_FAILURE
from uvicorn.server import HANDLED_SIGNALS
from uvicorn.supervisors import Multiprocess


def listen(host: str, port: int, way_out: str) -> socket.socket:
    """A socket on `port` of `host`. Raises CommandError, which shows the `way_out`."""
    try:
        if not 0 < port < 65536:
            raise OSError("ports are numbers from 1 to 65535")
        family = socket.AF_INET6 if ":" in host else socket.AF_INET
        both = ":" in host and socket.has_dualstack_ipv6()  # :: is every address, of IPv4 too
        sock = socket.create_server((host, port), family=family, dualstack_ipv6=both)
    except OSError as error:
        reason = (error.strerror or str(error)).partition(" (")[0]  # without the address again
        message = f"Port {port} of {host} cannot be used: {reason}."
        raise CommandError(f"{message} Choose another: manage.py {way_out} PORT") from None
    # Else an answer waits for an ACK. What it accepts inherits this, on any event loop.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Config(uvicorn.Config):
    """Loaded in each process that serves, once uvicorn handles its signals: from then on it ends in time."""

    def load(self) -> None:
        _end_in_time()
        Thread(target=_end_with_supervisor, daemon=True).start()
        super().load()


class _Supervisor(Multiprocess):
    """Listens no longer once it stops: who comes while the last pages are made is refused, not kept waiting."""

    def terminate_all(self) -> None:
        for sock in self.sockets:
            sock.close()
        super().terminate_all()


def _end_in_time() -> None:
    """See to it that a signal ends this process within FANOUT_DEADLINE and two seconds, whatever hangs."""
    seconds = settings.FANOUT_DEADLINE + 1.8
    handler: Any = signal.getsignal(signal.SIGTERM)
    asked: SimpleQueue[float] = SimpleQueue()

    def handle(*args: Any) -> None:
        asked.put(seconds)  # without a lock or a log, which may be what hangs
        handler(*args)

    Thread(target=lambda: _end_after(asked.get()), daemon=True).start()
    for number in HANDLED_SIGNALS:
        signal.signal(number, handle)


def _end_with_supervisor() -> None:
    """If there is one, and however it ends: nobody else would stop this process, which has its port."""
    if supervisor := parent_process():
        supervisor.join()
        signal.raise_signal(signal.SIGTERM)
        _end_after(1.5)


def _end_after(seconds: float) -> None:
    """Leave so much time for a good end. The processes of a supervisor end with it."""
    time.sleep(seconds)
    for process in active_children():
        process.kill()
    os._exit(1)


def get_entry() -> str:
    """ASGI_APPLICATION as uvicorn wants it: `config.asgi:application`."""
    return ":".join(settings.ASGI_APPLICATION.rsplit(".", 1))


def serve(sock: socket.socket, processes: int) -> None:
    """Serve from this process, or from so many others: CommandError if one of those cannot start."""
    proxies = [proxy.strip() for proxy in settings.FORWARDED_ALLOW_IPS.split(",")]
    for proxy in tuple(proxies):
        with suppress(ValueError):  # a socket for IPv6 sees IPv4 in another way
            network = IPv4Network(proxy)
            proxies.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    config = _Config(
        get_entry(),
        workers=processes,
        ws="none",  # Django has no websockets
        log_config=None if settings.LOGGING else LOGGING_CONFIG,
        access_log=False,  # proxies have one
        server_header=False,
        forwarded_allow_ips=proxies,  # uvicorn trusts this machine by itself
        timeout_keep_alive=75,  # seconds: proxies keep connections for 60, and have to close them first
        # Pages that are not sent by then are cut. It may be a float: asyncio waits for it.
        timeout_graceful_shutdown=settings.FANOUT_DEADLINE + 0.5,  # type: ignore[arg-type]
        timeout_worker_healthcheck=10,  # seconds: on a busy machine a process starts slowly
    )
    if processes == 1:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit())  # uvicorn raises it again at its end
        uvicorn.Server(config).run(sockets=[sock])
    else:
        supervisor = _Supervisor(config, sockets=[sock])
        _end_in_time()
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise CommandError("A process did not start, see above.")
