"""Requests of any kind that the interface's description allows, or just does not allow, and what no answer may be."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.core import NOT_SET
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from serving.http.openapi import openapi_document
from serving.http.openapi_operations import OPERATIONS, Operation
from serving.http.paths import OpenApiVersion

CANARY = "Zebrafink"
"""In every text that a customer could be known by; the log must not have it."""
_TEXTS = {
    *("customer_id", "account_id", "transaction_id", "line_id", "product_id", "category", "channel", "status", "kind"),
    *("activity_id", "detail", "subscription_id", "plan", "end_reason", "event_id", "decision_id", "action"),
}
_CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
BY_NAME = {operation.name: operation for operation in OPERATIONS}
PROFILES = {"score", "recommend"}
"""Whose bodies take ten times as long to make up as all others."""


def send_any(address: str, name: str, count: int, known: Mapping[str, str]) -> Counter[int]:
    """Send ``count`` requests to an operation, half of them wrong ones where it has a body, and check every answer.

    Args:
        address: of the service.
        name: the operation id.
        count: how many; fewer where there are not so many different ones.
        known: field -> what the service knows by it; a quarter of the requests asks for these.

    Returns:
        How many answers had each status.
    """
    operation = BY_NAME[name]
    modes = [GenerationMode.POSITIVE] if operation.request is None else list(GenerationMode)
    statuses: Counter[int] = Counter()
    with requests.Session() as session:
        for mode in modes:
            _send(
                address,
                session,
                _described(operation).as_strategy(generation_mode=mode),
                max(1, count // len(modes)),
                known,
                statuses,
            )
    return statuses


def _described(operation: Operation) -> Any:
    whole = schemathesis.openapi.from_dict(json.loads(openapi_document(OpenApiVersion.V3_1, secured=False)))
    return whole[operation.path]["GET" if operation.request is None else "POST"]


def _send(
    address: str,
    session: requests.Session,
    cases: st.SearchStrategy[Case],
    count: int,
    known: Mapping[str, str],
    statuses: Counter[int],
) -> None:
    @given(cases, st.integers(0, 3))
    @settings(
        max_examples=count,
        database=None,
        deadline=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def send(case: Case, which: int) -> None:
        replaced = known if which == 0 else {}
        case.body = case.body if case.body is NOT_SET else _marked(case.body, replaced)
        if "customer_id" in case.path_parameters and "customer_id" in replaced:
            case.path_parameters["customer_id"] = replaced["customer_id"]
        answer = case.call(base_url=address, session=session)
        case.validate_response(answer, checks=_CHECKS)
        statuses[answer.status_code] += 1

    send()


def _marked(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, dict):
        return {name: _marked_text(name, one, known) for name, one in value.items()}
    return [_marked(one, known) for one in value] if isinstance(value, list) else value


def _marked_text(name: str, value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, str) and name in _TEXTS:
        return known.get(name, f"{CANARY}{value}"[:200])
    if isinstance(value, list) and name == "customer_ids":
        return [f"{CANARY}{one}"[:200] if isinstance(one, str) else one for one in value]
    return _marked(value, known)


def total(counts: Iterable[Counter[int]]) -> Counter[int]:
    """The sum of several."""
    whole: Counter[int] = Counter()
    for one in counts:
        whole += one
    return whole
