"""Bad requests to the real service over real models: each is refused with its place, and nothing stored is lost."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from foresight.service_process import running_service
from kernel.artefacts import ValueManifest, read_manifest
from kernel.churn_predictor import ChurnPredictor
from serving.feedback.store import DecisionStore, StoreCounts
from tests.e2e.conftest import AS_OF, Trained

KEY = "correct horse battery staple"
JSON = {"Content-Type": "application/json"}
NUMBERS = (
    "churn_probability",
    "churn_probability_low",
    "churn_probability_high",
    "churn_percentile",
    "churn_band",
    "probability_alive",
    "expected_purchases",
    "lifetime_value",
    "lifetime_value_low",
    "lifetime_value_high",
    "value_percentile",
    "is_high_value",
)


def problem(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, kind and wrong fields."""
    assert answer.headers["content-type"] == "application/problem+json", answer.text
    body = answer.json()
    assert body["status"] == answer.status_code
    kind = body["type"].removeprefix("urn:foresight:problem:")
    return answer.status_code, kind, [(error["field"], error["message"]) for error in body["errors"]]


def counts(trained: Trained) -> StoreCounts:
    store = DecisionStore(trained.project.settings.state_url)
    try:
        return store.counts()
    finally:
        store.close()


def line(**changes: Any) -> dict[str, Any]:
    return {"transaction_id": "t", "event_time": "2017-10-01T10:00:00", "amount": 10.0} | changes


def profile(**parts: Any) -> dict[str, Any]:
    return {"profile": {"customer": {"customer_id": "walk-in"}, "as_of": AS_OF} | parts}


@pytest.fixture
def nothing_lost(trained: Trained, service: httpx.Client) -> Iterator[None]:
    """A decision and its feedback are stored; afterwards they are all there is, still."""
    [customer_id] = trained.customers("scored", 1)
    [made] = service.post("/v1/recommendations", json={"customer_id": customer_id}).json()["recommendations"]
    event = {"event_id": "kept", "decision_id": made["decision_id"], "action": made["chosen"], "event": "accepted"}
    assert service.post("/v1/feedback", json=event).status_code == 200
    before = counts(trained)
    assert before.decisions >= 1
    assert before.feedback >= 1
    yield
    assert counts(trained) == before
    [again] = service.post("/v1/recommendations", json={"customer_id": customer_id}).json()["recommendations"]
    assert again == made | {name: again[name] for name in ("scored_at", "features_age_hours")}


PATHS = ["/v1/score", "/v1/recommendations"]
BAD: dict[str, tuple[str, tuple[int, str, list[tuple[str, str]]]]] = {
    "malformed JSON": (
        '{"customer_id": "1",\n "oops"}',
        (400, "malformed-json", [("(body)", "Invalid JSON: expected `:` at line 2 column 8")]),
    ),
    "nothing at all": (
        "",
        (400, "invalid-request", [("(body)", "give exactly one of customer_id, customer_ids and profile")]),
    ),
    "unknown field": (
        '{"profile": {"customer": {"customer_id": "1", "shoe_size": 44}}}',
        (400, "invalid-request", [("profile.customer.shoe_size", "Extra inputs are not permitted")]),
    ),
    "wrong type": (
        '{"profile": {"customer": {"customer_id": "1"}, "transactions": ['
        '{"transaction_id": "t", "event_time": "2017-10-01", "amount": 1}, '
        '{"transaction_id": "u", "event_time": "2017-10-01", "amount": "many"}]}}',
        (
            400,
            "invalid-request",
            [("profile.transactions.1.amount", "Input should be a valid number, unable to parse string as a number")],
        ),
    ),
    "wrong type of an id": (
        '{"customer_ids": ["1", 2]}',
        (400, "invalid-request", [("customer_ids.1", "Input should be a valid string")]),
    ),
    "missing field": (
        '{"profile": {"customer": {}}}',
        (400, "invalid-request", [("profile.customer.customer_id", "Field required")]),
    ),
    "NaN": (
        '{"profile": {"customer": {"customer_id": "1"}, "transactions": ['
        '{"transaction_id": "t", "event_time": "2017-10-01", "amount": NaN}]}}',
        (400, "invalid-request", [("profile.transactions.0.amount", "Input should be a finite number")]),
    ),
    "Infinity": (
        '{"profile": {"customer": {"customer_id": "1"}, "activities": ['
        '{"kind": "visit", "event_time": "2017-10-01", "value": -Infinity}]}}',
        (400, "invalid-request", [("profile.activities.0.value", "Input should be a finite number")]),
    ),
    "unknown attribute": (
        '{"profile": {"customer": {"customer_id": "1", "attributes": {"incom": "35-49K"}}}}',
        (400, "invalid-profile", [("profile.customer.attributes", "'incom' is no attribute of this project.")]),
    ),
}


@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("case", BAD)
@pytest.mark.usefixtures("nothing_lost")
def test_refused_with_its_place(service: httpx.Client, path: str, case: str) -> None:
    body, expected = BAD[case]
    assert problem(service.post(path, content=body, headers=JSON)) == expected


@pytest.mark.usefixtures("nothing_lost")
def test_a_misspelt_attribute_is_told_its_name(service: httpx.Client) -> None:
    answer = service.post("/v1/score", content=BAD["unknown attribute"][0], headers=JSON)
    assert answer.json()["detail"] == "'incom' is no attribute of this project. Did you mean 'income'?"


@pytest.mark.usefixtures("nothing_lost")
def test_unknown_ids(service: httpx.Client, trained: Trained) -> None:
    [known] = trained.customers("scored", 1)
    for path in PATHS:
        assert problem(service.post(path, json={"customer_id": "nobody"})) == (404, "not-found", [])
        answer = service.post(path, json={"customer_ids": [known, "nobody", "noone"]})
        assert problem(answer) == (404, "not-found", [])
        assert answer.json()["detail"].startswith("2 of 3 customers are not in the snapshot of 2017-11-01.")
        assert "nobody" not in answer.text
    assert problem(service.get("/v1/customers/nobody")) == (404, "not-found", [])
    assert service.get("/panel/nobody").status_code == 404


@pytest.mark.usefixtures("nothing_lost")
def test_too_many_ids(service: httpx.Client, trained: Trained) -> None:
    [known] = trained.customers("scored", 1)
    for path in PATHS:
        answer = service.post(path, json={"customer_ids": [known] * 1001})
        assert problem(answer) == (413, "too-many-ids", [])
        assert answer.json()["detail"] == "The request names 1,001 customers; at most 1,000 are answered at once."
    assert len(service.post("/v1/score", json={"customer_ids": [known] * 1000}).json()["scores"]) == 1000


@pytest.mark.usefixtures("nothing_lost")
def test_a_body_too_large(service: httpx.Client) -> None:
    body = '{"customer_id": "1"}'
    largest = body + " " * (2_000_000 - len(body))
    assert service.post("/v1/score", content=largest, headers=JSON).status_code == 200
    answer = service.post("/v1/score", content=largest + " ", headers=JSON)
    assert problem(answer) == (413, "body-too-large", [])
    assert answer.json()["detail"] == "The body is larger than 2,000,000 bytes."


def test_feedback_on_nothing_is_kept_apart(service: httpx.Client, trained: Trained) -> None:
    before = counts(trained)
    event = {"event_id": "stray", "decision_id": "never made", "action": "type_a", "event": "accepted"}
    assert problem(service.post("/v1/feedback", json=event)) == (404, "unknown-decision", [])
    assert counts(trained) == StoreCounts(before.decisions, before.feedback, before.quarantined + 1)


PRIOR_PROFILES: dict[str, dict[str, Any]] = {
    "no rows": profile(),
    "attributes only": profile(customer={"customer_id": "walk-in", "attributes": {"income": "35-49K"}}),
    "only rows after as_of": profile(transactions=[line(event_time="2017-11-01")]),
    "only rows that came after as_of": profile(transactions=[line(ingested_at="2017-11-02")]),
    "only a return": profile(transactions=[line(amount=-5.0)]),
    "only an activity": profile(activities=[{"event_time": "2017-10-01", "kind": "coupon_redeemed"}]),
}


@pytest.mark.parametrize("case", PRIOR_PROFILES)
def test_without_history_the_answer_is_the_populations_prior(
    service: httpx.Client, trained: Trained, case: str
) -> None:
    registry, settings = trained.project.registry, trained.project.settings
    churn = ChurnPredictor.load(registry.download(registry.require(settings.model_name("churn"))))
    low, high = churn.population_interval()
    value = read_manifest(registry.download(registry.require(settings.model_name("value"))), ValueManifest)
    [score] = service.post("/v1/score", json=PRIOR_PROFILES[case]).json()["scores"]
    assert score["status"] == "insufficient_history"
    purchases = value.purchases.model().population(value.horizon_days)
    assert {name: score[name] for name in NUMBERS} == {
        "churn_probability": churn.manifest.base_rate,
        "churn_probability_low": low,
        "churn_probability_high": high,
        "churn_percentile": None,
        "churn_band": None,
        "probability_alive": None,
        "expected_purchases": float(purchases),
        "lifetime_value": value.prior_spend,
        "lifetime_value_low": value.prior_low,
        "lifetime_value_high": value.prior_high,
        "value_percentile": None,
        "is_high_value": None,
    }
    assert score["churn_reasons"] == []
    assert 0 < churn.manifest.base_rate < 1
    assert value.prior_low < value.prior_spend < value.prior_high


def test_a_stored_customer_without_history_has_the_same_prior(service: httpx.Client, trained: Trained) -> None:
    [customer_id] = trained.customers("insufficient_history", 1)
    stored = service.get(f"/v1/customers/{customer_id}").json()
    [given] = service.post("/v1/score", json=profile()).json()["scores"]
    assert {name: stored[name] for name in NUMBERS} == {name: given[name] for name in NUMBERS}


def test_without_consent_there_is_no_number(service: httpx.Client) -> None:
    body = profile(customer={"customer_id": "private", "consent": False}, transactions=[line(), line(amount=20)])
    for line_number, one in enumerate(body["profile"]["transactions"]):
        one["line_id"] = str(line_number)
    [score] = service.post("/v1/score", json=body).json()["scores"]
    assert score["status"] == "no_consent"
    assert {name: score[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
    assert (score["churn_reasons"], score["recommended_actions"]) == ([], [])
    [advice] = service.post("/v1/recommendations", json=body).json()["recommendations"]
    assert (advice["chosen"], advice["propensity"]) == (None, None)
    assert (advice["recommended_actions"], advice["not_offered"]) == ([], [])


def test_a_stored_customer_without_consent_is_not_profiled(service: httpx.Client, trained: Trained) -> None:
    [customer_id] = trained.customers("no_consent", 1)
    score = service.get(f"/v1/customers/{customer_id}").json()
    assert {name: score[name] for name in NUMBERS} == dict.fromkeys(NUMBERS)
    [advice] = service.post("/v1/recommendations", json={"customer_id": customer_id}).json()["recommendations"]
    assert (advice["status"], advice["chosen"], advice["recommended_actions"]) == ("no_consent", None, [])


@pytest.fixture(scope="module")
def locked(trained: Trained, tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    """The same project with an API key configured."""
    folder: Path = tmp_path_factory.mktemp("locked")
    shutil.copy(trained.folder / "actions.toml", folder)
    digest = hashlib.sha256(KEY.encode()).hexdigest()
    text = trained.config.read_text(encoding="utf-8") + f'\n[service]\napi_keys_sha256 = ["{digest}"]\n'
    (folder / "foresight.toml").write_text(text, encoding="utf-8")
    with (
        running_service(folder / "foresight.toml", folder / "service.log") as address,
        httpx.Client(base_url=address, timeout=30) as client,
    ):
        yield client


def test_with_a_key_configured_nothing_answers_without_it(locked: httpx.Client, trained: Trained) -> None:
    [customer_id] = trained.customers("scored", 1)
    before = counts(trained)
    body = {"customer_id": customer_id}
    event = {"event_id": "locked", "decision_id": "d", "action": "type_a", "event": "accepted"}
    for headers in ({}, {"X-API-Key": KEY + "x"}, {"X-API-Key": ""}, {"Authorization": f"Bearer {KEY}"}):
        refused = [
            locked.post("/v1/score", json=body, headers=headers),
            locked.post("/v1/recommendations", json=body, headers=headers),
            locked.post("/v1/feedback", json=event, headers=headers),
            locked.get(f"/v1/customers/{customer_id}", headers=headers),
            locked.get("/openapi.json", headers=headers),
        ]
        assert [problem(answer)[:2] for answer in refused] == [(401, "key-required")] * len(refused)
        assert all(customer_id not in answer.text for answer in refused)
    assert counts(trained) == before
    opened = locked.post("/v1/score", json=body, headers={"X-API-Key": KEY})
    [score] = opened.json()["scores"]
    assert score["churn_probability"] == trained.batch.loc[customer_id, "churn_probability"]
    assert locked.get("/readyz").status_code == 200
