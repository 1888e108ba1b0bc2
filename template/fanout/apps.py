"""The app: registers the system checks."""

import logging

from django.apps import AppConfig
from django.core import checks

from fanout.pages.page import check_pages
from fanout.serving import checks as ours


class FanoutConfig(AppConfig):
    """Registers the system checks when Django starts."""

    name = "fanout"

    def ready(self) -> None:
        refusals = (ours.check_production, ours.check_key, ours.check_options, ours.check_urls)
        for check in (*refusals, ours.check_static_files, ours.check_handler, check_pages):
            checks.register(check, ours.TAG)
        checks.register(ours.check_deployment, deploy=True)
        logging.getLogger("django.security.DisallowedHost").addFilter(_drop_traceback)


def _drop_traceback(record: logging.LogRecord) -> bool:
    record.exc_info = None
    return True
