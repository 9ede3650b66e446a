"""The typed client against the real application, and against answers that a bad day gives."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import ValidationError

from foresight import client as client_module
from foresight.client import Client, ProblemError, ServiceUnreachableError
from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.deployment import Deployment, Limits
from serving.schemas import (
    CustomerInput,
    EventsInput,
    FeedbackEvent,
    FeedbackRequest,
    FieldProblem,
    ProfileInput,
    TransactionInput,
)
from tests.doubles.insights import AS_OF, HOSTILE_ID, InsightDouble, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
FIRST_CUSTOMER = "1609"
PROBLEM = {"type": "urn:foresight:problem:store-unavailable", "title": "", "status": 503, "detail": "Later.", "new": 1}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    return DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")


@pytest.fixture(scope="module")
def client(store: DecisionStore) -> Iterator[Client]:
    with (
        running(lambda: Deployment(InsightDouble(), store, Limits(50_000, 3), clock=lambda: NOW)) as service,
        Client(str(service.base_url)) as client,
    ):
        yield client


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds that the client waited; it goes on at once."""
    waited: list[float] = []
    monkeypatch.setattr(client_module.time, "sleep", waited.append)
    return waited


def test_scores(client: Client) -> None:
    [one] = client.score(FIRST_CUSTOMER)
    assert (one.customer_id, one.churn_probability, one.as_of) == ("1609", 0.34375, AS_OF)
    assert [score.customer_id for score in client.score(["4", FIRST_CUSTOMER])] == ["4", "1609"]
    lines = (TransactionInput(transaction_id="t", event_time=AS_OF, amount=10.5),)
    [walk_in] = client.score(ProfileInput(customer=CustomerInput(customer_id="new"), transactions=lines))
    assert (walk_in.customer_id, walk_in.lifetime_value) == ("new", 10.5)
    assert client.customer(FIRST_CUSTOMER) == one
    assert client.customer(HOSTILE_ID).customer_id == HOSTILE_ID
    assert [change.code for change in client.changes(FIRST_CUSTOMER).changes] == ["orders_30d"]


def test_scores_of_other_values(client: Client) -> None:
    [stored] = client.score(FIRST_CUSTOMER)
    [changed] = client.score(FIRST_CUSTOMER, what_if={"orders_30d": 3.0})
    assert (stored.what_if, changed.what_if) == (False, True)
    assert changed.expected_purchases == 3.0
    assert changed.decision_id is None
    with pytest.raises(ProblemError) as refused:
        client.score(FIRST_CUSTOMER, what_if={"ordrs_30d": 3.0})
    assert (refused.value.status, refused.value.kind) == (400, "invalid-request")
    assert refused.value.fields == (FieldProblem(field="what_if.ordrs_30d", message="That is no feature."),)


def test_what_if_and_events_are_of_one_customer(client: Client) -> None:
    for given in ({"what_if": {"orders_30d": 3.0}}, {"events": EventsInput()}):
        with pytest.raises(ValidationError):
            client.score([FIRST_CUSTOMER, "2"], **given)


def test_a_decision_and_its_feedback(client: Client, store: DecisionStore) -> None:
    [advice] = client.recommend(FIRST_CUSTOMER, idempotency_key="k")
    assert client.recommend(FIRST_CUSTOMER, idempotency_key="k") == (advice,)
    assert advice.decision_id
    event = FeedbackRequest(event_id="e", decision_id=advice.decision_id, action="coupon", event=FeedbackEvent.ACCEPTED)
    assert [client.record_feedback(event).status.value for _ in range(2)] == ["stored", "already_stored"]
    assert store.counts() == StoreCounts(1, 1, 0)


def test_events_that_are_not_stored_yet(client: Client, store: DecisionStore) -> None:
    bought = AS_OF + timedelta(hours=2)
    lines = tuple(
        TransactionInput(transaction_id="new", line_id=line, event_time=bought, amount=amount)
        for line, amount in (("1", 10.5), ("2", 20.0))
    )
    events = EventsInput(transactions=lines)
    [score] = client.score("2", events=events)
    assert (score.lifetime_value, score.as_of) == (30.5, bought + timedelta(microseconds=1))
    assert store.decision("decision-of-2") is None  # a score keeps nothing
    [advice] = client.recommend("2", events=events, idempotency_key="just-bought")
    assert (advice.lifetime_value, advice.decision_id) == (30.5, "decision-of-2")
    assert store.decision("decision-of-2") is not None
    assert client.recommend("2", events=events, idempotency_key="just-bought") == (advice,)
    [both] = client.score("2", events=events, what_if={"orders_30d": 3.0})
    assert (both.lifetime_value, both.what_if) == (30.5, True)


def test_the_example_of_the_documentation(client: Client, capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).parents[2] / "docs" / "reference" / "api.md").read_text(encoding="utf-8")
    example = page.split("## A client in Python")[1].split("```python\n")[1].split("```")[0]
    names: dict[str, Any] = {"address": str(client._http.base_url), "api_key": None}
    exec(example, names)
    assert capsys.readouterr().out == "404 not-found\n"
    assert names["score"].customer_id == names["advice"].customer_id == "1609"


def test_a_refusal_says_what_and_where(client: Client, waits: list[float]) -> None:
    with pytest.raises(ProblemError) as unknown:
        client.score("nobody")
    assert (unknown.value.status, unknown.value.kind, unknown.value.fields) == (404, "not-found", ())
    assert (unknown.value.what, unknown.value.where) == ("1 of 1 customers are unknown. Check the ids.", "/v1/score")
    with pytest.raises(ProblemError) as wrong:
        client.score(ProfileInput(customer=CustomerInput(customer_id="new", attributes={"unmapped": "x"})))
    assert wrong.value.fields == (
        FieldProblem(field="profile.customer.attributes", message="'unmapped' is no attribute here."),
    )
    conflict = FeedbackRequest(
        event_id="e", decision_id="decision-of-1609", action="mailing", event=FeedbackEvent.SHOWN
    )
    with pytest.raises(ProblemError) as conflicting:
        client.record_feedback(conflict)
    assert conflicting.value.kind == "event-conflict"
    assert waits == []


def made_of(answers: list[Callable[[httpx.Request], httpx.Response]], seen: list[httpx.Request]) -> Client:
    """A client of a service that gives these answers, one after the other."""

    def handler(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        return answers[len(seen) - 1](request)

    return Client("http://service", "secret", transport=httpx.MockTransport(handler), retries=2)


def answering(status: int, body: Any, **headers: str) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, json=body, headers=headers)


def lost(request: httpx.Request) -> httpx.Response:
    raise httpx.ReadError("lost", request=request)


DONE = answering(200, {"event_id": "e", "status": "stored", "field_of_tomorrow": 1})
EVENT = FeedbackRequest(event_id="e", decision_id="d", action="a", event=FeedbackEvent.SHOWN)


def test_a_write_is_sent_again_under_the_same_key(waits: list[float]) -> None:
    seen: list[httpx.Request] = []
    with made_of([lost, answering(503, PROBLEM, **{"Retry-After": "5"}), DONE], seen) as client:
        assert client.record_feedback(EVENT).event_id == "e"
    keys = {request.headers["Idempotency-Key"] for request in seen}
    assert (len(seen), len(keys), {request.content for request in seen}) == (3, 1, {seen[0].content})
    assert all(request.headers["X-API-Key"] == "secret" for request in seen)
    assert 0 <= waits[0] <= 0.2
    assert 5 <= waits[1] <= 5.4
    seen.clear()
    with made_of([DONE], seen) as client:
        client.record_feedback(EVENT)
    assert seen[0].headers["Idempotency-Key"] not in keys


def test_it_gives_up(waits: list[float]) -> None:
    seen: list[httpx.Request] = []
    with made_of([lost] * 3, seen) as client, pytest.raises(ServiceUnreachableError):
        client.customer("1")
    assert (len(seen), len(waits)) == (3, 2)
    seen.clear()
    with made_of([answering(429, PROBLEM | {"status": 429})] * 3, seen) as client, pytest.raises(ProblemError):
        client.customer("1")
    assert len(seen) == 3


@pytest.mark.parametrize("answer", [answering(503, PROBLEM, **{"Retry-After": "3600"}), answering(500, {})])
def test_what_will_not_pass_is_told_at_once(waits: list[float], answer: Callable[..., httpx.Response]) -> None:
    seen: list[httpx.Request] = []
    with made_of([answer], seen) as client, pytest.raises(ProblemError):
        client.customer("1")
    assert (len(seen), waits) == (1, [])


def test_an_answer_of_something_in_between() -> None:
    with (
        made_of([lambda _: httpx.Response(403, text="<h1>Forbidden</h1>")], []) as client,
        pytest.raises(ProblemError) as refused,
    ):
        client.changes("1")
    assert (refused.value.status, refused.value.kind, refused.value.what) == (
        403,
        "",
        "The answer was 403 Forbidden.",
    )


def test_it_loads_no_library_of_the_models() -> None:
    heavy = {"pandas", "numpy", "mlflow", "bentoml", "sqlalchemy", "lightgbm", "duckdb", "ibis", "pyarrow"}
    script = "import sys, foresight.client; print(*sys.modules)"
    root = Path(client_module.__file__).parents[1]
    printed = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=root)
    assert heavy.isdisjoint(printed.stdout.split())
