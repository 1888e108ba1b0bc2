"""The switch of telemetry: OpenTelemetry is only imported if an OTEL_* variable says where to."""

import logging
import os
from functools import cache
from importlib import import_module
from typing import Any

logger = logging.getLogger("fanout")


def get_exporters(signal: str) -> list[str]:
    """Where TRACES or METRICS go: by OTLP if only an endpoint is set, and nowhere if nothing is."""
    variables = ("OTEL_EXPORTER_OTLP_ENDPOINT", f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT")
    default = "otlp" if any(map(os.environ.get, variables)) else ""
    names = (os.environ.get(f"OTEL_{signal}_EXPORTER") or default).split(",")
    disabled = os.environ.get("OTEL_SDK_DISABLED", "").strip().lower() == "true"
    return [name.strip() for name in names if not disabled and name.strip() not in ("", "none")]


@cache
def load_tracing() -> Any:
    """The module `fanout.telemetry.tracing` if telemetry is on and its packages are there, else None."""
    if get_exporters("TRACES") or get_exporters("METRICS"):
        try:
            return import_module("fanout.telemetry.tracing")
        except ModuleNotFoundError as error:
            logger.warning("Telemetry is off, run uv sync --group otel for it: %s", error)
    return None
