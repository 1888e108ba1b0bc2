"""Listening, and serving the site from one process or several, with uvicorn."""

import math
import os
import signal
import socket
import sys
from contextlib import suppress
from ipaddress import IPv4Network

import uvicorn
from django.conf import settings
from django.core.management.base import CommandError
from uvicorn.config import LOGGING_CONFIG, STARTUP_FAILURE
from uvicorn.supervisors import Multiprocess


def listen(host: str, port: int, way_out: str) -> socket.socket:
    """A socket on `port` of `host`. Raises CommandError, which shows the `way_out`."""
    try:
        if not 0 < port < 65536:
            raise OSError("ports are numbers from 1 to 65535")
        if ":" in host:
            both = socket.has_dualstack_ipv6()  # :: is every address then, those of IPv4 too
            sock = socket.create_server((host, port), family=socket.AF_INET6, dualstack_ipv6=both)
        else:
            sock = socket.create_server((host, port))
    except OSError as error:
        reason = os.strerror(error.errno) if error.errno else error
        raise CommandError(
            f"Port {port} of {host} cannot be used: {reason}. "
            f"Choose another: manage.py {way_out} PORT"
        ) from None
    # Else an answer waits for an ACK. What it accepts inherits this, on any event loop.
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


class _Supervisor(Multiprocess):
    """Listens no longer once it stops: who comes while the last pages are made is refused, not kept waiting."""

    def terminate_all(self) -> None:
        for sock in self.sockets:
            sock.close()
        super().terminate_all()


def get_entry() -> str:
    """ASGI_APPLICATION as uvicorn wants it: `config.asgi:application`."""
    module, _, name = str(settings.ASGI_APPLICATION).rpartition(".")
    return f"{module}:{name}"


def serve(sock: socket.socket, processes: int) -> None:
    """Serve from this process, or from so many others and replace those that die.

    Raises CommandError if one of those cannot start, SystemExit if this one cannot.
    """
    config = uvicorn.Config(
        get_entry(),
        workers=processes,
        lifespan="auto",  # Django's own entry has none
        ws="none",  # Django has no websockets
        log_config=None if settings.LOGGING else LOGGING_CONFIG,
        access_log=False,  # proxies have one
        server_header=False,
        forwarded_allow_ips=_get_trusted(),  # uvicorn trusts this machine by itself
        timeout_keep_alive=75,  # seconds: proxies keep connections for 60, and have to close them first
        timeout_graceful_shutdown=math.ceil(settings.FANOUT_DEADLINE) + 1,
        timeout_worker_healthcheck=10,  # seconds: on a busy machine a process starts slowly
    )
    if processes == 1:
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: sys.exit())  # uvicorn raises it again at its end
        uvicorn.Server(config).run(sockets=[sock])
    else:
        supervisor = _Supervisor(config, sockets=[sock])
        supervisor.run()
        if any(process.exitcode == STARTUP_FAILURE for process in supervisor.processes):
            raise CommandError("A process did not start, see above.")


def _get_trusted() -> list[str]:
    """The proxies of FORWARDED_ALLOW_IPS, those of IPv4 also as a socket for IPv6 sees them."""
    proxies = [proxy.strip() for proxy in settings.FORWARDED_ALLOW_IPS.split(",")]
    mapped = []
    for proxy in proxies:
        with suppress(ValueError):
            network = IPv4Network(proxy)
            mapped.append(f"::ffff:{network.network_address}/{96 + network.prefixlen}")
    return proxies + mapped
