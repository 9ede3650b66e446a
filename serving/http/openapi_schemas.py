"""The schemas of requests and answers, each with its examples, and without a union: importers of CRMs read none."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib.resources import files
from typing import Any, cast

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from serving.http.problem_kinds import KINDS
from serving.http.problems import Problem
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

Schema = dict[str, Any]
_REQUESTS: tuple[type[BaseModel], ...] = (ScoreRequest, RecommendationRequest, FeedbackRequest, PanelTokenRequest)
_ANSWERS: tuple[type[BaseModel], ...] = (
    ScoreAnswer,
    RecommendationAnswer,
    FeedbackAnswer,
    PanelTokenAnswer,
    CustomerInsight,
    ChangesAnswer,
    ProblemAnswer,
)
_REFERENCE = "#/components/schemas/"


def component_schemas() -> dict[str, Schema]:
    """Every schema by its name. A value that may be missing has a list of types with null, never an ``anyOf``."""
    requests, answers = (
        _generated(models, mode) for models, mode in ((_REQUESTS, "validation"), (_ANSWERS, "serialization"))
    )
    # Answers grow: a client must not stumble over a field that it does not know.
    schemas = {name: mapped(schema, _open) for name, schema in answers.items()} | requests
    plain = {name: mapped(schema, lambda part: _plain(part, schemas)) for name, schema in schemas.items()}
    for name, examples in schema_examples().items():
        plain[name]["examples"] = examples
    return plain


def schema_examples() -> dict[str, list[Any]]:
    """Real requests and answers (Complete Journey, lists shortened), for each schema that has some."""
    written = orjson.loads(files("serving.http").joinpath("openapi_examples.json").read_bytes())
    kept = {"decision_id": written[FeedbackRequest.__name__][0]["decision_id"]}
    return {
        **written,
        ScoreAnswer.__name__: [{"scores": written[CustomerInsight.__name__]}],
        RecommendationAnswer.__name__: [{"recommendations": [one | kept for one in written[CustomerInsight.__name__]]}],
        ProblemAnswer.__name__: [problem_example("invalid-request")],
    }


def problem_example(kind: str) -> dict[str, Any]:
    """The document of a problem of this kind."""
    status, when = KINDS[kind]
    return orjson.loads(Problem(status, kind, f"{when[0].upper()}{when[1:]}.").body())


def reference(model: type[BaseModel]) -> Schema:
    """The schema of a model, by its name."""
    return {"$ref": f"{_REFERENCE}{model.__name__}"}


def mapped(schema: Mapping[str, Any], change: Callable[[Schema], Schema]) -> Schema:
    """The schema with ``change`` made to it and to every schema in it, the inner ones first."""
    whole = dict(schema)
    for key in ("properties", "patternProperties"):
        if key in whole:
            whole[key] = {name: mapped(part, change) for name, part in whole[key].items()}
    for key in ("items", "additionalProperties", "propertyNames"):
        if isinstance(whole.get(key), dict):
            whole[key] = mapped(whole[key], change)
    for key in ("anyOf", "allOf"):
        if key in whole:
            whole[key] = [mapped(part, change) for part in whole[key]]
    return change(whole)


def _generated(models: tuple[type[BaseModel], ...], mode: str) -> dict[str, Schema]:
    wanted = cast("Any", [(model, mode) for model in models])
    _, schemas = models_json_schema(wanted, ref_template=_REFERENCE + "{model}")
    return schemas["$defs"]


def _open(schema: Schema) -> Schema:
    return {key: value for key, value in schema.items() if (key, value) != ("additionalProperties", False)}


def _plain(schema: Schema, schemas: Mapping[str, Schema]) -> Schema:
    kept = {key: value for key, value in schema.items() if not (key == "title" and isinstance(value, str))}
    if kept.get("default", ...) is None:
        del kept["default"]
    if "anyOf" in kept:
        kept = {**_one_of_types(kept.pop("anyOf"), schemas), **kept}
    if "patternProperties" in kept:
        [(pattern, values)] = kept.pop("patternProperties").items()
        kept["propertyNames"] = {**kept.get("propertyNames", {}), "pattern": pattern}
        kept["additionalProperties"] = values
    return kept


def _one_of_types(options: list[Schema], schemas: Mapping[str, Schema]) -> Schema:
    """``[{"type": "number", "minimum": 0}, {"type": "null"}]`` as one schema; keywords of other types do not matter."""
    if len(options) == 2 and "$ref" in options[0]:
        target = schemas[options[0]["$ref"].removeprefix(_REFERENCE)]
        if "enum" not in target:
            return options[0]  # an object is left out rather than sent as null
        options = [{"type": target["type"], "enum": target["enum"]}, options[1]]
    merged = {key: value for option in options for key, value in option.items()}
    merged["type"] = [option["type"] for option in options]
    if "enum" in merged:
        merged["enum"] = [*merged["enum"], None]
    return merged
