"""The app: registers the system checks."""

from django.apps import AppConfig
from django.core import checks

from fanout.serving.checks import REFUSALS, check_deployment, check_handler


class FanoutConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "fanout"

    def ready(self) -> None:
        for check in (*REFUSALS, check_handler):
            checks.register(check)
        checks.register(check_deployment, deploy=True)
