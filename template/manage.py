#!/usr/bin/env python
"""Django's command line: `serve` in production mode, all else in development mode.

DJANGO_DEBUG wins over that.
"""

import os
import sys

from django.core import checks
from django.core.management import execute_from_command_line
from environs import EnvError

from config.checks import check_update


def main() -> None:
    """Run the command; a bad environment variable ends in one sentence."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "config.settings")
    if sys.argv[1:2] != ["serve"]:
        os.environ.setdefault("DJANGO_DEVELOPMENT", "true")
    checks.register(check_update)
    try:
        execute_from_command_line(sys.argv)
    except EnvError as error:
        sys.exit(str(error))


if __name__ == "__main__":
    main()
