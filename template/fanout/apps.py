"""The app: registers the system checks."""

from django.apps import AppConfig
from django.core import checks

from fanout.checks import REFUSALS, check_deployment


class FanoutConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "fanout"

    def ready(self) -> None:
        """Register them."""
        for check in REFUSALS:
            checks.register(check)
        checks.register(check_deployment, deploy=True)
