"""The real BentoML application over HTTP, with a test double in place of the models."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import httpx
import pytest

from kernel.service_settings import ServiceSettings
from serving.feedback.store import DecisionStore, StoreCounts
from serving.http.deployment import Deployment, Limits
from tests.doubles.insights import AS_OF, HOSTILE_ID, InsightDouble, decision, running

NOW = datetime.fromisoformat("2017-11-02T09:00:00+00:00")
KEY = "correct horse battery staple"
BATCH_COLUMNS = {
    "customer_id",
    "as_of",
    "scored_at",
    "churn_probability",
    "churn_percentile",
    "churn_band",
    "churn_reasons",
    "probability_alive",
    "expected_purchases",
    "lifetime_value",
    "value_percentile",
    "is_high_value",
    "recommended_actions",
    "status",
    "churn_model",
    "value_model",
    "policy",
}
FURTHER_COLUMNS = {
    "churn_probability_low",
    "churn_probability_high",
    "churn_horizon_days",
    "lifetime_value_low",
    "lifetime_value_high",
    "value_horizon_days",
    "currency",
    "churn_groups",
    "churn_base",
    "churn_score",
    "churn_medium_from",
    "churn_high_from",
    *(f"value_{months}m{bound}" for months in (1, 3, 6, 12, 24) for bound in ("", "_low", "_high")),
    "value_shown_months",
    "value_discounted",
    "value_margin",
    "value_at_risk",
    "historic_value",
    "expected_order_value",
    "next_order_date",
    "order_overdue_days",
}
ANSWERED_ONLY = {
    "what_if",
    "features_age_hours",
    "not_offered",
    "decision_id",
    "placement",
    "chosen",
    "propensity",
    "mode",
    "holdout",
}
pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # BentoML's own


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> DecisionStore:
    return DecisionStore(f"sqlite:///{tmp_path_factory.mktemp('state') / 'decisions.db'}")


@pytest.fixture(scope="module")
def service(store: DecisionStore) -> Iterator[httpx.Client]:
    limits = Limits(max_body_bytes=50_000, max_ids=3)
    with running(lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW)) as client:
        yield client


@pytest.fixture(scope="module")
def locked_service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    settings = ServiceSettings(api_keys_sha256=(hashlib.sha256(KEY.encode()).hexdigest(),))
    url = f"sqlite:///{tmp_path_factory.mktemp('locked') / 'decisions.db'}"
    limits = Limits.of(settings, {})
    with running(lambda: Deployment(InsightDouble(), DecisionStore(url), limits, clock=lambda: NOW)) as client:
        yield client


def problem(answer: httpx.Response) -> tuple[int, str, list[tuple[str, str]]]:
    """Status, kind and wrong fields; checks the shape that every error has."""
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert list(body) == ["type", "title", "status", "detail", "errors"]
    assert body["status"] == answer.status_code
    kind = body["type"].removeprefix("urn:foresight:problem:")
    return answer.status_code, kind, [(error["field"], error["message"]) for error in body["errors"]]


def test_what_would_change_it(service: httpx.Client) -> None:
    answer = service.get("/v1/changes/1609")
    assert answer.status_code == 200
    assert answer.json() == {
        "customer_id": "1609",
        "as_of": "2017-11-01T00:00:00Z",
        "churn_band": "medium",
        "changes": [
            {
                "behaviour": "purchases",
                "label": "More purchases",
                "code": "orders_30d",
                "text": "orders in the last 30 days: 3 instead of 1",
                "value": 1.0,
                "target": 3.0,
                "probability": 0.125,
                "percentile": 55.0,
                "band": "low",
            }
        ],
        "churn_model": "churn:3",
    }
    assert service.get("/v1/changes/2").json()["changes"] == []
    assert problem(service.get("/v1/changes/unknown"))[:2] == (404, "not-found")


def test_score_by_id_has_the_columns_of_the_batch_file(service: httpx.Client) -> None:
    answer = service.post("/v1/score", json={"customer_id": "1609"})
    assert answer.status_code == 200
    [score] = answer.json()["scores"]
    assert set(score) == BATCH_COLUMNS | FURTHER_COLUMNS | ANSWERED_ONLY
    assert score["features_age_hours"] == 2.5
    assert (score["decision_id"], score["chosen"], score["propensity"], score["mode"]) == (
        None,
        "coupon",
        0.8,
        "greedy",
    )
    assert score["churn_probability"] == 0.34375
    assert score["lifetime_value"] == 283.4000244140625
    assert (score["currency"], score["value_horizon_days"], score["churn_horizon_days"]) == ("USD", 56, 28)
    assert score["churn_reasons"][0] == {
        "code": "rfm_recency_days",
        "text": "No purchase for 31 days; usual is 6 days",
        "value": 31.0,
        "effect": 0.91,
        "group": "rfm",
        "usual": 6.0,
        "typical": 4.5,
    }
    assert score["churn_groups"][0] == {"group": "rfm", "label": "Recency", "effect": 0.91}
    assert score["churn_base"] == -1.5
    assert (score["churn_score"], score["churn_medium_from"], score["churn_high_from"]) == (34, 70.0, 90.0)
    assert score["recommended_actions"][0] == {
        "action": "coupon",
        "label": "Personal coupon",
        "rank": 1,
        "expected_value": 12.5,
        "expected_value_low": 10.0,
        "expected_value_high": 15.0,
        "expected_margin": 13.5,
        "contact_cost": 1.0,
        "incentive_cost": 0.0,
        "lever_effect": 0.0,
        "fatigue_cost": 0.0,
        "price": 0.0,
        "probability": 0.8,
        "explanation": "Has redeemed coupons before.",
        "what_would_change": "",
        "cost": 1.0,
        "uplift": 0.03,
        "channel": "mail",
        "status": "prior",
    }


def test_scores_keep_the_order_of_the_ids(service: httpx.Client) -> None:
    answer = service.post("/v1/score", json={"customer_ids": ["4", "1609", "2"]})
    assert [(score["customer_id"], score["status"]) for score in answer.json()["scores"]] == [
        ("4", "no_consent"),
        ("1609", "scored"),
        ("2", "inactive"),
    ]


def test_a_profile_is_scored_on_the_spot(service: httpx.Client) -> None:
    profile = {
        "customer": {"customer_id": "new", "attributes": {"age": 41, "segment": "gold", "income": None}},
        "transactions": [
            {"transaction_id": "t1", "event_time": "2017-10-01T10:00:00", "amount": 10.5},
            {"transaction_id": "t2", "event_time": "2017-10-02", "amount": -2.25, "quantity": 1},
        ],
        "activities": [{"event_time": "2017-10-01T00:00:00+02:00", "kind": "visit"}],
        "as_of": "2017-10-05",
    }
    [score] = service.post("/v1/score", json={"profile": profile}).json()["scores"]
    assert (score["customer_id"], score["as_of"], score["lifetime_value"]) == ("new", "2017-10-05T00:00:00Z", 8.25)


def test_a_profile_that_does_not_fit_the_project_is_the_clients_mistake(service: httpx.Client) -> None:
    profile = {"customer": {"customer_id": "new", "attributes": {"unmapped": "secret"}}}
    answer = service.post("/v1/score", json={"profile": profile})
    assert problem(answer) == (
        400,
        "invalid-profile",
        [("profile.customer.attributes", "'unmapped' is no attribute here.")],
    )
    assert answer.json()["detail"] == "'unmapped' is no attribute here. Known: age."


def test_get_customer_answers_the_same_score(service: httpx.Client) -> None:
    [score] = service.post("/v1/score", json={"customer_id": "1609"}).json()["scores"]
    assert service.get("/v1/customers/1609").json() == score


def test_a_recommendation_is_kept_before_it_is_answered(service: httpx.Client, store: DecisionStore) -> None:
    answer = service.post("/v1/recommendations", json={"customer_ids": ["1609", "4"]})
    first, without_consent = answer.json()["recommendations"]
    assert (first["decision_id"], first["chosen"], first["propensity"]) == ("decision-of-1609", "coupon", 0.8)
    assert first["not_offered"] == [
        {
            "action": "win_back",
            "label": "Win-back voucher",
            "reason_codes": ["eligibility: days_since > 56"],
            "explanation": "It asks for eligibility: days_since > 56.",
        }
    ]
    assert (without_consent["decision_id"], without_consent["recommended_actions"]) == (None, [])
    assert store.decision("decision-of-1609") == decision("1609")
    [scored, _] = service.post("/v1/score", json={"customer_ids": ["1609", "4"]}).json()["scores"]
    assert first == scored | {"decision_id": "decision-of-1609"}


def test_what_if_is_said_to_be_no_score(service: httpx.Client) -> None:
    [score] = service.post("/v1/score", json={"customer_id": "1609"}).json()["scores"]
    body = {"customer_id": "1609", "what_if": {"orders_30d": 3}}
    [asked] = service.post("/v1/score", json=body).json()["scores"]
    assert asked == score | {"what_if": True, "expected_purchases": 3.0}
    assert score["what_if"] is False


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("score", {"customer_id": "1609", "what_if": {"orders": 3}}, ("what_if.orders", "That is no feature.")),
        ("score", {"customer_id": "1609", "what_if": {"orders_30d": []}}, ("what_if.orders_30d", "Input should be")),
        ("score", {"customer_ids": ["1609"], "what_if": {"orders_30d": 3}}, ("(body)", "what_if is for one customer")),
        ("recommendations", {"customer_id": "1609", "what_if": {"orders_30d": 3}}, ("what_if", "Extra inputs")),
    ],
)
def test_a_what_if_that_cannot_be_answered(
    service: httpx.Client, path: str, body: dict[str, object], expected: tuple[str, str]
) -> None:
    status, kind, [(field, message), *_] = problem(service.post(f"/v1/{path}", json=body))
    assert (status, kind, field) == (400, "invalid-request", expected[0])
    assert message.startswith(expected[1])


def test_new_events_count_at_once(service: httpx.Client) -> None:
    bought = {"transaction_id": "t9", "event_time": "2017-11-01T02:00:00Z", "amount": 12.5}
    body = {"customer_id": "1609", "events": {"transactions": [bought]}}
    [score] = service.post("/v1/score", json=body).json()["scores"]
    assert (score["as_of"], score["lifetime_value"]) == ("2017-11-01T02:00:00.000001Z", 12.5)
    later = bought | {"event_time": "2017-11-01T02:30:01Z"}
    body = {"customer_id": "1609", "events": {"transactions": [bought, later]}}
    wrong = [("events.transactions.1.event_time", "The moment is still to come.")]
    assert problem(service.post("/v1/score", json=body)) == (400, "invalid-request", wrong)
    body = {"customer_ids": ["1609"], "events": {}}
    wrong = [("(body)", "events are of one stored customer: give customer_id")]
    assert problem(service.post("/v1/recommendations", json=body)) == (400, "invalid-request", wrong)


def test_feedback_is_idempotent(service: httpx.Client, store: DecisionStore) -> None:
    service.post("/v1/recommendations", json={"customer_id": "1609"})
    before = store.counts().feedback
    event = {"event_id": "e1", "decision_id": "decision-of-1609", "action": "coupon", "event": "accepted"}
    answers = [service.post("/v1/feedback", json=event).json() for _ in range(2)]
    assert answers == [{"event_id": "e1", "status": "stored"}, {"event_id": "e1", "status": "already_stored"}]
    assert store.counts().feedback == before + 1


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"decision_id": "never"}, (404, "unknown-decision", [])),
        ({"action": "invented"}, (400, "unknown-action", [])),
        ({"event_id": "taken"}, (409, "event-conflict", [])),
    ],
)
def test_feedback_that_does_not_match_is_refused_and_kept(
    service: httpx.Client, store: DecisionStore, changes: dict[str, str], expected: tuple[int, str, list[object]]
) -> None:
    service.post("/v1/recommendations", json={"customer_id": "1609"})
    taken = {"event_id": "taken", "decision_id": "decision-of-1609", "action": "coupon", "event": "shown"}
    assert service.post("/v1/feedback", json=taken).status_code == 200
    before = store.counts()
    event = {"event_id": f"bad-{expected[1]}", "decision_id": "decision-of-1609", "action": "mailing", "event": "shown"}
    assert problem(service.post("/v1/feedback", json=event | changes)) == expected
    assert store.counts() == StoreCounts(before.decisions, before.feedback, before.quarantined + 1)


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("{", (400, "malformed-json", [("(body)", "Invalid JSON: EOF while parsing an object at line 1 column 1")])),
        ('{"customer_id": NaN}', (400, "invalid-request", [("customer_id", "Input should be a valid string")])),
        ('{"customer_id": 5}', (400, "invalid-request", [("customer_id", "Input should be a valid string")])),
        ('{"name": "x"}', (400, "invalid-request", [("name", "Extra inputs are not permitted")])),
        (
            "{}",
            (400, "invalid-request", [("(body)", "give exactly one of customer_id, customer_ids and profile")]),
        ),
        (
            '{"profile": {"customer": {"customer_id": "1"}, "transactions": '
            '[{"transaction_id": "t", "event_time": "x", "amount": 1}]}}',
            (
                400,
                "invalid-request",
                [
                    (
                        "profile.transactions.0.event_time",
                        "Input should be a valid datetime or date, input is too short",
                    )
                ],
            ),
        ),
        ('{"customer_id": "nobody"}', (404, "not-found", [])),
        ('{"customer_ids": ["1609", "nobody", "noone"]}', (404, "not-found", [])),
        ('{"customer_ids": ["1", "2", "3", "4"]}', (413, "too-many-ids", [])),
        ('{"customer_ids": ["' + "x" * 60_000 + '"]}', (413, "body-too-large", [])),
        ('{"customer_id": "broken"}', (500, "internal", [])),
    ],
)
def test_bad_input(service: httpx.Client, body: str, expected: tuple[int, str, list[tuple[str, str]]]) -> None:
    answer = service.post("/v1/score", content=body, headers={"Content-Type": "application/json"})
    assert problem(answer) == expected


def test_other_paths_methods_and_types(service: httpx.Client) -> None:
    assert problem(service.get("/nothing"))[:2] == (404, "not-found")
    assert problem(service.get("/schema.json"))[:2] == (404, "not-found")
    assert problem(service.get("/v1/score"))[:2] == (405, "method-not-allowed")
    assert problem(service.post("/v1/score", content="customer_id=1"))[:2] == (415, "unsupported-media-type")
    assert problem(service.get("/v1/customers/nobody"))[:2] == (404, "not-found")


def test_the_unknown_are_counted_not_named(service: httpx.Client) -> None:
    answer = service.post("/v1/score", json={"customer_ids": ["1609", "nobody", "noone"]})
    assert answer.json()["detail"] == "2 of 3 customers are unknown. Check the ids."


def test_a_failure_shows_no_customer(service: httpx.Client, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG):
        answer = service.post(
            "/v1/score", json={"customer_id": InsightDouble.broken_id}, headers={"X-Request-Id": "crm-18"}
        )
    assert "secret attribute" not in answer.text
    assert "secret attribute" not in caplog.text
    assert "request crm-18 failed: ValueError at" in caplog.text


def test_a_refused_request_leaves_no_customer_in_the_log(
    service: httpx.Client, caplog: pytest.LogCaptureFixture
) -> None:
    body = {"profile": {"customer": {"customer_id": "7", "attributes": {"name": ["Ada"]}, "Lovelace": 1}}}
    with caplog.at_level(logging.DEBUG):
        assert problem(service.post("/v1/score", json=body))[:2] == (400, "invalid-request")
    assert "Ada" not in caplog.text
    assert "Lovelace" not in caplog.text


def test_every_answer_has_a_request_id(service: httpx.Client) -> None:
    given = service.get("/v1/customers/1609", headers={"X-Request-Id": "crm-17"})
    assert given.headers["x-request-id"] == "crm-17"
    made = service.get("/nothing", headers={"X-Request-Id": "two words"})
    assert len(made.headers["x-request-id"]) == 32


def test_health_and_index(service: httpx.Client) -> None:
    assert [service.get(path).status_code for path in ("/livez", "/readyz", "/metrics")] == [200, 200, 200]
    index = service.get("/")
    assert index.status_code == 200
    assert "https://" not in index.text
    assert "<h1>double</h1>" in index.text


def test_openapi_describes_every_route(service: httpx.Client) -> None:
    document = service.get("/openapi.json").json()
    assert service.get("/docs.json").json() == document
    assert set(document["paths"]) == {
        "/v1/score",
        "/v1/recommendations",
        "/v1/feedback",
        "/v1/panel-tokens",
        "/v1/customers/{customer_id}",
        "/v1/changes/{customer_id}",
        "/panel/{customer_id}",
        "/v1/card/{customer_id}",
        "/metrics",
        "/livez",
        "/readyz",
    }
    assert "security" not in document
    assert service.get("/openapi-3.0.json").json()["openapi"] == "3.0.3"
    assert service.get("/openapi-2.0.json").json()["swagger"] == "2.0"
    references = [part.split('"')[0] for part in json.dumps(document).split('"#/components/schemas/')[1:]]
    assert set(references) <= set(document["components"]["schemas"])


def test_panel_page(service: httpx.Client, store: DecisionStore) -> None:
    page = service.get("/panel/1609", headers={"Accept": "text/html"})
    assert page.status_code == 200
    nonce = page.text.split('<script nonce="')[1].split('"')[0]
    assert page.headers["content-security-policy"] == (
        f"default-src 'none'; style-src 'nonce-{nonce}'; script-src 'nonce-{nonce}'; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'self'"
    )
    assert service.get("/panel/1609").text.split('<script nonce="')[1].split('"')[0] != nonce
    assert store.decision("decision-of-1609") == decision("1609")


def test_panel_of_a_hostile_id_and_of_nobody(service: httpx.Client) -> None:
    page = service.get(f"/panel/{HOSTILE_ID.replace('/', '%2F')}")
    assert page.status_code == 200
    assert '<h2 id="customer" tabindex="-1">&lt;b&gt;O&#x27;Neil &amp; Sons&lt;/b&gt;</h2>' in page.text
    missing = service.get("/panel/<script>alert(1)<%2Fscript>")
    assert missing.status_code == 404
    assert "No such customer" in missing.text
    assert "<script>alert" not in missing.text


@pytest.mark.parametrize("path", ["/v1/customers/1609", "/metrics", "/openapi.json", "/docs.json", "/", "/nothing"])
def test_without_the_key_nothing_answers(locked_service: httpx.Client, path: str) -> None:
    assert problem(locked_service.get(path))[:2] == (401, "key-required")
    assert problem(locked_service.get(path, headers={"X-API-Key": KEY + "x"}))[:2] == (401, "key-required")


def test_the_key_opens(locked_service: httpx.Client) -> None:
    assert locked_service.get("/livez").status_code == 200
    assert locked_service.get("/readyz").status_code == 200
    assert problem(locked_service.post("/v1/score", json={"customer_id": "1609"}))[:2] == (401, "key-required")
    opened = locked_service.post("/v1/score", json={"customer_id": "1609"}, headers={"X-API-Key": KEY})
    assert opened.json()["scores"][0]["as_of"] == "2017-11-01T00:00:00Z"
    assert locked_service.get("/openapi.json", headers={"X-API-Key": KEY}).json()["security"] == [{"apiKey": []}]


def test_a_browser_without_the_key_is_asked_for_it(locked_service: httpx.Client) -> None:
    page = locked_service.get("/panel/1609", headers={"Accept": "text/html"})
    assert page.status_code == 401
    assert '<input type="password" name="key"' in page.text
    assert "283" not in page.text
    opened = locked_service.get("/panel/1609", headers={"Accept": "text/html", "X-API-Key": KEY})
    assert "$283" in opened.text
    assert KEY not in opened.text


def test_a_store_that_is_gone_is_503_and_acknowledges_nothing(tmp_path: Path) -> None:
    store = DecisionStore(f"sqlite:///{tmp_path / 'decisions.db'}")
    limits = Limits(max_body_bytes=50_000, max_ids=3)
    with running(lambda: Deployment(InsightDouble(), store, limits, clock=lambda: NOW)) as client:
        store.close()
        (tmp_path / "decisions.db").unlink()
        (tmp_path / "decisions.db").mkdir()
        answer = client.post("/v1/recommendations", json={"customer_id": "1609"})
        assert problem(answer)[:2] == (503, "store-unavailable")
        assert answer.headers["retry-after"] == "5"
        page = client.get("/panel/1609", headers={"Accept": "text/html"})
        assert (page.status_code, page.headers["retry-after"]) == (503, "5")
        assert problem(client.get("/readyz"))[:2] == (503, "not-ready")
        assert client.post("/v1/score", json={"customer_id": "1609"}).json()["scores"][0][
            "as_of"
        ] == AS_OF.isoformat().replace("+00:00", "Z")
