#!/usr/bin/env python
"""Django's command line: `serve` in production mode, all else in development mode.

DJANGO_DEBUG wins over that.
"""

import os
import sys


def main() -> None:
    """Run the command; a bad environment variable or database ends in one sentence."""
    from django.conf import settings
    from django.core import checks
    from django.core.management import execute_from_command_line
    from django.db import OperationalError
    from environs import EnvError

    from config.update import check_update

    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] != ["serve"]:
        os.environ.setdefault("DJANGO_DEVELOPMENT", "true")
    checks.register(check_update)
    try:
        execute_from_command_line(sys.argv)
    except EnvError as error:
        sys.exit(str(error))
    except OperationalError as error:
        cause, said = error.__cause__, " ".join(str(error).split())
        if getattr(cause, "sqlite_errorname", "SQLITE_ERROR") != "SQLITE_ERROR":
            file = settings.DATABASES["default"]["NAME"]
            sys.exit(f"SQLite cannot use {file}: {said}. It writes there and into its folder.")
        if getattr(cause, "sqlstate", "") is not None:
            raise  # not of the connection to PostgreSQL
        sys.exit(f"The database of DATABASE_URL cannot be used: {said}")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:  # while it imports, too
        sys.exit(130)
