"""The switch of telemetry: as long as no OTEL_* variable says where to, OpenTelemetry is not imported.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/
"""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from importlib.util import find_spec
from typing import TypeVar

from django.utils.module_loading import import_string

T = TypeVar("T")

logger = logging.getLogger("fanout")


def get_exporters(signal: str) -> list[str]:
    """Where TRACES or METRICS go: by OTLP if only an endpoint is set, and nowhere if nothing is."""
    variables = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    default = "otlp" if any(map(os.environ.get, variables)) else ""
    names = (os.environ.get(f"OTEL_{signal}_EXPORTER") or default).split(",")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return [name.strip() for name in names if not disabled and name.strip() not in ("", "none")]


def is_on() -> bool:
    """Whether there is somewhere to send to, and the group `otel` to do so is installed."""
    return bool(get_exporters("TRACES") or get_exporters("METRICS")) and _is_installed()


def choose(plain: type[T], traced: str) -> type[T]:
    """The class `plain`, or if telemetry is on that of the name `traced`."""
    if is_on():
        return import_string(f"fanout.tracing.{traced}")  # type: ignore[no-any-return]
    if get_exporters("TRACES") or get_exporters("METRICS"):
        logger.warning("OTEL_* variables are set, but not their packages: uv sync --group otel")
    return plain


@contextmanager
def run() -> Iterator[None]:
    """Send telemetry during the block, and at its end all that is left; nothing if it is off."""
    if not is_on():
        yield
        return
    tracing = import_module("fanout.tracing")
    tracing.start()
    try:
        yield
    finally:
        tracing.stop()


def _is_installed() -> bool:
    return bool(find_spec("opentelemetry") and find_spec("opentelemetry.sdk"))
