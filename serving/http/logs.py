"""Log lines of the service, as text or as one JSON object each: of requests, of the service and of its libraries.

A line tells the request's id, route template, status and time, never a customer: no path, no query string, no message
of an exception (it may quote what it failed on).
"""

from __future__ import annotations

import logging
import sys
from datetime import UTC, datetime
from typing import Any, TextIO

import orjson

from kernel.service_settings import ServiceSettings
from serving.http.failures import REQUEST, RequestFacts, places

ACCESS = logging.getLogger("foresight.access")
_OURS = ("foresight", "bentoml", "uvicorn.error", "circus")
_FIELDS = "fields"


def configure_logging(settings: ServiceSettings, stream: TextIO | None = None) -> None:
    """One handler for the whole process; BentoML's own are taken away. Other libraries are heard from warnings on."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonLines() if settings.log_format == "json" else TextLines())
    level = settings.log_level.upper()
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(logging.getLevelNamesMapping()[level], logging.WARNING))
    for name in _OURS:
        logger = logging.getLogger(name)
        logger.handlers, logger.propagate = [], True
        logger.setLevel(level)
    without_addresses()


def without_addresses() -> None:
    """Switch uvicorn's access log off: it writes whole addresses, with the customer's id and the token in them."""
    logging.getLogger("uvicorn.access").disabled = True


def log_request(method: str, route: str, status: int, seconds: float) -> None:
    """One line for a request that was answered."""
    if ACCESS.isEnabledFor(logging.INFO):
        milliseconds = round(1000 * seconds, 3)
        fields = {"method": method, "route": route, "status": status, "milliseconds": milliseconds}
        # Made by hand: the logger would look up who called it, which takes as long as the rest.
        told = (method, route, status, milliseconds)
        ACCESS.handle(
            ACCESS.makeRecord(ACCESS.name, logging.INFO, "", 0, "%s %s %s %s ms", told, None, extra={_FIELDS: fields})
        )


class _Lines(logging.Formatter):
    """What both forms have in common."""

    def facts(self, record: logging.LogRecord) -> dict[str, Any]:
        """Time, level, logger and message; of a request its facts besides."""
        facts = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **getattr(record, _FIELDS, {}),
        }
        error = record.exc_info[1] if record.exc_info else None
        if error is not None:
            facts["error"], facts["places"] = type(error).__name__, places(error)
        request = REQUEST.get()
        return facts if request is None else facts | _known(request)


def _known(request: RequestFacts) -> dict[str, str]:
    known = {"request_id": request.request_id}
    for name in ("key", "trace_id", "error"):
        if value := getattr(request, name):
            known[name] = value
    return known


class JsonLines(_Lines):
    """One JSON object a line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        return orjson.dumps(self.facts(record), default=str).decode()


class TextLines(_Lines):
    """For a person: time, level, logger, message, and the other facts as ``name=value``."""

    def format(self, record: logging.LogRecord) -> str:
        """The line."""
        facts = self.facts(record)
        for name in getattr(record, _FIELDS, {}):
            del facts[name]  # the message has them
        begin = [facts.pop("time"), facts.pop("level").upper(), facts.pop("logger"), facts.pop("message")]
        return " ".join([*begin, *(f"{name}={value}" for name, value in facts.items())])
