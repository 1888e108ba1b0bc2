"""The books of the fake shop, and their covers."""

import base64
from dataclasses import dataclass
from html import escape
from textwrap import wrap
from zlib import crc32


@dataclass(frozen=True)
class Book:
    """A book that nobody wrote."""

    title: str
    author: str
    price: float
    shelf: str


BOOKS = [
    Book("Nine Harbours", "Leila Okafor", 12.5, "sea"),
    Book("The Lighthouse Ledger", "Mirek Novak", 18.0, "sea"),
    Book("Salt Roads", "Carmen Ibarra", 13.2, "sea"),
    Book("A Net of Small Islands", "Kirsi Aalto", 16.9, "sea"),
    Book("The Tide Clerk", "Owen Marsh", 14.0, "sea"),
    Book("What the Ferry Carried", "Noor Haddad", 11.5, "sea"),
    Book("The Borrowed Orchard", "Elif Demir", 17.6, "garden"),
    Book("Late Frost", "Peter Lindqvist", 11.9, "garden"),
    Book("Bees in the Wall", "Rosa Almeida", 15.3, "garden"),
    Book("The Quiet Greenhouse", "Hana Sato", 19.0, "garden"),
    Book("Nettles and Rain", "Fergus Boyd", 10.8, "garden"),
    Book("A Year of Pears", "Claire Dumont", 21.0, "garden"),
    Book("Rain on the Archive", "Ines Calloway", 14.9, "city"),
    Book("Small Hours, Large Rooms", "Tomas Brandt", 16.4, "city"),
    Book("The Last Tram Home", "Jo Whitfield", 12.0, "city"),
    Book("Windows Facing North", "Amara Nwosu", 18.5, "city"),
    Book("The Cartographer's Sister", "Dario Conti", 19.8, "city"),
    Book("Everyone on Platform Two", "Mei Tanaka", 13.7, "city"),
    Book("The Patient Thread", "Sanna Virtanen", 14.4, "mind"),
    Book("A Field Guide to Waiting", "Ravi Menon", 22.0, "mind"),
    Book("Everything at Once", "Greta Holm", 15.0, "mind"),
    Book("The Art of the Short Queue", "Paul Achebe", 9.9, "mind"),
    Book("How Not to Hurry", "Lucia Ferri", 12.9, "mind"),
    Book("Thinking in Parallel", "Yusuf Kaya", 24.0, "mind"),
]

# Ground, ink and shape of each shelf, for every other book.
_COLOURS = {
    "sea": [("#12475e", "#f3c969", "#7fb7be"), ("#e9dcc0", "#14394d", "#3f8f9b")],
    "garden": [("#2f5d3a", "#f4e3b2", "#d97d54"), ("#f1e4c3", "#2f5d3a", "#c4572f")],
    "city": [("#4a2545", "#f6c48f", "#9a6a94"), ("#f0c9a8", "#4a2545", "#b8574f")],
    "mind": [("#23395b", "#f7f3e3", "#e4572e"), ("#f7f3e3", "#23395b", "#e4572e")],
}
_SHAPES = {
    "sea": (
        '<circle cx="{x}" cy="172" r="24" fill="{ink}"/>'
        '<path d="M0 205q30-24 60 0t60 0 60 0v65H0z" fill="{shape}"/>'
    ),
    "garden": (
        '<path d="M90 262v-70" stroke="{ink}" stroke-width="5"/>'
        '<circle cx="{x}" cy="186" r="34" fill="{shape}"/><circle cx="90" cy="212" r="18" fill="{ink}"/>'
    ),
    "city": (
        '<path d="M14 270V168h34v42h18v-58h40v84h18v-40h42v74z" fill="{shape}"/>'
        '<circle cx="{x}" cy="164" r="9" fill="{ink}"/>'
    ),
    "mind": (
        '<circle cx="90" cy="206" r="50" fill="none" stroke="{shape}" stroke-width="8"/>'
        '<circle cx="90" cy="206" r="28" fill="none" stroke="{ink}" stroke-width="8"/>'
        '<circle cx="{x}" cy="206" r="9" fill="{shape}"/>'
    ),
}


def draw_cover(book: Book) -> str:
    """The cover as an address that holds the whole picture, an SVG of 180 by 270."""
    number = crc32(book.title.encode())
    ground, ink, shape = _COLOURS[book.shelf][number % 2]
    figure = _SHAPES[book.shelf].format(ink=ink, shape=shape, x=40 + number % 100)
    lines = wrap(book.title, 14, break_long_words=False)
    title = "".join(
        f'<text x="14" y="{38 + 21 * row}" font-size="17" font-weight="700">{escape(line)}</text>'
        for row, line in enumerate(lines)
    )
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 180 270">'
        f'<path d="M0 0h180v270H0z" fill="{ground}"/>{figure}'
        f'<g fill="{ink}" font-family="Georgia,serif">{title}'
        f'<text x="14" y="{38 + 21 * len(lines)}" font-size="13">{escape(book.author)}</text></g>'
        "</svg>"
    )
    return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()
