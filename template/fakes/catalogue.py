"""What the fake services answer: the same for the same name, viewer and day, always."""

from collections.abc import Callable, Iterable
from datetime import date, timedelta
from typing import Any
from zlib import crc32

from fakes.books import BOOKS, Book, draw_cover

JsonObject = dict[str, Any]

CAMPAIGNS = [
    (
        "Two for one on sea stories",
        "Take any two books from the harbour shelf and pay for one.",
        "sea",
    ),
    (
        "The garden shelf, 20% off",
        "Orchards, bees and late frost: for those who read outside.",
        "garden",
    ),
    ("Night trains and north windows", "City novels at a small price, all week.", "city"),
    (
        "Make time to think",
        "Slow books for busy people. A notebook comes with every order.",
        "mind",
    ),
]


def get_answer(name: str, user: str, today: date) -> JsonObject:
    """The answer of the service `name`, for the user with that id or for everybody if it is empty."""
    if name == "recco":
        return _recommend(user)
    if name in ANSWERS:
        return ANSWERS[name](today)
    return _list_books(name.replace("_", " ").capitalize(), _pick(name, 6))


def find_book(isbn: str) -> JsonObject | None:
    """What is known of the book with that number, if there is one."""
    books = {_number(book): book for book in BOOKS}
    if not (book := books.get(isbn)):
        return None
    near = [other.title for other in BOOKS if other.shelf == book.shelf and other != book]
    return {
        "isbn": isbn,
        "name": book.title,
        "writer": {"name": book.author},
        "about": f"From our {book.shelf} shelf, beside {near[0]} and {near[1]}.",
        "price": {"amount": f"{book.price:.2f}", "currency": "GBP"},
        "cover": draw_cover(book),
    }


def get_purchases(user: str) -> list[Book]:
    """The two books that a user has bought."""
    first = crc32(user.encode()) % len(BOOKS)
    return [BOOKS[first], BOOKS[(first + 7) % len(BOOKS)]]


def _recommend(user: str) -> JsonObject:
    if not user:
        return _list_books("Readers like these", _pick("recco", 6))
    items = []
    for bought in get_purchases(user):
        near = [book for book in BOOKS if book.shelf == bought.shelf and book != bought]
        items += [{**_show(b), "text": f"Because you bought {bought.title}"} for b in near[:3]]
    return {"title": "Recommended for you", "items": items}


def _promote(today: date) -> JsonObject:
    """Three campaigns, of which another one leads every day; they end on Sunday."""
    sunday = today + timedelta(days=6 - today.weekday())
    items = []
    for step in range(3):
        title, text, shelf = CAMPAIGNS[(today.toordinal() + step) % len(CAMPAIGNS)]
        book = next(book for book in BOOKS if book.shelf == shelf)
        items.append(
            {
                "title": title,
                "text": text,
                "url": _link(book),
                "image": draw_cover(book),
                "badge": f"Until {_format(sunday)}",
            }
        )
    return {"title": "This week", "items": items}


def _review(today: date) -> JsonObject:
    quotes = [
        ("I missed my stop, twice.", "Anna"),
        ("Slow in the best way. I gave it to my mother and had to buy another.", "Jonas"),
        ("The map at the front is worth the price alone.", "Priya"),
    ]
    books = _pick("reviews", len(quotes))
    items = [
        {
            "title": quote,
            "text": f"{reader} on {book.title}",
            "badge": f"{3 + number} out of 5 stars",
        }
        for number, ((quote, reader), book) in enumerate(zip(quotes, books, strict=True))
    ]
    return {"title": "What readers say", "items": items}


def _rank(today: date) -> JsonObject:
    books = _pick("bestsellers", 6)
    return {
        "title": "Bestsellers",
        "items": [{**_show(book), "badge": f"No. {n}"} for n, book in enumerate(books, 1)],
    }


def _reduce(today: date) -> JsonObject:
    items = [
        {**_show(book), "price": _price(book.price * 0.7), "badge": "30% off"}
        for book in _pick("deals", 6)
    ]
    return {"title": "Good books, small prices", "items": items}


def _invite(today: date) -> JsonObject:
    places = ["Reading room, 7 pm", "Café on the first floor, 6 pm", "Online, 8 pm"]
    books = _pick("events", len(places))
    items = [
        {
            "title": f"{book.author} reads from {book.title}",
            "text": place,
            "badge": _format(today + timedelta(days=3 + 5 * number)),
        }
        for number, (book, place) in enumerate(zip(books, places, strict=True))
    ]
    return {"title": "Meet the authors", "items": items}


def _introduce(today: date) -> JsonObject:
    items = [
        {"title": book.author, "text": f"wrote {book.title}", "url": _link(book)}
        for book in _pick("authors", 4)
    ]
    return {"title": "Authors to discover", "items": items}


def _report(today: date) -> JsonObject:
    headlines = [
        ("Open on Sundays in December", "From noon to five, with tea."),
        ("Our book club starts again", "First we read The Tide Clerk."),
        ("Old books, new shelf", "Bring what you have read; take half its price."),
    ]
    items = [
        {"title": title, "text": text, "badge": _format(today - timedelta(days=2 + 6 * number))}
        for number, (title, text) in enumerate(headlines)
    ]
    return {"title": "From the shop", "items": items}


def _list(name: str, title: str, count: int) -> Callable[[date], JsonObject]:
    return lambda today: _list_books(title, _pick(name, count))


ANSWERS: dict[str, Callable[[date], JsonObject]] = {
    "promo": _promote,
    "reviews": _review,
    "bestsellers": _rank,
    "new_arrivals": _list("new_arrivals", "New arrivals", 6),
    "events": _invite,
    "staff_picks": _list("staff_picks", "Our favourites", 6),
    "authors": _introduce,
    "deals": _reduce,
    "gift_ideas": _list("gift_ideas", "Gift ideas", 6),
    "audiobooks": _list("audiobooks", "Books to listen to", 6),
    "news": _report,
}


def _pick(name: str, count: int) -> list[Book]:
    """Books from all shelves, others for every name."""
    first = crc32(name.encode())
    return [BOOKS[(first + 5 * step) % len(BOOKS)] for step in range(count)]


def _list_books(title: str, books: Iterable[Book]) -> JsonObject:
    return {"title": title, "items": [_show(book) for book in books]}


def _show(book: Book) -> dict[str, str]:
    return {
        "title": book.title,
        "author": book.author,
        "price": _price(book.price),
        "url": _link(book),
        "image": draw_cover(book),
    }


def _link(book: Book) -> str:
    return f"/books/{_number(book)}/"


def _number(book: Book) -> str:
    return str(BOOKS.index(book) + 1)


def _price(amount: float) -> str:
    return f"£{amount:.2f}"


def _format(day: date) -> str:
    return f"{day.day} {day:%B}"
