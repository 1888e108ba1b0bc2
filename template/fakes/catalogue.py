"""What the fake services answer: the same for the same name, viewer and day, always."""

import base64
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date, timedelta
from html import escape
from textwrap import wrap
from typing import Any
from zlib import crc32

JsonObject = dict[str, Any]
Items = list[dict[str, str]]


@dataclass(frozen=True)
class Book:
    """A book that nobody wrote."""

    title: str
    author: str
    price: float
    shelf: str

    @property
    def url(self) -> str:
        """Its page, whose number is its place among all."""
        return f"/books/{BOOKS.index(self) + 1}/"

    @property
    def near(self) -> list["Book"]:
        """The others on its shelf."""
        return [book for book in BOOKS if book.shelf == self.shelf and book != self]

    def show(self, **more: str) -> dict[str, str]:
        """It as an item of a section, with more to say or other things."""
        item = {"title": self.title, "author": self.author, "price": f"£{self.price:.2f}"}
        return {**item, "url": self.url, "image": self.draw(), **more}

    def draw(self) -> str:
        """The cover as an address that holds the whole picture, an SVG of 180 by 270."""
        number = crc32(self.title.encode())
        ground, ink, shape = COLOURS[self.shelf][number % 2]
        figure = SHAPES[self.shelf].format(ink=ink, shape=shape, x=40 + number % 100)
        lines = wrap(self.title, 14, break_long_words=False)
        title = "".join(
            f'<text x="14" y="{38 + 21 * row}" font-size="17" font-weight="700">{escape(line)}</text>'
            for row, line in enumerate(lines)
        )
        y = 38 + 21 * len(lines)
        svg = (
            '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 180 270">'
            f'<path d="M0 0h180v270H0z" fill="{ground}"/>{figure}'
            f'<g fill="{ink}" font-family="Georgia,serif">{title}'
            f'<text x="14" y="{y}" font-size="13">{escape(self.author)}</text></g></svg>'
        )
        return "data:image/svg+xml;base64," + base64.b64encode(svg.encode()).decode()


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
COLOURS = {
    "sea": [("#12475e", "#f3c969", "#7fb7be"), ("#e9dcc0", "#14394d", "#3f8f9b")],
    "garden": [("#2f5d3a", "#f4e3b2", "#d97d54"), ("#f1e4c3", "#2f5d3a", "#c4572f")],
    "city": [("#4a2545", "#f6c48f", "#9a6a94"), ("#f0c9a8", "#4a2545", "#b8574f")],
    "mind": [("#23395b", "#f7f3e3", "#e4572e"), ("#f7f3e3", "#23395b", "#e4572e")],
}
SHAPES = {
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

# One for each shelf, in their order.
CAMPAIGNS = {
    "Two for one on sea stories": "Take any two books from the harbour shelf and pay for one.",
    "The garden shelf, 20% off": "Orchards, bees and late frost: for those who read outside.",
    "Night trains and north windows": "City novels at a small price, all week.",
    "Make time to think": "Slow books for busy people. A notebook comes with every order.",
}


def get_answer(name: str, user: str, today: date) -> JsonObject:
    """The answer of the service `name`, for the user with that id or for everybody if it is empty."""
    if name == "recco" and user:
        return {"title": "Recommended for you", "items": _recommend(user)}
    title, make = ANSWERS.get(name, (name.replace("_", " ").capitalize(), _list))
    first = crc32(name.encode())  # books from all shelves, others for every name
    books = [BOOKS[(first + 5 * step) % len(BOOKS)] for step in range(6)]
    return {"title": title, "items": make(books, today)}


def find_book(isbn: str) -> JsonObject | None:
    """What is known of the book with that number, if there is one."""
    if not (book := next((book for book in BOOKS if book.url == f"/books/{isbn}/"), None)):
        return None
    one, other, *_ = book.near
    return {
        "isbn": isbn,
        "name": book.title,
        "writer": {"name": book.author},
        "about": f"From our {book.shelf} shelf, beside {one.title} and {other.title}.",
        "price": {"amount": f"{book.price:.2f}", "currency": "GBP"},
        "cover": book.draw(),
    }


def get_purchases(user: str) -> list[Book]:
    """The two books that a user has bought."""
    first = crc32(user.encode()) % len(BOOKS)
    return [BOOKS[first], BOOKS[(first + 7) % len(BOOKS)]]


def _recommend(user: str) -> Items:
    return [
        book.show(text=f"Because you bought {bought.title}")
        for bought in get_purchases(user)
        for book in bought.near[:3]
    ]


def _list(books: list[Book], today: date) -> Items:
    return [book.show() for book in books]


def _promote(books: list[Book], today: date) -> Items:
    """Three campaigns, of which another one leads every day; they end on Sunday."""
    badge = f"Until {_format(today, 6 - today.weekday())}"
    campaigns = [*zip(COLOURS, CAMPAIGNS.items(), strict=True)]
    items = []
    for step in range(3):
        shelf, (title, text) = campaigns[(today.toordinal() + step) % len(campaigns)]
        book = next(book for book in BOOKS if book.shelf == shelf)
        picture = {"url": book.url, "image": book.draw()}
        items.append({"title": title, "text": text, **picture, "badge": badge})
    return items


def _review(books: list[Book], today: date) -> Items:
    quotes = [
        ("I missed my stop, twice.", "Anna"),
        ("Slow in the best way. I gave it to my mother and had to buy another.", "Jonas"),
        ("The map at the front is worth the price alone.", "Priya"),
    ]
    return [
        {"title": quote, "text": f"{reader} on {book.title}", "badge": f"{stars} out of 5 stars"}
        for stars, ((quote, reader), book) in enumerate(zip(quotes, books, strict=False), 3)
    ]


def _rank(books: list[Book], today: date) -> Items:
    return [book.show(badge=f"No. {number}") for number, book in enumerate(books, 1)]


def _reduce(books: list[Book], today: date) -> Items:
    return [book.show(price=f"£{book.price * 0.7:.2f}", badge="30% off") for book in books]


def _invite(books: list[Book], today: date) -> Items:
    places = {3: "Reading room, 7 pm", 8: "Café on the first floor, 6 pm", 13: "Online, 8 pm"}
    return [
        {"title": f"{b.author} reads from {b.title}", "text": place, "badge": _format(today, days)}
        for b, (days, place) in zip(books, places.items(), strict=False)
    ]


def _introduce(books: list[Book], today: date) -> Items:
    return [
        {"title": book.author, "text": f"wrote {book.title}", "url": book.url} for book in books[:4]
    ]


def _report(books: list[Book], today: date) -> Items:
    headlines = [
        ("Open on Sundays in December", "From noon to five, with tea."),
        ("Our book club starts again", "First we read The Tide Clerk."),
        ("Old books, new shelf", "Bring what you have read; take half its price."),
    ]
    return [
        {"title": title, "text": text, "badge": _format(today, -2 - 6 * number)}
        for number, (title, text) in enumerate(headlines)
    ]


def _format(today: date, days: int) -> str:
    day = today + timedelta(days)
    return f"{day.day} {day:%B}"


# What services have to say other than six books under their names.
ANSWERS: dict[str, tuple[str, Callable[[list[Book], date], Items]]] = {
    "promo": ("This week", _promote),
    "recco": ("Readers like these", _list),
    "reviews": ("What readers say", _review),
    "bestsellers": ("Bestsellers", _rank),
    "events": ("Meet the authors", _invite),
    "staff_picks": ("Our favourites", _list),
    "authors": ("Authors to discover", _introduce),
    "deals": ("Good books, small prices", _reduce),
    "audiobooks": ("Books to listen to", _list),
    "news": ("From the shop", _report),
}
