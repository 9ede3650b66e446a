"""What is known of the request being answered, and failures that nobody foresaw; without a word of the customer."""

from __future__ import annotations

import logging
import traceback
from contextvars import ContextVar
from dataclasses import dataclass

from pydantic import ValidationError

from serving.http.problems import Problem, problem_of


@dataclass(slots=True)
class RequestFacts:
    """What log lines and metrics say of one request; nothing of a customer.

    Attributes:
        request_id: as given by the client, or drawn.
        key: the name of the API key; "" where none was asked for.
        trace_id: 32 hexadecimal digits; "" where the request is not traced.
        error: the kind of error that it failed with; "" where it did not fail by the service's own fault.
    """

    request_id: str = "-"
    key: str = ""
    trace_id: str = ""
    error: str = ""


REQUEST: ContextVar[RequestFacts | None] = ContextVar("foresight_request", default=None)
_LOGGER = logging.getLogger("foresight.http")


def answered(error: Exception) -> Problem:
    """The problem a client gets for ``error``; what is the service's own fault is logged."""
    problem = problem_of(error)
    if problem.status >= 500:
        log_failure(error)
    return problem


def log_failure(error: BaseException) -> None:
    """The kind of the error and the lines it came from; its message may quote a customer, so it is left out."""
    facts = REQUEST.get() or RequestFacts()
    facts.error = type(error).__name__
    _LOGGER.error("request %s failed: %s at %s", facts.request_id, facts.error, places(error))


def places(error: BaseException) -> str:
    """The lines that an error came from, the innermost first."""
    frames = traceback.extract_tb(error.__traceback__)[-6:]
    return " <- ".join(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in reversed(frames))


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
