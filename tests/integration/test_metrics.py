"""What /metrics says after known requests, and that it says nothing of a customer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import AS_OF, HOSTILE_ID, InsightDouble, running

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture
def service(tmp_path: Path) -> Iterator[httpx.Client]:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    limits = Limits(max_body_bytes=50_000, max_ids=3)
    with running(lambda: Deployment(InsightDouble(), store, limits)) as client:
        yield client


def samples(service: httpx.Client) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
    """(name, labels) -> value; checks that it is Prometheus' text format."""
    answer = service.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=")
    families = text_string_to_metric_families(answer.text)
    return {(one.name, frozenset(one.labels.items())): one.value for family in families for one in family.samples}


def value(found: dict[tuple[str, frozenset[tuple[str, str]]], float], name: str, **labels: str) -> float | None:
    return found.get((name, frozenset(labels.items())))


def test_every_request_counts_once_where_it_belongs(service: httpx.Client) -> None:
    service.post("/v1/score", json={"customer_ids": ["1609", "2", "4"]})
    service.post("/v1/recommendations", json={"customer_id": "1609"})
    service.post("/v1/recommendations", json={"customer_id": "4"})  # no consent, so no decision
    event = {"event_id": "e1", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}
    for _ in range(2):
        service.post("/v1/feedback", json=event)
    service.get("/v1/customers/unknown")
    service.get("/v1/customers/broken")
    service.get("/nothing/1609")
    found = samples(service)
    for route, status, times in (
        ("/v1/score", "200", 1.0),
        ("/v1/recommendations", "200", 2.0),
        ("/v1/feedback", "200", 2.0),
        ("/v1/customers/{customer_id}", "404", 1.0),
        ("/v1/customers/{customer_id}", "500", 1.0),
        ("/other", "404", 1.0),
    ):
        assert value(found, "foresight_request_seconds_count", route=route, status=status) == times
    assert value(found, "foresight_requests_in_progress") == 1.0  # the one that asks
    assert value(found, "foresight_errors_total", error="ValueError") == 1.0
    assert value(found, "foresight_scores_total", status="scored", band="medium") == 2.0
    assert value(found, "foresight_scores_total", status="inactive", band="none") == 1.0
    assert value(found, "foresight_scores_total", status="no_consent", band="none") == 2.0
    assert value(found, "foresight_churn_probability_bucket", le="0.3") == 0.0
    assert value(found, "foresight_churn_probability_bucket", le="0.4") == 2.0
    assert value(found, "foresight_decisions_total", action="coupon", mode="greedy") == 1.0
    assert value(found, "foresight_decision_log_seconds_count") == 1.0
    assert value(found, "foresight_decisions_waiting") == 0.0
    assert value(found, "foresight_feedback_total", event="accepted", status="stored") == 1.0
    assert value(found, "foresight_feedback_total", event="accepted", status="already_stored") == 1.0


def test_what_answers_and_how_old_it_is(service: httpx.Client) -> None:
    found = samples(service)
    assert value(found, "foresight_model_info", kind="churn", version="churn:3") == 1.0
    assert value(found, "foresight_model_info", kind="policy", version="policy:1") == 1.0
    assert value(found, "foresight_model_as_of_timestamp_seconds", kind="value") == AS_OF.timestamp()
    assert value(found, "foresight_features_as_of_timestamp_seconds") == AS_OF.timestamp()
    assert value(found, "foresight_workers") == 1.0
    memory = value(found, "foresight_memory_bytes")
    assert memory is not None and 20e6 < memory < 20e9


def test_no_customer_is_in_a_label(service: httpx.Client) -> None:
    for customer_id in ("1609", "label-canary"):
        service.get(f"/v1/customers/{customer_id}?note=label-canary")
        service.get(f"/label-canary/{customer_id}")
    service.post("/v1/score", json={"customer_id": HOSTILE_ID})
    text = service.get("/metrics").text
    assert "label-canary" not in text and "1609" not in text and "Neil" not in text


def test_without_metrics_there_is_no_page_and_everything_else_answers(tmp_path: Path) -> None:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    deployment = Deployment(InsightDouble(), store, Limits(max_body_bytes=50_000, max_ids=3), metrics=None)
    with running(lambda: deployment) as client:
        assert client.post("/v1/recommendations", json={"customer_id": "1609"}).status_code == 200
        assert client.get("/metrics").status_code == 404
