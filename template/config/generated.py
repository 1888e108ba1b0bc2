"""Your answers, as Python. `copier update` rewrites this file: change the answers, not the file."""

TITLE = "Bookshop"
SLUG = "bookshop"
STYLE = "gather"
SERVICES = [
    "promo",
    "recco",
]
