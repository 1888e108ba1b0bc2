"""Yours: how each service is called, and what it answers. README.md says how any backend is.

This is how `promo` would get less time; one without a class is called like any other:

    from fanout import Service

    class Promo(Service):
        timeout = 0.5
"""

from fanout import Service


class Recco(Service):
    """What to read next, for whoever is logged in."""

    personal = True
