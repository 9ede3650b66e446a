"""``Idempotency-Key`` over HTTP: the same request again has the same answer, and nothing is written twice."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.deployment import Deployment, Limits
from serving.insights import Insight
from tests.doubles.insights import InsightDouble, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
RECOMMEND, FEEDBACK = "/v1/recommendations", "/v1/feedback"
EVENT = {"event_id": "e1", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


class SlowDouble(InsightDouble):
    """Waits at customer 2 until it is told to go on; counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0
        self.reached, self.go_on = threading.Event(), threading.Event()

    def by_ids(self, customer_ids: Sequence[str]) -> list[Insight]:
        self.asked += 1
        if "2" in customer_ids:
            self.reached.set()
            assert self.go_on.wait(20)
        return super().by_ids(customer_ids)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    return DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")


@pytest.fixture(scope="module")
def source() -> SlowDouble:
    return SlowDouble()


@pytest.fixture(scope="module")
def service(store: DecisionStore, source: SlowDouble) -> Iterator[httpx.Client]:
    with running(lambda: Deployment(source, store, Limits(50_000, 3), clock=lambda: NOW)) as client:
        yield client


def post(service: httpx.Client, path: str, body: dict[str, Any], key: str) -> httpx.Response:
    return service.post(path, json=body, headers={"Idempotency-Key": key})


def kind(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    return answer.status_code, answer.json()["type"].removeprefix("urn:foresight:problem:")


def test_a_repeated_recommendation_is_the_first_answer(service: httpx.Client, source: SlowDouble) -> None:
    body = {"customer_ids": ["1609", "4"]}
    first = post(service, RECOMMEND, body, "k1")
    assert "idempotent-replayed" not in first.headers
    asked = source.asked
    again = post(service, RECOMMEND, body, "k1")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert again.headers["content-type"] == "application/json"
    assert source.asked == asked
    assert "idempotent-replayed" not in service.post(RECOMMEND, json=body).headers


def test_repeated_feedback_is_the_first_answer(service: httpx.Client, store: DecisionStore) -> None:
    post(service, RECOMMEND, {"customer_id": "1609"}, "k2")
    first, again = (post(service, FEEDBACK, EVENT, "k3") for _ in range(2))
    assert (first.json()["status"], again.content) == ("stored", first.content)
    assert again.headers["idempotent-replayed"] == "true"
    assert post(service, FEEDBACK, EVENT, "k4").json()["status"] == "already_stored"
    assert store.counts().feedback == 1


def test_the_key_of_another_request_is_refused(service: httpx.Client, store: DecisionStore) -> None:
    post(service, RECOMMEND, {"customer_id": "1609"}, "k5")
    before = store.counts()
    assert kind(post(service, RECOMMEND, {"customer_id": "3"}, "k5")) == (422, "idempotency-key-reused")
    assert kind(post(service, FEEDBACK, EVENT, "k5")) == (422, "idempotency-key-reused")
    assert store.counts() == before


def test_an_error_is_not_kept(service: httpx.Client) -> None:
    unknown = {**EVENT, "event_id": "e6", "decision_id": "decision-of-5"}
    assert kind(post(service, FEEDBACK, unknown, "k6")) == (404, "unknown-decision")
    service.post(RECOMMEND, json={"customer_id": "5"})
    answer = post(service, FEEDBACK, unknown, "k6")
    assert (answer.status_code, answer.json()) == (200, {"event_id": "e6", "status": "stored"})


def test_a_key_in_flight(service: httpx.Client, source: SlowDouble) -> None:
    with ThreadPoolExecutor() as pool:
        first = pool.submit(post, service, RECOMMEND, {"customer_ids": ["2"]}, "k7")
        assert source.reached.wait(20)
        second = post(service, RECOMMEND, {"customer_ids": ["2"]}, "k7")
        other = post(service, RECOMMEND, {"customer_ids": ["3"]}, "k7")
        source.go_on.set()
        assert first.result().status_code == 200
    assert (kind(second), second.headers["retry-after"]) == ((409, "request-in-flight"), "1")
    assert kind(other) == (422, "idempotency-key-reused")
    assert post(service, RECOMMEND, {"customer_ids": ["2"]}, "k7").content == first.result().content


@pytest.mark.parametrize("key", ["", "two words", "k" * 201, "\x80", "'; DROP TABLE decisions"])
def test_a_key_that_is_none(service: httpx.Client, key: str) -> None:
    answer = service.post(FEEDBACK, json=EVENT, headers=[(b"Idempotency-Key", key.encode("latin-1"))])
    assert kind(answer) == (400, "invalid-idempotency-key")


def test_two_keys_are_none(service: httpx.Client) -> None:
    headers = [("Idempotency-Key", "k8"), ("Idempotency-Key", "k9")]
    assert kind(service.post(FEEDBACK, json=EVENT, headers=headers)) == (400, "invalid-idempotency-key")


def test_a_key_where_nothing_is_written_changes_nothing(service: httpx.Client) -> None:
    for customer_id in ("1609", "3"):
        assert post(service, "/v1/score", {"customer_id": customer_id}, "k10").json()["scores"][0]["customer_id"] == (
            customer_id
        )


def test_a_store_that_is_gone_is_503(tmp_path: Path) -> None:
    folder = tmp_path / "state"
    store = DecisionStore(f"sqlite:///{folder / 'decisions.db'}")
    with running(lambda: Deployment(InsightDouble(), store, Limits(50_000, 3), clock=lambda: NOW)) as service:
        store.close()
        folder.rename(tmp_path / "gone")
        answer = post(service, RECOMMEND, {"customer_id": "1609"}, "k11")
        assert (kind(answer), answer.headers["retry-after"]) == ((503, "store-unavailable"), "5")
        (tmp_path / "gone").rename(folder)
        assert post(service, RECOMMEND, {"customer_id": "1609"}, "k11").status_code == 200
        assert store.counts() == StoreCounts(1, 0, 0)
