"""Paths and problems, without a server."""

from __future__ import annotations

import asyncio
from typing import cast

import pytest
from starlette.responses import Response
from starlette.types import Message

from features.engine.online import OnlineUnavailableError
from kernel.errors import RegistryError
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits, Slot
from serving.http.envelope import REAL_PATH, REAL_QUERY
from serving.http.guard import Guard
from serving.http.paths import LIVEZ, template_of
from serving.http.problems import problem_of, problem_of_response
from serving.scoring.band_log import BandsUnavailableError
from tests.doubles.insights import InsightDouble


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/v1/score", "/v1/score"),
        ("/v1/score/", "/other"),
        ("/panel/7", "/panel/{customer_id}"),
        ("/panel/a/b", "/panel/{customer_id}"),
        ("/panel/", "/other"),
        ("/v1/customers/7", "/v1/customers/{customer_id}"),
        ("/static_content/index.css", "/other"),
    ],
)
def test_templates(path: str, template: str) -> None:
    assert template_of(path) == template


@pytest.mark.parametrize("error", [OnlineUnavailableError(), BandsUnavailableError()])
def test_what_cannot_be_read_now_is_a_passing_problem(error: Exception) -> None:
    problem = problem_of(error)
    assert (problem.status, problem.kind, problem.headers) == (503, "store-unavailable", {"Retry-After": "5"})


def test_what_nobody_foresaw_says_nothing() -> None:
    for error in (ValueError("secret"), RegistryError("secret", where="secret", fix="secret")):
        problem = problem_of(error)
        assert problem.status == 500
        assert b"secret" not in problem.body()


@pytest.mark.parametrize(
    ("path", "query", "value", "expected"),
    [(2, 0, 32_761, 204), (2, 0, 32_762, 431), (20_000, 12_764, 0, 431), (2, 33_000, 0, 431)],
)
def test_the_guard_bounds_address_and_headers(path: int, query: int, value: int, expected: int) -> None:
    slot = Slot(Deployment(InsightDouble(), cast("DecisionStore", None), Limits(1000, 10)))
    scope = {
        "type": "http",
        "method": "GET",
        "path": LIVEZ,
        REAL_PATH: "/" * path,
        REAL_QUERY: b"q" * query,
        "headers": [(b"x-big", b"x" * value)],
    }
    sent: list[Message] = []

    async def receive() -> Message:
        return {"type": "http.request", "body": b""}

    async def send(message: Message) -> None:
        sent.append(message)

    asyncio.run(Guard(Response(status_code=204), slot)(scope, receive, send))
    assert sent[0]["status"] == expected


def test_a_librarys_own_error_text_is_not_passed_on() -> None:
    for status, kind in ((400, "invalid-request"), (429, "overloaded"), (500, "internal"), (504, "timeout")):
        problem = problem_of_response(status, b'{"error": "secret"}')
        assert (problem.status, problem.kind) == (status, kind)
        assert b"secret" not in problem.body()
