"""What servers send to a collector, in processes of their own; and nothing at all when it is off."""

import asyncio
import inspect
import os
import subprocess
import sys
from collections.abc import Callable
from threading import Event
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from pytest_django import Settings
from starlette.requests import Request
from starlette.responses import JSONResponse

from config.asgi import application
from engine.commands import PROJECT
from engine.conftest import serve

needs_lifespan = pytest.mark.skipif(
    not inspect.isfunction(application),
    reason="config/asgi.py has Django's own entry, which has no lifespan to trace in.",
)
Run = Callable[..., "subprocess.CompletedProcess[str]"]

SERVE = """
import sys

import httpx

from config.asgi import application
from engine.conftest import serve

with serve(application) as address:
    print(httpx.get(address, timeout=60).status_code)
print(*[name for name in sys.modules if name.startswith("opentelemetry")])
"""
FORK = """
import os
import sys

from django.test import RequestFactory

from config.wsgi import application

for _ in range(2):
    if not os.fork():
        request = RequestFactory(SERVER_NAME="127.0.0.1").get("/")
        application(request.environ, lambda status, headers: print(status[:3], flush=True))
        sys.exit()
    os.wait()
"""


@pytest.fixture
def run(fakes: str, settings: Settings) -> Run:
    """Run a script in a process of its own, with these variables and fake services."""
    urls = {f"{name.upper()}_URL": f"{fakes}/{name}/" for name in settings.FANOUT_SERVICES}

    def run(script: str, **variables: str) -> "subprocess.CompletedProcess[str]":
        process = subprocess.run(  # noqa: S603 - our own
            [sys.executable, "-c", script],
            cwd=PROJECT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "engine.settings", **urls, **variables},
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert process.returncode == 0, process.stderr
        return process

    return run


def test_nothing_is_imported_when_it_is_off(run: Run) -> None:
    assert run(SERVE).stdout == "200\n\n"


@needs_lifespan
def test_an_exporter_that_there_is_not_costs_no_page(run: Run) -> None:
    process = run(SERVE, OTEL_TRACES_EXPORTER="nowhere")
    assert process.stdout.startswith("200\n")
    assert "no package has an exporter nowhere for traces" in process.stderr
    assert "Traceback" not in process.stderr


@needs_lifespan
def test_metrics_can_go_alone(run: Run) -> None:
    printed = run(SERVE, OTEL_METRICS_EXPORTER="console").stdout
    assert "fanout.call.duration" in printed
    assert "span_id" not in printed


class Collector:
    """Takes what is sent by OTLP."""

    def __init__(self) -> None:
        """Nothing yet."""
        self.bodies: dict[str, list[bytes]] = {}
        self.opened = Event()
        self.opened.set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        """Take it, but do not answer before it is opened."""
        request = Request(scope, receive)
        self.bodies.setdefault(request.url.path, []).append(await request.body())
        await asyncio.to_thread(self.opened.wait)
        await JSONResponse({})(scope, receive, send)


@needs_lifespan
def test_all_is_sent_before_a_server_ends(run: Run) -> None:
    collector = Collector()
    with serve(collector, lifespan="off") as address:
        process = run(SERVE, OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_SERVICE_NAME="shop")
    assert process.stdout.startswith("200\nopentelemetry")
    assert set(collector.bodies) == {"/v1/traces", "/v1/metrics"}
    assert b"fanout.call.duration" in collector.bodies["/v1/metrics"][0]
    [spans] = collector.bodies["/v1/traces"]
    assert b"GET /" in spans
    assert b"shop" in spans


@needs_lifespan
def test_a_collector_that_hangs_does_not_keep_a_server_from_ending(run: Run) -> None:
    collector = Collector()
    collector.opened.clear()
    with serve(collector, lifespan="off") as address:
        try:
            process = run(
                SERVE, OTEL_EXPORTER_OTLP_ENDPOINT=address, OTEL_EXPORTER_OTLP_TIMEOUT="3600"
            )
        finally:
            collector.opened.set()
    assert process.stdout.startswith("200\nopentelemetry")
    assert set(collector.bodies) == {"/v1/traces", "/v1/metrics"}
    assert process.stderr.splitlines() == [
        "The collector did not take the last traces or metrics in 2 s"
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="Windows has no fork.")
def test_forked_processes_are_told_apart(run: Run, settings: Settings) -> None:
    collector = Collector()
    with serve(collector, lifespan="off") as address:
        process = run(FORK, OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=f"{address}/here")
    assert process.stdout == "200\n200\n"
    ids = set()
    for body in collector.bodies["/here"]:
        [sent] = ExportTraceServiceRequest.FromString(body).resource_spans
        about = {pair.key: pair.value.string_value for pair in sent.resource.attributes}
        assert about["service.name"] == settings.FANOUT_TITLE
        ids.add(about["service.instance.id"])
    assert len(ids) == 2
