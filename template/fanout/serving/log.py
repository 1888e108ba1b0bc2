"""The log in production: one JSON object per line, whatever is in it."""

import logging
import sys
from typing import Any

from pythonjsonlogger.core import RESERVED_ATTRS
from pythonjsonlogger.json import JsonFormatter as BaseFormatter

from fanout.calls.headers import request_id

NAMES = {"levelname": "level", "name": "logger", "exc_info": "exception"}
LEFT_OUT = ("request", "color_message")  # Django's holds the visitor's query, uvicorn's escapes


class JsonFormatter(BaseFormatter):
    """`time` (UTC), `level`, `logger`, `message`, and the fields that a line brings."""

    def __init__(self) -> None:
        fields, reserved = ["levelname", "name", "message"], [*RESERVED_ATTRS, *LEFT_OUT]
        super().__init__(fields, rename_fields=NAMES, reserved_attrs=reserved, timestamp="time")

    def add_fields(self, log_data: dict[str, Any], *args: Any, **kwargs: Any) -> None:
        super().add_fields(log_data, *args, **kwargs)
        if known := request_id.get():
            log_data.setdefault("request_id", known)
        if trace := sys.modules.get("opentelemetry.trace"):
            context = trace.get_current_span().get_span_context()
            if context.is_valid:
                log_data["trace_id"] = trace.format_trace_id(context.trace_id)
                log_data["span_id"] = trace.format_span_id(context.span_id)


class Handler(logging.StreamHandler):
    """What Django refuses, such as a Host, is one line, without a traceback; Django 5.2 has two."""

    def filter(self, record: Any) -> Any:
        about = getattr(getattr(record, "request", record), "__dict__", {})
        if record.name.startswith("django.security."):
            record.exc_info, about["refused"] = None, True
        again = record.name == "django.request" and record.levelname == "WARNING"
        return not (again and "refused" in about) and super().filter(record)
