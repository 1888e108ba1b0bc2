"""Your answers, as Python. `copier update` rewrites this file: change the answers, not the file."""

TITLE = "Bookshop"
STYLE = "gather"
SERVICES = [
    "promo",
    "recco",
]
