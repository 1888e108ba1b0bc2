"""The fakes' own front page, where people slow services down or break them, and watch the site."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qs

from jinja2 import Environment, FileSystemLoader
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from fakes.faults import FAULTS

CHOICES = [*FAULTS, "status:500", "status:503", "status:404"]
_templates = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True)


@dataclass
class Switch:
    """How one service behaves, and how often it was called."""

    latency_ms: int
    fault: str = ""
    calls: int = 0


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
        """The page."""
        template = _templates.get_template("switchboard.html")
        context = {"switches": self._switches, "choices": CHOICES}
        return HTMLResponse(template.render(context), headers={"Cache-Control": "no-store"})

    async def change(self, request: Request) -> Response:
        """Take what was chosen on the page; other sites may not send it."""
        here = str(request.base_url).rstrip("/")
        if request.headers.get("origin", here) != here:
            raise HTTPException(403, "This form is not from here.")
        form = parse_qs((await request.body()).decode("ascii", "replace"), keep_blank_values=True)
        for name, switch in self._switches.items():
            fault = form.get(f"{name}.fault", [switch.fault])[0]
            latency = form.get(f"{name}.latency_ms", [str(switch.latency_ms)])[0]
            if fault not in CHOICES or not re.fullmatch(r"[0-9]{1,5}", latency):
                raise HTTPException(400, f"{name} cannot do that: {fault!r} after {latency!r} ms.")
            switch.fault, switch.latency_ms = fault, int(latency)
        return RedirectResponse("/", 303)
