"""RFC 9457: every error is one small document that says what is wrong, and never holds a customer's data."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from http import HTTPStatus
from typing import Any, cast

import orjson
from pydantic import ValidationError
from starlette.responses import Response

from features.engine.online import OnlineUnavailableError
from kernel.errors import ForesightError, NotFoundError
from serving.feedback.errors import (
    EventConflictError,
    StoreFullError,
    StoreUnavailableError,
    UnknownActionError,
    UnknownDecisionError,
)
from serving.fresh_events import EventsError, NoHistoryError
from serving.insights import ModelsUnavailableError
from serving.schemas import FieldProblem, ProblemAnswer
from serving.scoring.band_log import BandsUnavailableError
from serving.what_if import WhatIfError

MEDIA_TYPE = "application/problem+json"
INTERNAL = "The service failed; the log has the request id."
_WHOLE_BODY = "(body)"
_ATTRIBUTES = ["profile", "customer", "attributes"]


class Problem(Exception):  # noqa: N818 - RFC 9457's own word
    """An answer that is an error.

    Attributes:
        status: the HTTP status, 400 to 599.
        kind: the last word of the problem's type, such as ``too-many-ids``.
        detail: one sentence for a person.
        errors: the fields that are wrong.
    """

    def __init__(
        self,
        status: int,
        kind: str,
        detail: str,
        *,
        errors: tuple[FieldProblem, ...] = (),
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.errors = errors
        self.headers = dict(headers or {})

    def body(self) -> bytes:
        """The document, as JSON."""
        answer = ProblemAnswer(
            type=f"urn:foresight:problem:{self.kind}",
            title=HTTPStatus(self.status).phrase,
            status=self.status,
            detail=self.detail,
            errors=self.errors,
        )
        return answer.model_dump_json().encode()

    def response(self) -> Response:
        """The document, as a response."""
        return Response(self.body(), self.status, headers=self.headers, media_type=MEDIA_TYPE)


def problem_of(error: Exception) -> Problem:
    """What a client is told of ``error``; anything unforeseen says nothing but that the service failed."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, ValidationError):
        return invalid_request(error.errors(include_input=False, include_url=False, include_context=False))
    if isinstance(error, WhatIfError | EventsError):
        wrong = FieldProblem(field=error.where, message=error.what)
        return Problem(400, "invalid-request", f"{error.what} {error.fix}", errors=(wrong,))
    for kind_of_error, status, kind, headers in _KNOWN:
        if isinstance(error, kind_of_error):
            return Problem(status, kind, f"{error.what} {error.fix}", headers=headers)
    return Problem(500, "internal", INTERNAL)


_KNOWN: tuple[tuple[type[ForesightError], int, str, dict[str, str]], ...] = (
    (UnknownDecisionError, 404, "unknown-decision", {}),
    (UnknownActionError, 400, "unknown-action", {}),
    (EventConflictError, 409, "event-conflict", {}),
    (ModelsUnavailableError, 503, "not-ready", {"Retry-After": "5"}),
    (StoreFullError, 503, "store-full", {"Retry-After": "60"}),
    (StoreUnavailableError, 503, "store-unavailable", {"Retry-After": "5"}),
    (OnlineUnavailableError, 503, "store-unavailable", {"Retry-After": "5"}),
    (BandsUnavailableError, 503, "store-unavailable", {"Retry-After": "5"}),
    (NoHistoryError, 409, "no-history-stored", {}),
    (NotFoundError, 404, "not-found", {}),
)


def invalid_request(errors: Sequence[Mapping[str, Any]]) -> Problem:
    """400 with the path of every wrong field; JSON that cannot be read has its line and column in the message."""
    fields = tuple(FieldProblem(field=_path(error["loc"]), message=_message(error)) for error in errors[:100])
    malformed = any(error["type"] == "json_invalid" for error in errors)
    if malformed:
        return Problem(400, "malformed-json", "The body is not valid JSON.", errors=fields)
    return Problem(400, "invalid-request", "The request does not fit the schema (GET /openapi.json).", errors=fields)


def _path(location: Iterable[Any]) -> str:
    parts = [str(part) for part in location]
    if parts[:3] == _ATTRIBUTES:
        parts = parts[:4]  # after the name comes which of its types was tried
    if parts[:1] == ["what_if"]:
        parts = parts[:2]
    return ".".join(parts) or _WHOLE_BODY


def _message(error: Mapping[str, Any]) -> str:
    return str(error["msg"]).removeprefix("Value error, ")


def problem_of_response(status: int, body: bytes) -> Problem:
    """The problem that an error of the libraries below (BentoML, Starlette), in one of their shapes, stands for."""
    if status >= 500:
        return _SERVER_PROBLEMS.get(status, lambda: Problem(500, "internal", INTERNAL))()
    try:
        content: Any = orjson.loads(body)
    except orjson.JSONDecodeError:
        content = None
    detail = cast("dict[str, Any]", content).get("detail") if isinstance(content, dict) else None
    if status == 400 and isinstance(detail, list):
        return invalid_request(cast("list[dict[str, Any]]", detail))
    kind, sentence = _CLIENT_PROBLEMS.get(status, ("refused", f"{HTTPStatus(status).phrase}."))
    return Problem(status, kind, sentence)


_CLIENT_PROBLEMS = {
    400: ("invalid-request", "The request could not be read."),
    404: ("not-found", "There is nothing at this path; GET /openapi.json lists what there is."),
    405: ("method-not-allowed", "This path does not answer that method; GET /openapi.json lists what there is."),
    415: ("unsupported-media-type", "Send the body as application/json, not compressed."),
    429: ("overloaded", "The service answers as many requests as it can; try again."),
}
_SERVER_PROBLEMS: dict[int, Callable[[], Problem]] = {
    503: lambda: Problem(503, "not-ready", "The service is not ready.", headers={"Retry-After": "5"}),
    504: lambda: Problem(504, "timeout", "The answer took too long."),
}
