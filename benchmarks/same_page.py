"""Make sure that all contestants serve the same page."""

from collections import Counter, defaultdict
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
    """Counts tags and collects words, apart for each section and for what is around them."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: Counter[str] = Counter()
        self.words: dict[str, list[str]] = defaultdict(list)
        self.place = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags[tag] += 1
        if tag == "section":
            self.place = dict(attrs).get("id") or ""
        elif ("class", "waiting") in attrs:
            self.place = "waiting"

    def handle_endtag(self, tag: str) -> None:
        if tag in ("section", "div"):
            self.place = ""

    def handle_data(self, data: str) -> None:
        self.words[self.place] += data.split()


def look(html: str) -> Sight:
    """What is on a page, whatever its white space, its attributes and the order of its sections.

    A streamed page sends them as they come, after a note for each that is hidden by then.
    """
    reader = Reader()
    reader.feed(html)
    reader.close()
    reader.words.pop("waiting", None)
    text = " ".join(" ".join(reader.words[place]) for place in sorted(reader.words))
    return Sight(reader.tags["section"], reader.tags["h3"], text)


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
