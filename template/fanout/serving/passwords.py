"""Passwords take a core for half a second: meanwhile nobody waits for the database."""

from typing import Any

from django.contrib.auth import hashers
from django.db import connections


def give_back_connections() -> None:
    """Let others have the connections of this thread's pools, but for those in a transaction."""
    for connection in connections.all(initialized_only=True):
        if getattr(connection, "pool", None) and connection.autocommit:
            connection.close()


class PBKDF2PasswordHasher(hashers.PBKDF2PasswordHasher):
    """Django's, which makes and checks the same hashes, but holds no connection of a pool."""

    def encode(self, *args: Any, **kwargs: Any) -> str:
        """The hash of a password. To verify one makes it again."""
        give_back_connections()
        return super().encode(*args, **kwargs)
