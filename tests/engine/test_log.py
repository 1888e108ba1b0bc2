"""In production a line of the log is a JSON object, whoever wrote what into it."""

import json
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import httpx
import pytest
from django.test import Client, RequestFactory
from opentelemetry import trace
from opentelemetry.trace import NonRecordingSpan, SpanContext
from pytest_django import Settings

from engine.commands import find_free_ports, read_until, run_commands
from engine.conftest import Script, serve
from engine.visitors import ask_wsgi
from fanout.calls.headers import pass_on, request_id
from fanout.serving.entries import get_asgi_application, get_wsgi_application
from fanout.serving.log import Handler, JsonFormatter

Read = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def read() -> Iterator[Read]:
    """The lines logged so far, each of which has to be an object."""
    stream = StringIO()
    handler = Handler(stream)
    handler.setFormatter(JsonFormatter())
    logging.getLogger().addHandler(handler)
    yield lambda: [json.loads(line) for line in stream.getvalue().splitlines()]
    logging.getLogger().removeHandler(handler)


@pytest.fixture(autouse=True)
def _no_request() -> Iterator[None]:
    """As outside of requests."""
    token = request_id.set("")
    yield
    request_id.reset(token)


def test_a_line_is_an_object(read: Read) -> None:
    before = datetime.now(UTC)
    logging.getLogger("shop").warning("%s books", 3, extra={"shelf": "sea"})
    [line] = read()
    assert before <= datetime.fromisoformat(line.pop("time")) <= datetime.now(UTC)
    assert line == {"level": "WARNING", "logger": "shop", "message": "3 books", "shelf": "sea"}


@pytest.mark.parametrize("text", ['a\n{"level": "ERROR"}', "\r\0\x1b[31m", "\u2028", "\udcff", '"'])
def test_nothing_breaks_a_line(read: Read, text: str) -> None:
    logging.getLogger("shop").warning("%s", text, extra={"shelf": text})
    [line] = read()
    assert line["message"] == line["shelf"] == text


def test_an_exception_is_a_field(read: Read) -> None:
    try:
        raise ValueError("one\ntwo")
    except ValueError:
        logging.getLogger("shop").exception("That was wrong")
    [line] = read()
    assert line["exception"].startswith("Traceback")
    assert line["exception"].endswith("ValueError: one\ntwo")


def test_a_line_names_its_request_and_its_trace(read: Read) -> None:
    pass_on({"HTTP_X_REQUEST_ID": "mine"})
    span = NonRecordingSpan(SpanContext(0xABC, 0xDEF, is_remote=False))
    with trace.use_span(span):
        logging.getLogger("shop").warning("Sold out")
    [line] = read()
    assert line["request_id"] == "mine"
    assert line["trace_id"] == f"{0xABC:032x}"
    assert line["span_id"] == f"{0xDEF:016x}"


def test_no_trace_is_named_where_none_can_be(read: Read, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "opentelemetry.trace")
    logging.getLogger("shop").warning("Sold out")
    [line] = read()
    assert "trace_id" not in line


def test_all_lines_of_a_request_have_its_id_and_its_response_too(
    read: Read, script: Script, settings: Settings, interface: str
) -> None:
    settings.OPTIONS["beta"]["required"] = True
    script.statuses = [500]
    paths = ["/?secret=1", "/nowhere"]
    headers = {"X-Request-ID": "mine"}
    if interface == "asgi":
        with serve(get_asgi_application()) as address:
            responses = [httpx.get(address + path, headers=headers) for path in paths]
            responses.append(httpx.get(address + "/other"))
    else:
        application = get_wsgi_application()
        responses = ask_wsgi(application, *paths, HTTP_X_REQUEST_ID="mine")
        responses += ask_wsgi(application, "/other")
    lines = [line for line in read() if line["logger"] in ("fanout", "django.request")]
    *named, other = [(line["message"], line["request_id"]) for line in lines]
    assert named == [
        ("beta answered with status 500 (failed)", "mine"),
        ("Service Unavailable: /", "mine"),
        ("Not Found: /nowhere", "mine"),
    ]
    assert other[0] == "Not Found: /other"
    assert len(other[1]) == 32
    assert [r.headers["X-Request-ID"] for r in responses] == ["mine", "mine", other[1]]
    assert lines[0]["service"] == "beta"
    assert lines[0]["duration"] > 0
    assert "secret" not in json.dumps(lines)


def test_a_refused_host_is_one_line_without_a_traceback(read: Read, interface: str) -> None:
    if interface == "asgi":
        with serve(get_asgi_application()) as address:
            httpx.get(address, headers={"Host": "nobody.test"})
    else:
        ask_wsgi(get_wsgi_application(), "/", HTTP_HOST="nobody.test")
    [line] = [line for line in read() if line["logger"].startswith("django.")]
    assert line["message"].startswith("Invalid HTTP_HOST header: 'nobody.test'.")
    assert "exception" not in line


def test_in_development_it_has_no_traceback_either(caplog: pytest.LogCaptureFixture) -> None:
    assert Client().get("/", headers={"host": "nobody.test"}).status_code == 400
    [record] = [record for record in caplog.records if record.name.startswith("django.security.")]
    assert record.getMessage().startswith("Invalid HTTP_HOST header: 'nobody.test'.")
    assert not record.exc_info


def test_what_fails_after_a_refusal_is_a_line_too(read: Read) -> None:
    about = {"request": RequestFactory().get("/")}
    logging.getLogger("django.security.DisallowedHost").error("refused", extra=about)
    logging.getLogger("django.request").error("the page of 400 has failed", extra=about)
    assert [line["message"] for line in read()] == ["refused", "the page of 400 has failed"]


@pytest.mark.parametrize("request_", ["GET /", None, {"path": "/"}])
def test_a_line_may_have_a_request_of_any_kind(read: Read, request_: Any) -> None:
    logging.getLogger("shop").warning("sent", extra={"request": request_})
    assert [line["message"] for line in read()] == ["sent"]


def test_a_server_in_production_logs_json(tmp_path: Path) -> None:
    settings = """
from config.settings import *

SECRET_KEY = "only-for-this-test-" * 3
ALLOWED_HOSTS = ["127.0.0.1"]
FANOUT_URLS = dict.fromkeys(FANOUT_SERVICES, "http://127.0.0.1:1/")
SECURE_SSL_REDIRECT = False
STORAGES["staticfiles"] = {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}
"""
    port = find_free_ports()
    with run_commands(tmp_path, settings, {"DJANGO_DEBUG": "false"}) as manage:
        process = manage("serve", "--port", str(port))
        lines = read_until(process, "Application startup complete")
        httpx.get(f"http://127.0.0.1:{port}/nowhere", timeout=50)
        process.terminate()
        lines += process.stdout or []
    [announced] = [line for line in lines if not line.startswith("{")]
    assert announced.startswith("Homepage at ")
    logged = [json.loads(line) for line in lines if line.startswith("{")]
    assert {"uvicorn.error", "django.request"} == {line["logger"] for line in logged}
