"""What people get of a page: see, hear from a screen reader, and reach with the keyboard."""

from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

from playwright.sync_api import Page


class Look(NamedTuple):
    """A window, in CSS pixels, and the colours that a person prefers."""

    width: int
    height: int
    scheme: Literal["light", "dark"]


LOOKS = [
    Look(width, height, scheme)
    for width, height in ((320, 640), (1280, 800))
    for scheme in ("light", "dark")
]


def try_looks(page: Page) -> Iterator[Look]:
    """The page in one look after another."""
    for look in LOOKS:
        page.set_viewport_size({"width": look.width, "height": look.height})
        page.emulate_media(color_scheme=look.scheme)
        yield look


def list_seen(page: Page) -> list[str]:
    """What is visible in the main part, from top to bottom: the ids, or else the slots' names.

    Raises AssertionError if they overlap, or if anything makes the page scroll to the side.
    """
    seen = page.evaluate(
        """() => [...document.querySelectorAll("main > *")]
            .filter(e => e.checkVisibility({visibilityProperty: true, opacityProperty: true}))
            .map(e => [e.getBoundingClientRect(), e.id || e.slot])
            .filter(([box]) => box.width && box.height)
            .map(([box, name]) => [box.top, box.bottom, name])
            .sort(([one], [other]) => one - other)"""
    )
    for (_, bottom, upper), (top, _, lower) in pairwise(seen):
        assert bottom <= top, f"{upper} covers {lower}"
    assert fits(page), "It scrolls to the side."
    return [name for _, _, name in seen]


def fits(page: Page) -> bool:
    """Whether nothing makes the page scroll to the side."""
    return bool(page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"))


def list_heard(page: Page) -> list[str]:
    """The regions, by name, in the order in which a screen reader meets them."""
    nodes = page.context.new_cdp_session(page).send("Accessibility.getFullAXTree")["nodes"]
    by_id: dict[str, dict[str, Any]] = {node["nodeId"]: node for node in nodes}

    def walk(node: dict[str, Any]) -> Iterator[str]:
        if node.get("role", {}).get("value") == "region":
            yield node["name"]["value"]
        for child in node.get("childIds", []):
            if child in by_id:
                yield from walk(by_id[child])

    return list(walk(nodes[0]))


def find_violations(page: Page, packages: Path) -> list[str]:
    """What axe finds wrong with the page as it looks now, its banners as at the beginning."""
    # While one fades into the next, which is when a machine is slow enough, nothing has contrast.
    page.evaluate("document.getAnimations().forEach(one => { one.pause(); one.currentTime = 0; })")
    if not page.evaluate("'axe' in window"):
        page.evaluate((packages / "axe-core/axe.min.js").read_text(encoding="utf-8"))
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{violation['id']}: {violation['help']}: {node['html']}"
        for violation in found["violations"]
        for node in violation["nodes"]
    ]
