"""Make sure that all contestants serve the same page."""

from collections import Counter
from dataclasses import dataclass
from html.parser import HTMLParser

from benchmarks.load import Response

ITEMS = 6  # of each fake service


@dataclass(frozen=True, slots=True)
class Sight:
    """What a visitor gets to see."""

    sections: int
    items: int
    text: str


class Reader(HTMLParser):
    """Counts tags and collects words."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.words: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1

    def handle_data(self, data: str) -> None:
        self.words += data.split()


def look(html: str) -> Sight:
    """What is on a page, whatever its white space and attributes."""
    reader = Reader()
    reader.feed(html)
    reader.close()
    return Sight(reader.tags["section"], reader.tags["h3"], " ".join(reader.words))


_first: dict[int, tuple[str, Sight]] = {}


def check(name: str, page: Response, services: int) -> None:
    """Exit with what is different, unless the page is as long as it should be and as the first."""
    sight = look(page.body.decode())
    if page.status != 200:
        raise SystemExit(f"{name}: status {page.status}: {sight.text[:500]}")
    if (sight.sections, sight.items) != (services, services * ITEMS):
        raise SystemExit(f"{name}: {sight.sections} sections with {sight.items} items in all.")
    first, expected = _first.setdefault(services, (name, sight))
    if sight.text != expected.text:
        raise SystemExit(f"{name} and {first} show different text:\n{sight.text}\n{expected.text}")
