"""`manage.py services`: how every service does now."""

import json
from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from fakes.visiting import SeenCall, add_arguments, call, choose, find_viewer, make_visit


class Command(BaseCommand):
    """Calls services one after another, each as a page would."""

    help = "Calls every service once, and says how each does and what is wrong."

    def add_arguments(self, parser: ArgumentParser) -> None:
        """Whose visit it is, and how to say it."""
        add_arguments(parser)
        parser.add_argument("--json", action="store_true", help="for programs")

    def handle(self, *, user: str, path: str, **options: Any) -> None:
        """Call, print, and fail if a service does."""
        chosen, calls = choose(path), []
        visit = make_visit(path or "/", find_viewer(user))
        for number, service in enumerate(chosen, 1):
            self._show_progress(f"{number} of {len(chosen)}: calling {service.name}")
            calls.append(call(service, visit))
        self._show_progress("")
        rows = [*map(_make_row, calls)]
        self.stdout.write(json.dumps(rows, indent=2) if options["json"] else _make_table(rows))
        if failed := [seen.service.name for seen in calls if seen.state in ("stale", "failed")]:
            raise CommandError(f"Not well: {', '.join(failed)}.")

    def _show_progress(self, text: str) -> None:
        """Show a line in the place of the one before, where somebody looks on."""
        if self.stderr.isatty():
            self.stderr.write(f"{text:<79}\r", str, "")
            self.stderr.flush()


def _make_row(seen: SeenCall) -> dict[str, Any]:
    section = seen.section
    return {
        "service": section.name,
        "state": seen.state,
        "status": section.status,
        "seconds": round(section.duration, 3),
        "bytes": seen.reply and len(seen.reply.body),
        "items": len(section.items),
        "fresh_for": seen.lifetimes[0],
        "stale_for": seen.lifetimes[1],
        "where": seen.where,
        "problem": seen.problem,
    }


def _make_table(rows: list[dict[str, Any]]) -> str:
    """A line for each service, then what is wrong."""
    *columns, _ = rows[0]
    cells = [columns, *(["" if row[c] is None else row[c] for c in columns] for row in rows)]
    widths = [max(map(len, map(str, column))) for column in zip(*cells, strict=True)]
    # Texts begin at the left of a column, numbers end at its right.
    lines = [
        "  ".join(f"{cell:{width}}" for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    ]
    problems = [f"{row['service']}: {row['problem']}" for row in rows if row["problem"]]
    return "\n".join([*lines, *([""] if problems else []), *problems])
