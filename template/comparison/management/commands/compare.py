"""`manage.py compare`: what every style costs, through the real server."""

import asyncio
import json
import signal
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import asdict
from functools import partial
from importlib.util import find_spec
from statistics import median
from typing import Any

import httpx
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import BaseCommand, CommandError
from django.urls import Resolver404, resolve, reverse

from comparison.measurement import (
    AS_IT_IS,
    CLAIMS,
    WORDS,
    Measurement,
    Part,
    describe,
    judge,
    measure,
    show_ms,
)
from fakes.process import find_port, run_fakes, run_server
from fanout.calls.service import find_services, services
from fanout.serving.checks import refuse_unready
from homepage.views import HOME, VIEWS

ALONE = 5  # pages, one at a time: what they waited for is no matter of how busy the machine is


class Command(BaseCommand):
    """Runs a server of its own, and fakes for the services that are faked; ends both."""

    help = "Measures every style through the real server, and says whether it waits as it should."
    requires_system_checks = ()  # the server makes them

    def add_arguments(self, parser: ArgumentParser) -> None:
        """How much to measure, and for whom."""
        parser.add_argument("--pages", default=200, help="of each style; the default is 200")
        parser.add_argument("--concurrency", default=10, help="pages at once; the default is 10")
        parser.add_argument("--path", default="/", help="of the page; the default is the homepage")
        parser.add_argument("--json", action="store_true", help="for programs; times in seconds")

    def handle(self, **options: Any) -> None:
        """Measure, unless something stands against it, and show what came out."""
        pages, at_once = (_read_count(name, options[name]) for name in ("pages", "concurrency"))
        at_once = min(at_once, pages)
        if not find_spec("rich"):
            raise CommandError("compare needs the packages of the dev group: run uv sync.")
        try:
            refuse_unready()
        except ImproperlyConfigured as error:
            raise CommandError(str(error)) from None
        paths, parts = _find_page(options["path"])
        for name in ("SIGTERM", "SIGHUP"):  # they end all of it, as Ctrl-C does
            signal.signal(getattr(signal, name, signal.SIGTERM), signal.default_int_handler)
        try:
            alone, together = _measure(paths, parts, pages, at_once)
        except KeyboardInterrupt:
            raise CommandError("Stopped, with all that was started.", returncode=130) from None
        holds, verdict = judge(alone)
        if chained := any(part.after for part in parts.values()):
            verdict = verdict.replace(WORDS["slowest"], "the longest chain of services")
        mode = ", in development mode" if settings.DEBUG else ""
        if options["json"]:
            found = {
                "path": options["path"],
                "pages": pages,
                "concurrency": at_once,
                "development": settings.DEBUG,
                "services": [*parts],
                "styles": _list_styles(alone, together, known=holds is not None),
                "holds": holds,
                "verdict": verdict,
            }
            self.stdout.write(json.dumps(found, indent=2))
            return
        self.stdout.write(
            f"{len(parts)} service{'s' if len(parts) > 1 else ''}, {pages} pages of each style, "
            f"{at_once} at once{mode}\n{_draw(alone, together, chained)}\n{verdict}"
        )


def _list_styles(
    alone: Sequence[Measurement], together: Sequence[Measurement], known: bool
) -> dict[str, dict[str, object]]:
    """What `--json` says of each style; None for what cannot be known."""
    return {
        one.style: {
            "claim": CLAIMS.get(one.style),
            "holds": not one.complaint if known else None,
            "alone": asdict(one),
            "together": asdict(many),
        }
        for one, many in zip(alone, together, strict=True)
    }


def _read_count(name: str, text: object) -> int:
    if not str(text).isdecimal() or int(str(text)) < 1:
        raise CommandError(f"--{name} is a whole number above 0, not {text}.")
    return int(str(text))


def _find_page(address: str) -> tuple[dict[str, str], dict[str, Part]]:
    """Where the page is in every style, or as it is if its view is its own; and its services."""
    address = f"/{address.lstrip('/')}"
    try:
        match = resolve(address)
    except Resolver404:
        message = f"There is no page {address}: --path is one of this site, such as /books/9/."
        raise CommandError(message) from None
    if match.func not in VIEWS.values():
        return {AS_IT_IS: address}, {s.name: Part() for s in services(everywhere=True)}
    page = match.kwargs.get("page", HOME)
    paths = {style: f"{reverse('home')}compare/{style}{address}" for style in VIEWS}
    required = page.find_required(page.services)
    return paths, {s.name: Part(s.name in required, s.after) for s in page.services}


def _measure(
    paths: Mapping[str, str], parts: Mapping[str, Part], pages: int, at_once: int
) -> tuple[list[Measurement], list[Measurement]]:
    """Every style, first a page at a time, then so many; through a server that then ends."""
    faked = any(service.faked for service in find_services(parts))
    port = find_port()
    variables = {"FAKES_URL": f"http://127.0.0.1:{port}"} if faked else {}
    with (
        run_fakes(port) if faked else nullcontext(),
        run_server(FANOUT_COMPARE="true", FANOUT_COMPARE_PAGES="true", **variables) as address,
    ):
        return asyncio.run(_visit(address, paths, parts, pages, at_once))


async def _visit(
    address: str, paths: Mapping[str, str], parts: Mapping[str, Part], pages: int, at_once: int
) -> tuple[list[Measurement], list[Measurement]]:
    """One style after another: so they share neither calls nor the processor."""
    from rich.console import Console
    from rich.progress import Progress

    host = (settings.ALLOWED_HOSTS or [""])[0].lstrip(".*") or "127.0.0.1"
    # As from a proxy that ends https; unpacked, since a streamed page is looked into.
    headers = {"Host": host, "X-Forwarded-Proto": "https", "Accept-Encoding": "identity"}
    limits = httpx.Limits(max_connections=at_once, max_keepalive_connections=at_once)
    console = Console(stderr=True)
    alone, together = [], []
    async with httpx.AsyncClient(
        base_url=address, headers=headers, limits=limits, timeout=60, trust_env=False
    ) as client:
        with Progress(console=console, transient=True, disable=not console.is_terminal) as progress:
            for style, path in paths.items():
                task = progress.add_task(style, total=ALONE + at_once + pages)
                run = partial(measure, client, path, parts, partial(progress.advance, task))
                await run(style, at_once, at_once)  # makes connections and threads
                alone.append(await run(style, ALONE, 1))
                together.append(await run(style, pages, at_once))
    return alone, together


def _draw(alone: Sequence[Measurement], together: Sequence[Measurement], chained: bool) -> str:
    """A table and bars, as wide as the terminal; what is no terminal gets no control codes."""
    from rich import box
    from rich.console import Console
    from rich.table import Column, Table
    from rich.text import Text

    console = Console()
    columns = {
        "style": [m.style for m in together],
        "p50": [show_ms(m.p50) for m in together],
        "p95": [show_ms(m.p95) for m in together],
        "1st byte": [show_ms(m.first_byte) for m in together],
        "pages/s": [f"{m.pages_per_second:.0f}" for m in together],
        "over slowest": [show_ms(m.over_slowest) for m in together],
        "failed": [str(m.failed_sections) for m in together],
        "stale": [str(m.stale_sections) for m in together],
    }
    if not any(m.stale_sections for m in together):
        del columns["stale"]
    table = Table(box=box.SIMPLE_HEAD, show_edge=False)
    for title in columns:
        table.add_column(title, justify="left" if title == "style" else "right")
    for row in zip(*columns.values(), strict=True):
        table.add_row(*row)
    lengths = [*((m.style, m.p50) for m in alone), ("all services", median(m.sum for m in alone))]
    slowest = "longest chain" if chained else "the slowest"
    lengths.append((slowest, median(m.slowest for m in alone)))
    scale = (console.width - 30) / max(length for _, length in lengths)
    block = "#" if console.options.ascii_only else "█"
    bars = Table.grid("", "", Column(justify="right"), padding=(0, 1))
    for label, length in lengths:
        bars.add_row(f" {label}", Text(block * round(scale * length), "magenta"), show_ms(length))
    with console.capture() as capture:
        console.print("", table)
        for m in filter(lambda m: m.problems, together):
            console.print(f" {m.style}: {describe(m.problems)}", markup=False)
        console.print("\n One page at a time:", bars)
    return capture.get()
