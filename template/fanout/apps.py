"""The app: registers the system checks."""

from django.apps import AppConfig
from django.core import checks

from fanout.checks import (
    check_deployment,
    check_options,
    check_production,
    check_static_files,
    check_urls,
)


class FanoutConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "fanout"

    def ready(self) -> None:
        """Register them."""
        for check in (check_production, check_urls, check_options, check_static_files):
            checks.register(check)
        checks.register(check_deployment, deploy=True)
