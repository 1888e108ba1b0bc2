"""Secrets: text for a class, and nothing for anybody else, whoever says them again."""

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote, quote_plus

import httpx
import pytest
from django.core.cache import caches
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from pytest_django import Settings
from starlette.responses import Response

from engine.asking.conftest import Ask, Asked, Echo
from engine.conftest import make_service
from engine.test_transport import talk
from engine.visitors import make_visit
from fanout import Secret, Service, telemetry
from fanout.calls.answer import readings
from fanout.calls.fetch import fetch
from fanout.calls.last_good import last_good
from fanout.policies.breaker import FAILURES

SECRET = "s3cr3t/+v \\'ä\""  # noqa: S105
FORMS = {
    "itself": SECRET,
    "quoted": quote(SECRET, safe=""),
    "in a query": quote_plus(SECRET),
    "in JSON": json.dumps(SECRET)[1:-1],
    "in other JSON": json.dumps(SECRET, ensure_ascii=False)[1:-1].replace("/", "\\/"),
}


@pytest.fixture(autouse=True)
def _secret(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is set."""
    monkeypatch.setenv("OWN_KEY", SECRET)


def make_request(service: Any, visit: object) -> httpx.Request:
    """One that has the secret in its address and in its body, as bytes of any kind may be there."""
    return httpx.Request("POST", service.url.copy_merge_params({"key": service.key}), content=b"x")


def make(url: str, **options: Any) -> Service:
    """A service with a secret."""
    more = {"key": Secret("OWN_KEY"), "request": make_request, "timeout": 30.0, "retry": True}
    return make_service("alpha", url, **(more | options))


def read(service: Any, response: httpx.Response) -> dict[str, Any]:
    """All that is shown of an answer, and its headers."""
    return {"items": [], "body": response.text, "headers": dict(response.headers)}


def is_masked(text: str) -> bool:
    """Whether the secret is in a text in no form that can be read."""
    return not any(form in text for form in (*FORMS.values(), repr(SECRET)[1:-1]))


def test_it_is_text_on_a_service_and_itself_on_the_class(echo: Echo) -> None:
    service: Any = make(echo.address)
    assert service.key == SECRET
    assert isinstance(type(service).key, Secret)
    assert type(service).key.variable == "OWN_KEY"


@pytest.mark.parametrize("value", ["", None])
def test_where_the_fake_answers_one_that_is_not_set_is_fake(
    echo: Echo, ask: Ask, settings: Settings, monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("OWN_KEY") if value is None else monkeypatch.setenv("OWN_KEY", value)
    settings.FAKES_URL = f"{echo.address}/fakes"
    service = make(f"{echo.address}/fakes/alpha/", auth=property(prove))
    assert ask(service, make_visit()).error == ""
    assert echo.asked[0].target == "/fakes/alpha/?key=fake"
    assert echo.asked[0].get("Authorization") == []


def prove(service: Any) -> httpx.Auth:
    """An `auth` that needs the secret."""
    return httpx.BasicAuth("a", service.key)


USES: dict[str, dict[str, Any]] = {
    "request": {},
    "auth": {"request": Service.request, "auth": property(prove)},
    "read": {"request": Service.request, "read": lambda self, response: {"items": [self.key]}},
}


@pytest.mark.parametrize("path", ["/", "/fakes", "/fakesalpha/"])
@pytest.mark.parametrize("method", USES)
def test_elsewhere_it_is_missed(
    echo: Echo,
    ask: Ask,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
    path: str,
    method: str,
) -> None:
    monkeypatch.delenv("OWN_KEY")
    settings.FAKES_URL = f"{echo.address}/fakes"
    section = ask(make(f"{echo.address}{path}", **USES[method]), make_visit())
    assert section.error == f"engine.conftest.Own.{method}: OWN_KEY is not set"
    assert len(echo.asked) == (method == "read")


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("where", ["body", "header"])
def test_what_a_service_says_again_is_masked_and_so_is_what_is_kept(
    echo: Echo, ask: Ask, settings: Settings, tmp_path: Path, form: str, where: str
) -> None:
    backend = "django.core.cache.backends.filebased.FileBasedCache"
    settings.CACHES = {"fanout": {"BACKEND": backend, "LOCATION": tmp_path}}
    said = FORMS[form]

    async def respond(asked: Asked) -> Response:
        if where == "body":
            return Response(f'"{said}"')
        return Response("1", headers={"Link": f"</?key={said}&page=2>".encode().decode("latin-1")})

    echo.respond = respond
    section = ask(make(echo.address, read=read), make_visit())
    shown, masked = section.data["body"], '"***"'
    if where == "header":
        shown, masked = section.data["headers"]["link"], "</?key=***&page=2>"
    assert (section.state, shown) == ("ok", masked)
    last_good._threads.shutdown()
    [value] = [caches["fanout"].get(f"fanout:{':'.join(key)}") for key in last_good._kept["alpha"]]
    for text in (value, last_good._kept, [*readings._known.items()]):
        for part in (said, said.encode(), said.encode().decode("latin-1")):
            assert repr(part).removeprefix("b")[1:-1] not in repr(text)


def test_a_short_one_is_no_reason_to_change_an_answer(
    echo: Echo, ask: Ask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "ite")
    assert ask(make(echo.address), make_visit()).error == ""


def fail(service: Any, response: httpx.Response) -> Any:
    """What `read` does whose programmer is out of luck."""
    return json.loads("{}")[f"{'x' * 180} {service.key}"]


def test_a_sentence_that_quotes_it_is_masked(
    echo: Echo, ask: Ask, caplog: pytest.LogCaptureFixture
) -> None:
    section = ask(make(echo.address, read=fail), make_visit())
    assert "KeyError 'xxx" in section.error
    assert "***" in section.error
    [record] = [record for record in caplog.records if record.name == "fanout"]
    logged = logging.Formatter("%(message)s").format(record)
    assert "Traceback" in logged
    for text in (section.error, logged, str(vars(record))):
        assert is_masked(text)
        assert "s3cr3t" not in text


@pytest.mark.parametrize("transport", ["httpx"], indirect=True)
def test_a_reason_of_the_breaker_is_masked(
    transport: str, echo: Echo, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OWN_KEY", "s3cr3t-of-ours")
    service, errors = make("http://a.test/", retry=False), []
    for _ in range(FAILURES):
        with talk(b"HTTP/9 s3cr3t-of-ours\r\n\r\n") as address:
            service.url = httpx.URL(address)
            errors.append(fetch(service, make_visit()).error)
    errors.append(fetch(service, make_visit()).error)
    assert errors[-1].startswith("is not called for a while: broke off: ")
    assert all("***" in error for error in errors)
    assert "is paused for" in caplog.text
    assert "s3cr3t" not in "".join(errors) + caplog.text


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Iterator[InMemorySpanExporter]:
    """Those that telemetry, which is on, makes of calls."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setenv("OTEL_TRACES_EXPORTER", "console")
    telemetry.load_tracing.cache_clear()
    monkeypatch.setattr(telemetry.load_tracing(), "_tracer", provider.get_tracer("test"))
    yield exporter
    telemetry.load_tracing.cache_clear()


@pytest.mark.parametrize("options", [{"read": fail}, {"read": read}], ids=str)
def test_no_span_knows_it(
    echo: Echo, ask: Ask, spans: InMemorySpanExporter, options: dict[str, Any]
) -> None:
    ask(make(echo.address, **options), make_visit())
    [span] = spans.get_finished_spans()
    assert span.name == "POST alpha"
    assert is_masked(span.to_json())
    assert "s3cr3t" not in span.to_json()
