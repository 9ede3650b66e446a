"""Paths and problems, without a server."""

from __future__ import annotations

import pytest

from features.engine.online import OnlineUnavailableError
from kernel.errors import RegistryError
from serving.http.paths import template_of
from serving.http.problems import problem_of, problem_of_response
from serving.scoring.band_log import BandsUnavailableError


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


def test_a_librarys_own_error_text_is_not_passed_on() -> None:
    for status, kind in ((400, "invalid-request"), (429, "overloaded"), (500, "internal"), (504, "timeout")):
        problem = problem_of_response(status, b'{"error": "secret"}')
        assert (problem.status, problem.kind) == (status, kind)
        assert b"secret" not in problem.body()
