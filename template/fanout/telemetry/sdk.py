"""OpenTelemetry's SDK, set up as OTEL_* variables say: what collects spans and metrics and sends them."""

import atexit
import logging
import os
from functools import cache
from importlib.metadata import entry_points
from threading import Lock, Thread
from time import monotonic
from typing import Any
from uuid import uuid4

from django.conf import settings
from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import MetricReader, PeriodicExportingMetricReader
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor

from fanout.telemetry import get_exporters

FLUSH = 2  # seconds: the most that a collector that does not answer delays the end of a server
logger = logging.getLogger("fanout")
_starting = Lock()
_providers: list[TracerProvider | MeterProvider] = []  # that this module has set up


def start() -> None:
    """Trace from now on, and send to where OTEL_* variables say; once in a process."""
    with _starting:
        _set_up()


def stop() -> None:
    """Send what is left, for FLUSH seconds at most."""
    end = monotonic() + FLUSH
    # The SDK waits for an exporter as long as that takes, and once more when Python ends.
    threads = [Thread(target=provider.shutdown, daemon=True) for provider in _providers]
    for provider, thread in zip(_providers, threads, strict=True):
        atexit.unregister(provider.shutdown)
        thread.start()
    for thread in threads:
        thread.join(max(0, end - monotonic()))
    if any(thread.is_alive() for thread in threads):
        logger.warning("The collector did not take the last traces or metrics in %s s", FLUSH)


@cache
def _set_up() -> None:
    if isinstance(trace.get_tracer_provider(), TracerProvider):
        return  # opentelemetry-instrument was here
    about = {"service.name": settings.FANOUT_TITLE, "service.instance.id": str(uuid4())}
    try:
        resource = Resource.create({**about, **OTELResourceDetector().detect().attributes})
        made, regularly = _make_exporters("METRICS"), PeriodicExportingMetricReader
        readers = [e if isinstance(e, MetricReader) else regularly(e) for e in made]
        _providers.append(meter_provider := MeterProvider(readers, resource))
        metrics.set_meter_provider(meter_provider)
        if exporters := _make_exporters("TRACES"):
            _providers.append(tracer_provider := TracerProvider(resource=resource))
            for exporter in exporters:
                tracer_provider.add_span_processor(BatchSpanProcessor(exporter))
            trace.set_tracer_provider(tracer_provider)
    except Exception as error:
        logger.warning("OTEL_* variables are wrong, so not all is sent: %s", error)


def _make_exporters(signal: str) -> list[Any]:
    """Of the classes that packages have for the names in the environment. Raises LookupError."""
    protocol = os.environ.get(f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL")
    protocol = protocol or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL") or "http/protobuf"
    exporters = []
    for name in get_exporters(signal):
        name = f"otlp_proto_{protocol.split('/')[0]}" if name == "otlp" else name
        points = entry_points(group=f"opentelemetry_{signal.lower()}_exporter", name=name)
        if not points:
            raise LookupError(f"no package has an exporter {name} for {signal.lower()}")
        exporters.append(next(iter(points)).load()())
    return exporters
