"""What the fake services answer: the same for the same name, always."""

from typing import Any
from zlib import crc32

BOOKS = [
    ("The Patient Thread", "Ines Calloway", "14.90"),
    ("A Field Guide to Waiting", "Tomas Brandt", "22.00"),
    ("Nine Harbours", "Leila Okafor", "12.50"),
    ("The Lighthouse Ledger", "Mirek Novak", "18.00"),
    ("Small Hours, Large Rooms", "Hana Sato", "16.40"),
    ("Rain on the Archive", "Peter Lindqvist", "11.90"),
    ("The Cartographer's Sister", "Amara Nwosu", "19.80"),
    ("Everything at Once", "Jo Whitfield", "15.00"),
    ("Salt Roads", "Carmen Ibarra", "13.20"),
    ("The Borrowed Orchard", "Elif Demir", "17.60"),
]

TITLES = {
    "promo": "This week",
    "recco": "Recommended for you",
    "reviews": "What readers say",
    "bestsellers": "Bestsellers",
    "new_arrivals": "New arrivals",
    "events": "Meet the authors",
    "staff_picks": "Our favourites",
    "authors": "Authors to discover",
    "deals": "Good books, low prices",
    "gift_ideas": "Gifts",
    "audiobooks": "Books to listen to",
    "news": "From the shop",
}


def get_answer(name: str) -> dict[str, Any]:
    """The answer of the service `name`: a title and three items, as the contract has it."""
    first = crc32(name.encode())
    books = [BOOKS[(first + step) % len(BOOKS)] for step in range(3)]
    return {
        "title": TITLES.get(name, name.replace("_", " ").capitalize()),
        "items": [
            {"title": title, "text": f"{author}, £{price}", "author": author, "price": price}
            for title, author, price in books
        ],
    }
