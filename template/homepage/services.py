"""Yours: how each service is called. One without a class is called like any other.

This is how `promo` would get less time; fanout/README.md has all options:

    from fanout import Service

    class Promo(Service):
        timeout = 0.5
"""

from fanout import Service


class Recco(Service):
    """What to read next, for whoever is logged in."""

    personal = True
