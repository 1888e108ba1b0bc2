"""Who is measured: the generated homepage in all its ways, and what people would pick instead."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.install import CACHE, HERE, get_names, get_program

UVICORN = ("-m", "uvicorn", "--no-access-log", "--log-level", "warning", "--port", "{port}")
SITE = (get_program("site", "python"), *UVICORN)
PEER = (get_program("peers", "python"), *UVICORN, "--app-dir", str(HERE / "peers"))
GUNICORN = (
    *(get_program("site", "gunicorn"), "--bind", "127.0.0.1:{port}", "--log-level", "warning"),
    *("--worker-class", "gthread", "--threads", "32", "--keep-alive", "60", "--timeout", "120"),
)
GRANIAN = (
    *(get_program("site", "granian"), "--interface", "asgi", "--port", "{port}", "--no-ws"),
    *("--loop", "uvloop", "--workers", "1", "--runtime-threads", "1", "--log-level", "warning"),
)
AGGREGATOR = CACHE / "aggregator"


@dataclass(frozen=True, slots=True, eq=False)
class Contestant:
    """One way to serve the page."""

    name: str
    command: tuple[str, ...]
    variables: Mapping[str, str] = field(default_factory=dict)
    path: str = "/"
    answers: str = ""  # "new/" if a service never says the same twice
    personal: bool = False  # so does the first one alone, which has another visitor each time
    ours: bool = True
    daily: bool = False  # also measured in the short mode
    depth: int = 1  # services one after another, at most, on the way to the whole page

    def get_command(self, port: int) -> list[str]:
        """What starts it."""
        return [word.format(port=port) for word in self.command]

    def get_variables(self, ports: list[int], latency_ms: int) -> dict[str, str]:
        """The environment in which it calls a service at each port."""
        urls = [f"http://127.0.0.1:{port}/{latency_ms}/{self.answers}" for port in ports]
        if self.personal:
            urls[0] += "new/"
        named = dict(zip(get_names(len(ports)), urls, strict=True))
        if not self.ours:
            services = " ".join(f"{name}={url}" for name, url in named.items())
            return {"SERVICES": services, **self.variables}
        return {
            "DJANGO_DEBUG": "false",
            "DJANGO_SECRET_KEY": "only-for-the-benchmark-" * 3,
            "DJANGO_ALLOWED_HOSTS": "127.0.0.1",
            **{f"{name.upper()}_URL": url for name, url in named.items()},
            **self.variables,
        }

    def get_folder(self, count: int) -> Path:
        """Where it runs."""
        return CACHE / "projects" / str(count) if self.ours else HERE / "peers"


def measured(*, style: str = "gather", **changes: str) -> dict[str, str]:
    """The settings in `measured/` instead of the project's own."""
    return {
        "DJANGO_SETTINGS_MODULE": "measured.settings",
        "MEASURED_STYLE": style,
        **{f"MEASURED_{name.upper()}": value for name, value in changes.items()},
    }


ENTRY = ("config.asgi:application",)
WSGI = (*GUNICORN, "config.wsgi:application")
ALONE = measured(coalesce="false")

GATHER = Contestant("gather", (*SITE, *ENTRY), daily=True)
GATHER_ALONE = Contestant(
    "gather, nothing reused", (*SITE, *ENTRY), ALONE, answers="new/", daily=True
)
PERSONAL = Contestant(
    "gather, one personal service",
    (*SITE, *ENTRY),
    measured(personal="true"),
    personal=True,
    daily=True,
)
NAIVE = Contestant("naive", (*SITE, *ENTRY), measured(style="naive"), daily=True)
SYNC = Contestant("sync", (*SITE, *ENTRY), measured(style="sync"), daily=True)
STREAM = Contestant("stream", (*SITE, *ENTRY), measured(style="stream"), daily=True)
STREAM_ALONE = Contestant(
    "stream, nothing reused", (*SITE, *ENTRY), {**ALONE, "MEASURED_STYLE": "stream"}, answers="new/"
)
CHAIN = Contestant("gather, a chain of 3", (*SITE, *ENTRY), measured(chain="true"), depth=3)
THREADS = Contestant("a thread per call", (*SITE, *ENTRY), measured(), "/threads/")
DJANGO = Contestant(
    "gather, all of Django's own",
    (*SITE, "measured.asgi:application"),
    measured(middleware="django"),
)
ARTICLE = Contestant(
    "Django, a client per page", (*PEER, "article:application"), ours=False, daily=True
)
FASTAPI = Contestant("FastAPI, httpx", (*PEER, "fastapi_httpx:app"), ours=False, daily=True)
FASTAPI_DEFAULT = Contestant(
    "FastAPI, httpx, default limits",
    (*PEER, "fastapi_httpx:app"),
    {"LIMITS": "default"},
    ours=False,
)
STARLETTE = Contestant(
    "Starlette, aiohttp", (*PEER, "starlette_aiohttp:app"), ours=False, daily=True
)
GO = Contestant(
    "Go, net/http",
    (str(AGGREGATOR), "{port}", str(HERE / "peers/aggregator/home.html")),
    {"GOMAXPROCS": "1"},
    ours=False,
    daily=True,
)

CONTESTANTS = [
    GATHER,
    GATHER_ALONE,
    PERSONAL,
    Contestant(
        "gather over httpx, nothing reused",
        (*SITE, *ENTRY),
        {**ALONE, "FANOUT_TRANSPORT": "httpx", "FANOUT_DEADLINE": "60", "MEASURED_TIMEOUT": "30"},
        answers="new/",
    ),
    Contestant("gather, on granian", (*GRANIAN, *ENTRY)),
    DJANGO,
    Contestant("gather, WSGI", WSGI, measured()),
    NAIVE,
    SYNC,
    STREAM,
    STREAM_ALONE,
    Contestant("sync, WSGI", WSGI, measured(style="sync")),
    THREADS,
    Contestant("a thread per call, nothing reused", (*SITE, *ENTRY), ALONE, "/threads/", "new/"),
    ARTICLE,
    FASTAPI,
    FASTAPI_DEFAULT,
    Contestant("FastAPI, httpx2", (*PEER, "fastapi_httpx:app"), {"HTTPX": "httpx2"}, ours=False),
    STARLETTE,
    Contestant("no framework, aiohttp", (*PEER, "raw_aiohttp:app"), ours=False),
    GO,
]
