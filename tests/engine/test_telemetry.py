"""The switch: telemetry is on once a variable says where to, and its packages are there."""

import sys

import httpx
import pytest

from engine.conftest import serve
from fanout import telemetry
from fanout.serving.entries import get_asgi_application


@pytest.mark.parametrize(
    ("variables", "exporters"),
    [
        ({}, []),
        ({"OTEL_SERVICE_NAME": "shop"}, []),
        ({"OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_TRACES_EXPORTER": ""}, []),
        ({"OTEL_METRICS_EXPORTER": "otlp"}, []),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": "http://collector"}, []),
        ({"OTEL_TRACES_EXPORTER": "console, otlp"}, ["console", "otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://collector"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": "http://collector"}, ["otlp"]),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_TRACES_EXPORTER": "none"}, []),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", "OTEL_SDK_DISABLED": "True"}, []),
    ],
)
def test_variables_say_where_traces_go(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], exporters: list[str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert telemetry.get_exporters("TRACES") == exporters


def test_missing_packages_are_named_in_one_sentence(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "otlp")
    monkeypatch.setitem(sys.modules, "fanout.telemetry.tracing", None)
    telemetry.load_tracing.cache_clear()
    for _ in range(2):
        assert telemetry.load_tracing() is None
    [record] = caplog.records
    assert "uv sync --group otel" in record.getMessage()
    with serve(get_asgi_application()) as address:
        assert httpx.get(address).status_code == 200
    telemetry.load_tracing.cache_clear()
