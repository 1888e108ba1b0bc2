"""The fakes' own front page, where people slow services down or break them, and watch the site."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from django.conf import settings
from django.http.request import split_domain_port, validate_host
from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fanout.calls.service import services

CHOICES = {  # faults, and what a service then does
    "": "answers",
    "hang": "hangs",
    "trickle": "answers a byte at a time,",
    "drop": "breaks off in mid-body",
    "bad-json": "answers with broken JSON",
    "oversized": "answers with 2 MiB too much",
    "bomb": "answers with 16 MiB, packed,",
    **{f"status:{status}": f"answers with status {status}" for status in (500, 503, 404)},
}
_templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)
_LOOK = Path(__file__).parent.parent / "homepage/static"  # the site's, which is the team's


@dataclass
class Switch:
    """How one service behaves, and how often it was called."""

    latency_ms: int
    fault: str = ""
    calls: int = 0

    def __str__(self) -> str:
        """What it does now."""
        after = "" if self.fault == "hang" else f" after {self.latency_ms:,} ms"
        return f"{CHOICES[self.fault]}{after}"


class Switchboard:
    """A switch for every service."""

    def __init__(self, latencies_ms: Mapping[str, int]) -> None:
        """All of them work, and answer after so many milliseconds."""
        self._switches = {name: Switch(latency) for name, latency in latencies_ms.items()}

    def count(self, name: str) -> Switch:
        """The switch of a service that is called now."""
        self._switches[name].calls += 1
        return self._switches[name]

    async def show(self, request: Request) -> Response:
        """The page, which says what was changed before it came."""
        # A visitor reaches the site by the same name as this page: manage.py dev runs both.
        port = os.environ.get("FAKES_SITE_PORT")
        files = (_LOOK / "site.css", _LOOK / "icon.svg")
        css, icon = (file.read_text("utf-8") if file.is_file() else "" for file in files)
        context = {
            "css": css,
            "icon": icon,
            "switches": self._switches,
            "choices": CHOICES,
            "changed": request.query_params.get("changed"),
            "real": {s.name for s in services(everywhere=True) if s.address and not s.faked},
            "site": request.base_url.replace(port=port) if port else "",
            "compare": settings.FANOUT_COMPARE and "comparison" in settings.INSTALLED_APPS,
        }
        page = _templates.get_template("switchboard.html").render(context)
        return HTMLResponse(page, headers={"Cache-Control": "no-store"})

    async def change(self, request: Request) -> Response:
        """Take what was chosen on the page; other sites may not send it."""
        here = str(request.base_url).rstrip("/")
        allowed = settings.ALLOWED_HOSTS or [".localhost", "127.0.0.1", "[::1]"]
        known = validate_host(split_domain_port(request.headers["host"])[0], allowed)
        if not known or request.headers.get("origin", here) != here:
            raise HTTPException(403, "This form is not from here.")
        form = parse_qs((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
        wanted = {}
        for name, switch in self._switches.items():
            fault = form.get(f"{name}.fault", [switch.fault])[0]
            latency = form.get(f"{name}.latency_ms", [str(switch.latency_ms)])[0]
            if fault not in CHOICES or not re.fullmatch(r"[0-9]{1,5}", latency):
                raise HTTPException(400, f"{name} cannot do that: {fault!r} after {latency!r} ms.")
            wanted[name] = Switch(int(latency), fault, switch.calls)
        changed = [name for name in wanted if wanted[name] != self._switches[name]]
        self._switches |= wanted
        return RedirectResponse(f"/?changed={','.join(changed)}", 303)
