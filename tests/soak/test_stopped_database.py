"""PostgreSQL is stopped while the service runs: nothing is acknowledged, and nobody restarts the service."""

from __future__ import annotations

import time

import httpx
import pytest

from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import InsightDouble, running
from tests.postgres import found, server_of

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own
EVENT = {"event_id": "e1", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}


@pytest.mark.parametrize("seconds", [pytest.param(3), pytest.param(30, marks=pytest.mark.soak)])
@pytest.mark.parametrize("state_url", ["postgresql"], indirect=True)
def test_a_stopped_server(state_url: str, seconds: int) -> None:
    server, limits = server_of(state_url), Limits.of(ServiceSettings(), {})
    with running(lambda: Deployment(InsightDouble(), DecisionStore(state_url), limits)) as client:
        assert client.post("/v1/recommendations", json={"customer_id": "1609"}).status_code == 200
        server.stop()
        try:
            end = time.monotonic() + seconds
            while time.monotonic() < end:
                refused(client.post("/v1/feedback", json=EVENT))
                refused(client.post("/v1/recommendations", json={"customer_id": "2"}))
                assert client.get("/readyz").status_code == 503
                time.sleep(0.2)
        finally:
            server.start()
        assert client.post("/v1/feedback", json=EVENT).json()["status"] == "stored"
        assert client.post("/v1/recommendations", json={"customer_id": "2"}).status_code == 200
        assert client.get("/readyz").status_code == 200
    assert found(state_url, "SELECT decision_id FROM decisions ORDER BY 1") == [
        ("decision-of-1609",),
        ("decision-of-2",),
    ]
    assert found(state_url, "SELECT event_id FROM feedback") == [("e1",)]


def refused(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")
    assert answer.json()["type"] == "urn:foresight:problem:store-unavailable"
