"""The app: registers the system checks."""

from django.apps import AppConfig
from django.core import checks

from fanout.checks import check_production, check_urls


class FanoutConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "fanout"

    def ready(self) -> None:
        """Register them."""
        checks.register(check_production)
        checks.register(check_urls)
