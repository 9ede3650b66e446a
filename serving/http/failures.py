"""Failures that nobody foresaw, in the log without a word of what the customer is."""

from __future__ import annotations

import logging
import traceback
from contextvars import ContextVar

from pydantic import ValidationError

from serving.http.problems import Problem, problem_of

REQUEST_ID: ContextVar[str] = ContextVar("foresight_request_id", default="-")
_LOGGER = logging.getLogger("foresight.http")


def answered(error: Exception) -> Problem:
    """The problem a client gets for ``error``; what is the service's own fault is logged."""
    problem = problem_of(error)
    if problem.status >= 500:
        log_failure(error)
    return problem


def log_failure(error: BaseException) -> None:
    """The kind of the error and the lines it came from; its message may quote a customer, so it is left out."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    places = " <- ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))
    _LOGGER.error("request %s failed: %s at %s", REQUEST_ID.get(), type(error).__name__, places)


class WithoutCustomers(logging.Filter):
    """Takes errors' messages and tracebacks out of a library's log records; a client's mistake is no record at all."""

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the record stays."""
        error = record.exc_info[1] if record.exc_info else None
        if error is None:
            return True
        if not isinstance(error, ValidationError):
            log_failure(error)
        return False
