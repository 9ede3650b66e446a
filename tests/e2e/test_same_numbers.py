"""One customer, one moment: the service, the batch file, the notebook and MLflow answer the same numbers, exactly."""

from __future__ import annotations

import json
from typing import Any

import httpx
import mlflow
import numpy as np
import pandas as pd
import pytest

from foresight.service_process import running_service
from serving.feedback.store import DecisionStore, StoreCounts
from tests.e2e.conftest import AS_OF, Trained

NUMBERS = ["churn_probability", "lifetime_value", "probability_alive", "expected_purchases"]
# What no two runs share: the present.
CLOCK = "scored_at"
OF_CLOCK = (CLOCK, "features_age_hours")


def asked_of_all(service: httpx.Client, path: str, customer_ids: list[str], answer: str) -> list[dict[str, Any]]:
    response = service.post(path, json={"customer_ids": customer_ids})
    assert response.status_code == 200, response.text
    return response.json()[answer]


@pytest.fixture(scope="module")
def answers(service: httpx.Client, trained: Trained) -> pd.DataFrame:
    """Every customer's score over HTTP, index customer_id."""
    scores = asked_of_all(service, "/v1/score", list(trained.batch.index), "scores")
    return pd.DataFrame(scores).set_index("customer_id")


def numbers(frame: pd.DataFrame) -> pd.DataFrame:
    return frame[NUMBERS].astype("float64")


def test_the_slice_has_customers_of_every_status(trained: Trained) -> None:
    assert set(trained.batch["status"]) == {"scored", "inactive", "insufficient_history", "no_consent"}
    known = trained.batch[trained.batch["status"] == "scored"]
    assert not known[NUMBERS].isna().any(axis=None)
    # Numbers that differ from customer to customer: equality below means something.
    assert known["churn_probability"].nunique() > 0.9 * len(known)
    assert known["lifetime_value"].nunique() > 0.9 * len(known)


def test_service_and_batch_file(answers: pd.DataFrame, trained: Trained) -> None:
    pd.testing.assert_frame_equal(numbers(answers), numbers(trained.batch), check_exact=True)
    for column in ("status", "churn_band", "churn_model", "value_model", "policy", "currency"):
        assert answers[column].tolist() == trained.batch[column].where(trained.batch[column].notna(), None).tolist()


def test_notebook_and_batch_file(trained: Trained) -> None:
    notebook = trained.project.score(as_of=AS_OF).set_index("customer_id")
    pd.testing.assert_frame_equal(
        notebook.drop(columns=CLOCK), trained.batch.drop(columns=CLOCK), check_exact=True, check_dtype=False
    )


def test_mlflow_and_batch_file(trained: Trained) -> None:
    trained.project.registry.activate()
    features = trained.project.features(as_of=AS_OF)
    churn = mlflow.pyfunc.load_model("models:/churn@champion").predict(features)
    value = mlflow.pyfunc.load_model("models:/value@champion").predict(features)
    scored = trained.batch.index[trained.batch["status"] == "scored"]
    known = trained.batch.index[trained.batch["status"].isin(["scored", "inactive"])]
    assert len(scored) > 500 and len(known) > len(scored)
    assert churn.loc[scored, "churn_probability"].tolist() == trained.batch.loc[scored, "churn_probability"].tolist()
    for column in NUMBERS[1:]:
        np.testing.assert_array_equal(value.loc[known, column], trained.batch.loc[known, column])


def test_one_at_a_time_and_all_at_once(service: httpx.Client, answers: pd.DataFrame, trained: Trained) -> None:
    for status in ("scored", "inactive", "insufficient_history", "no_consent"):
        for customer_id in trained.customers(status, 3):
            alone = service.get(f"/v1/customers/{customer_id}").json()
            together = answers.loc[customer_id]
            for name in (*OF_CLOCK, "customer_id"):
                del alone[name]
            assert alone == {name: together_value(together[name]) for name in alone}


def together_value(value: Any) -> Any:
    # pandas turns null into NaN in a column of numbers.
    return None if isinstance(value, float) and np.isnan(value) else value


def profile_of(trained: Trained, customer_id: str) -> dict[str, Any]:
    """The customer's own rows, all of them: those after ``as_of`` must not count there either."""
    profiles = trained.project.profiles

    def rows(table: str) -> list[dict[str, Any]]:
        query = f"SELECT * EXCLUDE customer_id FROM {table} WHERE customer_id = $id"
        frame = profiles.connection.cursor().execute(query, {"id": customer_id}).df()
        found = json.loads(frame.to_json(orient="records", date_format="iso", date_unit="us", double_precision=15))
        return [{name: value for name, value in row.items() if value is not None} for row in found]

    [customer] = rows("customers")
    attributes = {name: customer[name] for name in profiles.attributes if name in customer}
    return {
        "customer": {"customer_id": customer_id, "consent": customer["consent"], "attributes": attributes},
        "transactions": rows("transactions"),
        "activities": rows("activities"),
        "as_of": AS_OF,
    }


@pytest.mark.parametrize(
    ("status", "count"), [("scored", 5), ("inactive", 2), ("insufficient_history", 2), ("no_consent", 1)]
)
def test_a_whole_profile_is_answered_as_by_id(service: httpx.Client, trained: Trained, status: str, count: int) -> None:
    for customer_id in trained.customers(status, count):
        profile = profile_of(trained, customer_id)
        if status == "no_consent":
            assert profile["transactions"] == []  # nothing is kept; whatever comes in must change nothing
            profile |= {"transactions": profile_of(trained, trained.customers("scored", 1)[0])["transactions"]}
        assert profile["transactions"], "the profile has rows"
        for path, answer in (("/v1/score", "scores"), ("/v1/recommendations", "recommendations")):
            response = service.post(path, json={"profile": profile})
            assert response.status_code == 200, response.text
            [by_profile] = response.json()[answer]
            [by_id] = asked_of_all(service, path, [customer_id], answer)
            for one in (by_profile, by_id):
                for name in OF_CLOCK:
                    del one[name]
            assert by_id["status"] == status
            assert by_profile == by_id


def test_a_profile_without_its_last_order_is_answered_otherwise(service: httpx.Client, trained: Trained) -> None:
    [customer_id] = trained.customers("scored", 1)
    profile = profile_of(trained, customer_id)
    known = [line for line in profile["transactions"] if line["event_time"] < AS_OF]
    last = max(known, key=lambda line: line["event_time"])["transaction_id"]
    profile["transactions"] = [line for line in known if line["transaction_id"] != last]
    [without] = service.post("/v1/score", json={"profile": profile}).json()["scores"]
    assert without["probability_alive"] != trained.batch.loc[customer_id, "probability_alive"]


def test_decisions_of_batch_and_service(service: httpx.Client, trained: Trained) -> None:
    runtime = trained.project.runtime(as_of=AS_OF)
    insights = runtime.insights(runtime.snapshot.features, runtime.snapshot.consent.to_numpy(), runtime.as_of)
    answered = asked_of_all(service, "/v1/recommendations", list(trained.batch.index), "recommendations")
    assert len({answer["chosen"] for answer in answered}) > 2, "the policy does not always choose the same"
    for insight, answer in zip(insights, answered, strict=True):
        made = insight.decision
        assert made is not None
        assert (answer["decision_id"], answer["chosen"], answer["propensity"]) == (
            made.decision_id,
            made.chosen,
            made.propensity,
        )
        # Without consent the decision says that nothing was chosen.
        assert (answer["chosen"] is None) == (answer["status"] == "no_consent")


def test_actions_of_batch_file_and_service(answers: pd.DataFrame, trained: Trained) -> None:
    offered = 0
    for customer_id, actions in trained.batch["recommended_actions"].items():
        assert list(actions) == answers.loc[customer_id, "recommended_actions"]
        for one in actions:
            parts = one["expected_margin"] - one["contact_cost"] - one["incentive_cost"] + one["lever_effect"]
            assert parts - one["fatigue_cost"] - one["price"] == one["expected_value"]
        offered += len(actions)
    assert offered > len(trained.batch)


def test_reasons_of_batch_file_and_service(answers: pd.DataFrame, trained: Trained) -> None:
    for customer_id in trained.customers("scored", 100):
        written = trained.batch.loc[customer_id, "churn_reasons"]
        answered = answers.loc[customer_id, "churn_reasons"]
        assert len(written) > 0
        for row, reason in zip(written, answered, strict=True):
            for field in ("code", "text", "effect", "group", "usual", "typical"):
                assert row[field] == reason[field]
            # The file's column has one type: an attribute's word stands in the text.
            assert row["value"] == (reason["value"] if isinstance(reason["value"], float) else None)


def test_groups_add_up_to_the_probability(answers: pd.DataFrame, trained: Trained) -> None:
    scored = trained.batch.loc[trained.customers("scored", 100)]
    for customer_id, row in scored.iterrows():
        log_odds = row["churn_base"] + sum(group["effect"] for group in row["churn_groups"])
        assert 1 / (1 + np.exp(-log_odds)) == pytest.approx(row["churn_probability"], abs=1e-9)
        assert list(row["churn_groups"]) == answers.loc[customer_id, "churn_groups"]


def test_a_restart_keeps_decisions_and_feedback(trained: Trained) -> None:
    [customer_id] = trained.customers("scored", 1)
    event = {"event_id": "restart-1", "event": "accepted"}
    with running_service(trained.config, trained.folder / "first.log") as address:
        [made] = httpx.post(f"{address}/v1/recommendations", json={"customer_id": customer_id}).json()[
            "recommendations"
        ]
        event |= {"decision_id": made["decision_id"], "action": made["chosen"]}
        stored = httpx.post(f"{address}/v1/feedback", json=event)
        assert stored.json() == {"event_id": "restart-1", "status": "stored"}
        before = counts(trained)
    assert before.feedback >= 1
    with running_service(trained.config, trained.folder / "second.log") as address:
        assert counts(trained) == before
        again = httpx.post(f"{address}/v1/feedback", json=event)
        assert again.json() == {"event_id": "restart-1", "status": "already_stored"}
        [same] = httpx.post(f"{address}/v1/recommendations", json={"customer_id": customer_id}).json()[
            "recommendations"
        ]
        assert same == made | {name: same[name] for name in OF_CLOCK}
    assert counts(trained) == before


def counts(trained: Trained) -> StoreCounts:
    store = DecisionStore(trained.project.settings.state_url)
    try:
        return store.counts()
    finally:
        store.close()
