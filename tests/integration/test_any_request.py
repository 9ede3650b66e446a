"""Some hundred requests of any kind to the application over a test double; tests/soak sends 20,000 to the real one."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from datetime import datetime

import httpx
import pytest

from serving.feedback.store import DecisionStore
from serving.http.deployment import Deployment, Limits
from tests.any_request import BY_NAME, CANARY, PROFILES, send_any
from tests.doubles.insights import InsightDouble, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
KNOWN = {"customer_id": "1609", "decision_id": "decision-of-1609", "action": "coupon"}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    store = DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")
    limits = Limits(50_000, 3, token_secrets=("a secret of this test",))
    with running(lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW)) as client:
        client.post("/v1/recommendations", json={"customer_id": "1609"})
        yield client


@pytest.mark.parametrize("name", BY_NAME)
def test_any_request(service: httpx.Client, name: str, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO):
        answers = send_any(str(service.base_url).rstrip("/"), name, 40 if name in PROFILES else 80, KNOWN)
    assert max(answers) < 500
    assert answers[200] > 0
    assert CANARY not in caplog.text
