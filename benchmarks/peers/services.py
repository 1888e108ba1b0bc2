"""What all Python peers share: which services to call, and the template to show them with."""

import os
from pathlib import Path
from typing import Any

# name -> URL
SERVICES = dict(pair.split("=", 1) for pair in os.environ["SERVICES"].split())

TEMPLATES = Path(__file__).parent / "templates"


def make_section(name: str, answer: dict[str, Any]) -> dict[str, Any]:
    """What the template shows of an answer; in Jinja `.items` would be the method of a dict."""
    return {"name": name, "title": answer["title"], "books": answer["items"]}
