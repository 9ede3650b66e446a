"""The operations of the interface: what OpenAPI says of each."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from serving.http import paths
from serving.http.openapi_schemas import problem_example, reference, schema_examples
from serving.http.problem_kinds import KINDS, RETRIED
from serving.http.problems import MEDIA_TYPE
from serving.schemas import (
    ChangesAnswer,
    CustomerInsight,
    FeedbackAnswer,
    FeedbackRequest,
    PanelTokenAnswer,
    PanelTokenRequest,
    ProblemAnswer,
    RecommendationAnswer,
    RecommendationRequest,
    ScoreAnswer,
    ScoreRequest,
)

TAGS = {
    "scores": "What is predicted for customers; nothing is kept.",
    "decisions": "What to do next, and what became of it; everything is kept before it is answered.",
    "screens": "HTML for the screens of a CRM.",
    "operations": "For those who run the service.",
}
_LOCKED = ("key-required", "key-expired", "scope-required", "rate-limited")
_BY_TOKEN = ("token-invalid", "token-expired", "token-elsewhere")
_ANY = ("head-too-large", "overloaded", "internal", "not-ready", "timeout")
_BODY = ("malformed-json", "json-too-deep", "invalid-request", "body-too-large", "unsupported-media-type")
_CUSTOMERS = ("not-found", "store-unavailable")
_WHOM = ("invalid-profile", "no-history-stored", "too-many-ids", *_CUSTOMERS)
_IDEMPOTENT = (
    "invalid-idempotency-key",
    "idempotency-key-reused",
    "request-in-flight",
    "store-unavailable",
    "store-full",
)
_EVENT = ("unknown-action", "unknown-decision", "event-conflict")


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path.

    Attributes:
        path: a template of :mod:`serving.http.paths`.
        name: the operation id.
        problems: the kinds that it answers.
        request: the body; with one, it is a POST.
        answer: the body of 200, a model or a media type; empty where there is none to speak of.
        writes: whether it takes an Idempotency-Key.
        public: whether it answers without a key.
    """

    path: str
    name: str
    tag: str
    summary: str
    description: str
    problems: tuple[str, ...]
    request: type[BaseModel] | None = None
    answer: type[BaseModel] | str = ""
    writes: bool = False
    public: bool = False


OPERATIONS = (
    Operation(
        paths.SCORE,
        "score",
        "scores",
        "Score customers",
        "Churn, lifetime value and actions of one stored customer, of several, or of a whole profile in the body.",
        (*_LOCKED, *_BODY, *_WHOM, *_ANY),
        ScoreRequest,
        ScoreAnswer,
    ),
    Operation(
        paths.RECOMMENDATIONS,
        "recommend",
        "decisions",
        "Recommend the next best actions",
        "Answers as score does, but keeps each decision before it answers; send decision_id with feedback.",
        (*_LOCKED, *_BODY, *_WHOM, *_IDEMPOTENT, *_ANY),
        RecommendationRequest,
        RecommendationAnswer,
        writes=True,
    ),
    Operation(
        paths.FEEDBACK,
        "recordFeedback",
        "decisions",
        "Keep what became of a recommended action",
        "When the answer has come, the event is on disk. The same event_id again changes nothing.",
        (*_LOCKED, *_BY_TOKEN, *_BODY, *_EVENT, *_IDEMPOTENT, *_ANY),
        FeedbackRequest,
        FeedbackAnswer,
        writes=True,
    ),
    Operation(
        paths.PANEL_TOKENS,
        "makePanelToken",
        "screens",
        "Sign a token that opens the insight card of one customer",
        "For the back end of a CRM: the token goes to the browser, the API key never does.",
        (*_LOCKED, *_BODY, "no-token-secret", *_ANY),
        PanelTokenRequest,
        PanelTokenAnswer,
    ),
    Operation(
        paths.CUSTOMER,
        "getCustomer",
        "scores",
        "Get what is predicted for one stored customer",
        "The same as score with one customer_id.",
        (*_LOCKED, *_BY_TOKEN, *_CUSTOMERS, *_ANY),
        answer=CustomerInsight,
    ),
    Operation(
        paths.CHANGES,
        "getChanges",
        "scores",
        "Get what would bring one stored customer into a lower churn band",
        "What the model says of customers who are like this one but for one behaviour, the nearest first.",
        (*_LOCKED, *_BY_TOKEN, *_CUSTOMERS, *_ANY),
        answer=ChangesAnswer,
    ),
    Operation(
        paths.PANEL,
        "getPanel",
        "screens",
        "Show the insight card of one stored customer",
        "An HTML page; its decision is kept, since a person is about to see it. An error is a page too.",
        (*_LOCKED, *_BY_TOKEN, *_CUSTOMERS, "store-full", *_ANY),
        answer="text/html",
    ),
    Operation(
        paths.CARD,
        "getCard",
        "screens",
        "Get the insight card of one stored customer for the element <customer-insight>",
        "HTML without a page around it; its decision is kept, since a person is about to see it.",
        (*_LOCKED, *_BY_TOKEN, *_CUSTOMERS, "store-full", *_ANY),
        answer="text/html",
    ),
    Operation(
        paths.METRICS,
        "getMetrics",
        "operations",
        "Metrics for Prometheus",
        "No customer id is a label.",
        (*_LOCKED, *_ANY),
        answer="text/plain",
    ),
    Operation(paths.LIVEZ, "isAlive", "operations", "Whether the process runs", "For probes.", (), public=True),
    Operation(
        paths.READYZ,
        "isReady",
        "operations",
        "Whether models are loaded and the store answers",
        "For probes; 503 until it is so.",
        ("not-ready",),
        public=True,
    ),
)


def path_items() -> dict[str, Any]:
    """``paths`` of the document."""
    return {one.path: {"get" if one.request is None else "post": _operation(one)} for one in OPERATIONS}


def _operation(one: Operation) -> dict[str, Any]:
    described: dict[str, Any] = {
        "operationId": one.name,
        "tags": [one.tag],
        "summary": one.summary,
        "description": one.description,
    }
    parameters = list(_parameters(one))
    if parameters:
        described["parameters"] = parameters
    if one.request is not None:
        described["requestBody"] = {"required": True, "content": _content(one.request)}
    answered: dict[str, Any] = {"description": "Done.", "headers": {"X-Request-Id": _header(_REQUEST_ID)}}
    if one.answer:
        answered["content"] = {one.answer: {}} if isinstance(one.answer, str) else _content(one.answer)
    if one.writes:
        answered["headers"]["Idempotent-Replayed"] = _header("true where this is the stored first answer, once more")
    described["responses"] = {"200": answered, **_problems(one)}
    if one.public:
        described["security"] = []
    elif one.path in paths.BY_TOKEN:
        described["security"] = [{"apiKey": []}, {"panelToken": []}]
    return described


_REQUEST_ID = "your X-Request-Id, or one that the service made"


def _parameters(one: Operation) -> Iterable[dict[str, Any]]:
    if "{customer_id}" in one.path:
        schema = {"type": "string", "minLength": 1}
        described = "the id of a customer in the snapshot in service"
        yield {"name": "customer_id", "in": "path", "required": True, "description": described, "schema": schema} | {
            "example": "1603"
        }
    if one.writes:
        schema = {"type": "string", "minLength": 1, "maxLength": 200, "pattern": "^[!-~]+$"}
        described = "yours, one for each request: the same request again is answered as it was the first time"
        yield {"name": "Idempotency-Key", "in": "header", "required": False, "description": described} | {
            "schema": schema,
            "example": "0f2b6c2e-5a1e-4b62-9d1e-3c1b8f1f7a10",
        }


def _content(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": reference(model), "example": schema_examples()[model.__name__][0]}}


def _header(description: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}}


def _problems(one: Operation) -> dict[str, Any]:
    by_status: dict[int, list[str]] = {}
    for kind in one.problems:
        by_status.setdefault(KINDS[kind].status, []).append(kind)
    return {str(status): _problem(status, one, kinds) for status, kinds in sorted(by_status.items())}


def _problem(status: int, one: Operation, kinds: list[str]) -> dict[str, Any]:
    answered: dict[str, Any] = {
        "description": "; or ".join(f"{kind}: {KINDS[kind].when}" for kind in kinds),
        "headers": {"X-Request-Id": _header(_REQUEST_ID)},
    }
    if status in RETRIED:
        answered["headers"]["Retry-After"] = _header("seconds after which to try again")
    if one.answer == "text/html":
        answered["content"] = {"text/html": {}, MEDIA_TYPE: _problem_content(kinds)}
    else:
        answered["content"] = {MEDIA_TYPE: _problem_content(kinds)}
    return answered


def _problem_content(kinds: list[str]) -> dict[str, Any]:
    examples = {kind: {"value": problem_example(kind)} for kind in kinds}
    return {"schema": reference(ProblemAnswer), "examples": examples}
