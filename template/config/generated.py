"""Your answers, as Python. `copier update` rewrites this file: change the answers, not the file."""

TITLE = "Bookshop"
STYLE = "gather"
SERVICES: dict[str, dict[str, object]] = {
    "promo": {},
    "recco": {"personal": True},
}
