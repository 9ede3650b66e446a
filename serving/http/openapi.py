"""The interface as OpenAPI 3.1: BentoML's own document knows neither the GET routes, nor the key, nor our errors."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.http import paths
from serving.schemas import (
    ChangesAnswer,
    CustomerScore,
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

_VERSION = "1.0.0"
_REQUESTS: tuple[type[BaseModel], ...] = (ScoreRequest, RecommendationRequest, FeedbackRequest, PanelTokenRequest)
_ANSWERS: tuple[type[BaseModel], ...] = (
    ScoreAnswer,
    RecommendationAnswer,
    FeedbackAnswer,
    PanelTokenAnswer,
    CustomerScore,
    ChangesAnswer,
    ProblemAnswer,
)
_PROBLEMS = {
    400: "the request is malformed or does not fit the schema",
    401: "no valid API key or token",
    403: "the key or the token is not good for this",
    404: "an id is unknown",
    409: "the event id stands for another event",
    413: "too many ids, or too large a body",
    415: "the body is not application/json",
    429: "too many requests in this minute",
    500: "the service failed",
    503: "the store does not answer; try again",
}


@cache
def openapi_document(*, secured: bool) -> bytes:
    """The document, as JSON; ``secured`` when an API key is asked for."""
    modes: list[Any] = [
        *((model, "validation") for model in _REQUESTS),
        *((model, "serialization") for model in _ANSWERS),
    ]
    _, schemas = models_json_schema(modes, ref_template="#/components/schemas/{model}")
    document: dict[str, Any] = {
        "openapi": "3.1.0",
        "info": {
            "title": "foresight",
            "version": _VERSION,
            "description": "Churn, lifetime value and the next best action of customers. Errors are RFC 9457 problems.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "servers": [{"url": "."}],
        "paths": dict(_paths()),
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"apiKey": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
        },
    }
    if secured:
        document["security"] = [{"apiKey": []}]
    return orjson.dumps(document)


def _paths() -> Iterator[tuple[str, dict[str, Any]]]:
    yield paths.SCORE, {"post": _post("score", "Score customers", ScoreRequest, ScoreAnswer, (413,))}
    yield (
        paths.RECOMMENDATIONS,
        {
            "post": _post(
                "recommend",
                "Recommend the next best actions; each decision is kept first",
                RecommendationRequest,
                RecommendationAnswer,
                (413, 503),
            )
        },
    )
    yield (
        paths.FEEDBACK,
        {
            "post": _post(
                "recordFeedback",
                "Keep what became of a recommended action; safe to repeat",
                FeedbackRequest,
                FeedbackAnswer,
                (409, 413, 503),
            )
        },
    )
    yield (
        paths.PANEL_TOKENS,
        {"post": _post("makePanelToken", "Sign a token that opens one panel", PanelTokenRequest, PanelTokenAnswer, ())},
    )
    yield (
        paths.CUSTOMER,
        {"get": _get("getCustomer", "The score of one stored customer", _json(CustomerScore), by_id=True)},
    )
    yield (
        paths.CHANGES,
        {
            "get": _get(
                "getChanges",
                "What would bring one stored customer into a lower churn band",
                _json(ChangesAnswer),
                by_id=True,
            )
        },
    )
    yield (
        paths.PANEL,
        {"get": _get("getPanel", "The insight card of one stored customer", {"text/html": {}}, by_id=True)},
    )
    yield (
        paths.CARD,
        {
            "get": _get(
                "getCard",
                "The insight card of one stored customer, as the HTML that <customer-insight> shows",
                {"text/html": {}},
                by_id=True,
            )
        },
    )
    yield paths.METRICS, {"get": _get("getMetrics", "Metrics for Prometheus", {"text/plain": {}})}
    yield paths.LIVEZ, {"get": _health("isAlive", "The process runs")}
    yield paths.READYZ, {"get": _health("isReady", "The models are loaded and the store answers")}


def _post(
    name: str, summary: str, request: type[BaseModel], answer: type[BaseModel], problems: tuple[int, ...]
) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "requestBody": {"required": True, "content": _json(request)},
        "responses": {
            "200": {"description": "done", "content": _json(answer)},
            **_problems(400, 401, 403, 404, *problems, 415, 429, 500),
        },
    }


def _get(name: str, summary: str, content: dict[str, Any], *, by_id: bool = False) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": name,
        "summary": summary,
        "responses": {
            "200": {"description": "done", "content": content},
            **_problems(401, 403, *([404] if by_id else []), 429, 500),
        },
    }
    if by_id:
        operation["parameters"] = [
            {"name": "customer_id", "in": "path", "required": True, "schema": {"type": "string"}}
        ]
    return operation


def _health(name: str, summary: str) -> dict[str, Any]:
    return {
        "operationId": name,
        "summary": summary,
        "security": [],
        "responses": {"200": {"description": "yes"}, **_problems(503)},
    }


def _json(model: type[BaseModel]) -> dict[str, Any]:
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}}}


def _problems(*statuses: int) -> dict[str, Any]:
    schema = {"$ref": f"#/components/schemas/{ProblemAnswer.__name__}"}
    content = {"application/problem+json": {"schema": schema}}
    return {str(status): {"description": _PROBLEMS[status], "content": content} for status in sorted(statuses)}
