"""Decisions: the same alone and in a batch, replayed to the bit, with a reason for everything that was not offered."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pytest
from scipy import stats

from kernel.errors import DataError, UsageError
from kernel.uplift_predictor import Effects, EffectStatus
from serving.decisioning.belief import LearnedBelief, PriorBelief
from serving.decisioning.catalogue import Catalogue, load_catalogue
from serving.decisioning.decide import decide
from serving.decisioning.decision import Candidate, Decision
from serving.decisioning.policy import PolicySettings

FEATURES = (
    "frequency",
    "days_since_last_purchase",
    "campaigns_received_90d",
    "coupons_redeemed_365d",
    "spend_90d",
)
COMPLETE_JOURNEY = Path(__file__).parents[2] / "examples" / "complete_journey" / "actions.toml"
AS_OF = datetime(2017, 11, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def catalogue() -> Catalogue:
    return load_catalogue(COMPLETE_JOURNEY, FEATURES)


def regular(**changes: Any) -> dict[str, Any]:
    """A household at some risk, to whom every campaign may be sent."""
    return {
        "customer_id": "7",
        "status": "scored",
        "churn_probability": 0.4,
        "churn_percentile": 80.0,
        "churn_band": "medium",
        "probability_alive": 0.7,
        "expected_purchases": 5.0,
        "lifetime_value": 200.0,
        "value_percentile": 50.0,
        "is_high_value": False,
        "frequency": 12,
        "days_since_last_purchase": 10,
        "campaigns_received_90d": 2,
        "coupons_redeemed_365d": 1,
        "spend_90d": 300.0,
        **changes,
    }


def many(count: int) -> pd.DataFrame:
    rng = np.random.default_rng(3)
    churn = rng.random(count)
    frame = pd.DataFrame(
        {
            "customer_id": [f"h{number}" for number in range(count)],
            "status": rng.choice(
                ["scored", "inactive", "insufficient_history", "no_consent"], count, p=[0.7, 0.1, 0.1, 0.1]
            ),
            "churn_probability": np.where(rng.random(count) < 0.1, np.nan, churn),
            "churn_band": np.where(churn < 0.3, "low", np.where(churn < 0.7, "medium", "high")),
            "lifetime_value": np.where(rng.random(count) < 0.1, np.nan, rng.gamma(1, 280, count)),
            "frequency": rng.integers(0, 30, count),
            "days_since_last_purchase": rng.integers(0, 90, count),
            "campaigns_received_90d": rng.integers(0, 8, count),
            "coupons_redeemed_365d": rng.integers(0, 3, count),
            "spend_90d": rng.gamma(1, 300, count),
        }
    )
    frame["churn_band"] = frame["churn_band"].astype(object).where(frame["churn_probability"].notna(), None)
    return frame


def run(catalogue: Catalogue, frame: pd.DataFrame, **changes: Any) -> list[Decision]:
    return decide(
        catalogue,
        frame,
        **{
            "as_of": AS_OF,
            "settings": PolicySettings(),
            "currency": "USD",
            "model_versions": ("value/2", "churn/1"),
            **changes,
        },
    )


def one(catalogue: Catalogue, *, options: dict[str, Any] | None = None, **changes: Any) -> Decision:
    return run(catalogue, pd.DataFrame([regular(**changes)]), **(options or {}))[0]


def by_id(decision: Decision) -> dict[str, Candidate]:
    return {candidate.action_id: candidate for candidate in decision.candidates}


def edited(tmp_path: Path, *changes: tuple[str, str]) -> Catalogue:
    text = COMPLETE_JOURNEY.read_text(encoding="utf-8")
    for old, new in changes:
        assert old in text
        text = text.replace(old, new)
    path = tmp_path / "actions.toml"
    path.write_text(text, encoding="utf-8")
    return load_catalogue(path, FEATURES)


def test_every_candidate_has_its_value_from_the_catalogue(catalogue: Catalogue) -> None:
    found = by_id(one(catalogue))
    assert list(found) == ["do_nothing", "type_a", "type_b", "type_c"]
    assert all(candidate.eligible and candidate.reason_codes == () for candidate in found.values())
    a, c = found["type_a"], found["type_c"]
    assert a.uplift == pytest.approx(0.0414, rel=1e-12)
    assert a.uplift_low == pytest.approx(stats.beta(4.14, 95.86).ppf(0.05), rel=1e-9)
    assert a.uplift_high == pytest.approx(stats.beta(4.14, 95.86).ppf(0.95), rel=1e-9)
    assert a.expected_incremental_value == pytest.approx(0.0414 * 34.6 - 0.5 - (0.0414 + 0.124) * 1.01, rel=1e-12)
    assert a.eiv_high == pytest.approx(a.uplift_high * 34.6 - 0.5 - (a.uplift_high + 0.124) * 1.01, rel=1e-12)
    assert a.cost == pytest.approx(0.5 + (0.0414 + 0.124) * 1.01, rel=1e-12)
    assert c.value == 50.0
    assert (a.status, found["do_nothing"].status) == (EffectStatus.PRIOR, EffectStatus.EXACT)
    assert found["do_nothing"].expected_incremental_value == 0.0
    assert found["do_nothing"].label == "Leave the household alone for now"


def test_the_parts_add_up_exactly_for_every_candidate(tmp_path: Path) -> None:
    lever = (
        '\n[action.lever]\nweight = 1.3\nfrom = 2017-01-01\nto = 2017-12-31\nowner = "Marketing"\n\n[action.texts.en]\n'
    )
    leveraged = edited(tmp_path, ("\n[action.texts.en]\n", lever))
    seen = 0
    for decision in run(leveraged, many(2000)):
        for candidate in decision.candidates:
            if candidate.expected_incremental_value is None:
                assert candidate.reason_codes[-1] == "missing:lifetime_value"
                continue
            margin, effect = candidate.expected_margin, candidate.lever_effect
            assert margin is not None and effect is not None
            parts = margin - candidate.contact_cost - candidate.incentive_cost + effect
            assert parts == candidate.expected_incremental_value
            seen += effect != 0
    assert seen > 1000


def test_every_action_that_drops_out_says_why(catalogue: Catalogue) -> None:
    found = by_id(
        one(
            catalogue,
            churn_band=None,
            churn_probability=None,
            lifetime_value=None,
            days_since_last_purchase=None,
            coupons_redeemed_365d=0,
            spend_90d=20.0,
            campaigns_received_90d=9,
        )
    )
    assert found["type_a"].reason_codes == (
        "missing:days_since_last_purchase",
        "suitability: campaigns_received_90d < 6",
    )
    assert found["type_b"].reason_codes == (
        "applicability: coupons_redeemed_365d >= 1 OR spend_90d >= 150",
        "suitability: campaigns_received_90d < 4",
    )
    assert found["type_c"].reason_codes == (
        "missing:churn_band",
        "suitability: campaigns_received_90d < 4",
        "missing:lifetime_value",
    )
    assert found["type_c"].expected_incremental_value is None
    assert found["do_nothing"].probability == pytest.approx(1.0, abs=1e-12)


def test_actions_outside_their_days_drop_out(tmp_path: Path) -> None:
    dated = edited(
        tmp_path,
        ('id = "type_a"', 'id = "type_a"\nend = 2017-10-31'),
        ('id = "type_b"', 'id = "type_b"\nstart = 2017-11-02'),
    )
    found = by_id(one(dated))
    assert (found["type_a"].reason_codes, found["type_b"].reason_codes) == (("ended",), ("not_started",))
    last_moment = {"as_of": datetime(2017, 10, 31, 23, 59, tzinfo=UTC)}
    assert by_id(one(dated, options=last_moment))["type_a"].eligible
    assert by_id(one(dated, options={"as_of": datetime(2017, 11, 2, tzinfo=UTC)}))["type_b"].eligible


def test_the_probabilities_sum_to_one_and_the_propensity_is_the_drawn_one(catalogue: Catalogue) -> None:
    for decision in run(catalogue, many(3000)):
        if not decision.candidates:
            continue
        assert abs(sum(candidate.probability for candidate in decision.candidates) - 1) <= 1e-12
        assert all((candidate.probability > 0) == candidate.eligible for candidate in decision.candidates)
        drawn = by_id(decision)[decision.chosen or ""]
        assert decision.propensity == drawn.probability
        assert decision.recommended[0].action_id == decision.chosen
        values = [c.expected_incremental_value or 0.0 for c in decision.candidates if c.eligible]
        assert decision.mode == ("greedy" if drawn.expected_incremental_value == max(values) else "explore")


def test_over_many_decisions_actions_are_chosen_as_often_as_the_probabilities_say(catalogue: Catalogue) -> None:
    frame = pd.DataFrame([regular()]).loc[[0] * 100_000].reset_index(drop=True)
    frame["customer_id"] = [str(number) for number in range(len(frame))]
    decisions = run(catalogue, frame)
    pi = {name: candidate.probability for name, candidate in by_id(decisions[0]).items()}
    assert min(pi.values()) > 0.004
    counts = Counter(decision.chosen for decision in decisions)
    observed = [counts[name] for name in pi]
    expected = np.array(list(pi.values())) * len(frame)
    assert stats.chisquare(observed, expected * sum(observed) / expected.sum()).pvalue > 0.001


def test_a_replay_is_identical_to_the_bit(catalogue: Catalogue) -> None:
    first, second = run(catalogue, many(500)), run(load_catalogue(COMPLETE_JOURNEY, FEATURES), many(500))
    assert orjson.dumps([d.to_dict() for d in first]) == orjson.dumps([d.to_dict() for d in second])
    assert first == second


def test_one_customer_and_a_batch_get_the_same_decision_to_the_bit(catalogue: Catalogue) -> None:
    frame = many(600)
    batch = run(catalogue, frame)
    shuffled = frame.sample(frac=1.0, random_state=4)
    again = {decision.customer_id: decision for decision in run(catalogue, shuffled)}
    for row in range(0, len(frame), 7):
        assert run(catalogue, frame.iloc[[row]]) == [batch[row]]
        assert again[batch[row].customer_id] == batch[row]


def test_the_identity_is_customer_moment_placement_policy_and_models(catalogue: Catalogue, tmp_path: Path) -> None:
    decision = one(catalogue)
    same = one(catalogue, options={"as_of": datetime(2017, 11, 1), "model_versions": ("churn/1", "value/2")})
    assert same == decision
    others = [
        one(catalogue, customer_id="8"),
        one(catalogue, options={"as_of": AS_OF + timedelta(days=1)}),
        one(catalogue, options={"placement": "email"}),
        one(catalogue, options={"model_versions": ("churn/2", "value/2")}),
        one(catalogue, options={"settings": PolicySettings(salt="other")}),
        one(catalogue, options={"settings": PolicySettings(uniform=0.03)}),
        one(edited(tmp_path, ("strength = 100", "strength = 101"))),
    ]
    ids = {decision.decision_id, *(other.decision_id for other in others)}
    assert len(ids) == 8
    assert len({decision.seed, *(other.seed for other in others)}) == 8
    assert others[-1].catalogue_hash != decision.catalogue_hash
    assert one(catalogue, options={"currency": "EUR"}).decision_id == decision.decision_id


def test_without_consent_nothing_is_computed_or_recommended(catalogue: Catalogue) -> None:
    frame = pd.DataFrame([regular(), regular(customer_id="8", status="no_consent", frequency=None)])
    with_consent, without = run(catalogue, frame)
    assert (without.candidates, without.recommended, without.chosen, without.propensity, without.mode) == (
        (),
        (),
        None,
        None,
        None,
    )
    assert without.reason_codes == ("no_consent",)
    assert (with_consent.reason_codes, len(with_consent.candidates)) == ((), 4)
    assert run(catalogue, frame.iloc[[1]]) == [without]


def test_a_customer_without_history_keeps_what_the_rules_can_answer(catalogue: Catalogue) -> None:
    found = by_id(
        one(
            catalogue,
            status="insufficient_history",
            frequency=None,
            days_since_last_purchase=None,
            churn_band=None,
            churn_probability=None,
        )
    )
    assert found["type_a"].reason_codes == ("missing:frequency", "missing:days_since_last_purchase")
    assert found["type_b"].reason_codes == ("missing:frequency",)
    assert found["do_nothing"].eligible


def test_recommendations_follow_the_drawn_action_by_value(catalogue: Catalogue) -> None:
    greedy = [d for d in run(catalogue, many(3000)) if d.mode == "greedy" and len(d.recommended) == 3]
    explored = [d for d in run(catalogue, many(3000)) if d.mode == "explore" and len(d.recommended) > 1]
    assert len(greedy) > 20
    assert len(explored) > 20
    for decision in greedy + explored:
        values = [line.expected_incremental_value for line in decision.recommended]
        followers = values[1:]
        assert followers == sorted(followers, reverse=True)
        assert all(value > 0 for value in followers)
        assert (values[0] >= max(followers)) == (decision.mode == "greedy")
        assert [line.position for line in decision.recommended] == list(range(1, len(values) + 1))
        assert "do_nothing" not in [line.action_id for line in decision.recommended[1:]]
    assert all(len(d.recommended) <= 1 for d in run(catalogue, many(300), top_k=1))


def test_explanations_are_words_with_unit_and_currency(catalogue: Catalogue) -> None:
    settings = PolicySettings(thompson=0.0, uniform=0.0)
    shown = one(catalogue, lifetime_value=100.0, options={"settings": settings}).recommended
    assert [line.label for line in shown] == [
        "Send the personal coupon booklet (type A)",
        "Send the coupons of one product range (type B)",
    ]
    assert shown[0].explanation == (
        "Expected to bring 0.77 USD more than doing nothing (90 % interval -0.13 to 2.01 USD): "
        "4.14 percentage points more likely to redeem a coupon within 49 days x 34.60 USD a time = 1.43 USD, "
        "less 0.50 USD contact, less 0.17 USD expected incentive. "
        "The effect is a business assumption, not a measurement. It fits the customer: frequency is at least 2; "
        "days since last purchase is at most 56; campaigns received 90d is below 6."
    )
    nothing = one(catalogue, frequency=0, options={"settings": settings}).recommended
    assert [line.explanation for line in nothing] == ["No action is open to the customer now."]
    costly = one(
        catalogue,
        days_since_last_purchase=80,
        spend_90d=0.0,
        coupons_redeemed_365d=0,
        lifetime_value=20.0,
        options={"settings": settings},
    ).recommended
    assert [line.explanation for line in costly] == [
        "No action that the customer may have is expected to bring more than it costs."
    ]
    assert one(catalogue, options={"language": "es"}).candidates[1].label == (
        "Enviar el cuaderno de cupones personal (tipo A)"
    )


def test_an_explored_action_says_that_it_was_chosen_to_learn(catalogue: Catalogue) -> None:
    explored = [d for d in run(catalogue, many(3000)) if d.mode == "explore"]
    assert len(explored) > 20
    for decision in explored:
        text = f"Chosen this time in order to learn; it had a {100 * (decision.propensity or 0):.1f} % chance."
        assert decision.recommended[0].explanation.endswith(text)
        assert all("in order to learn" not in line.explanation for line in decision.recommended[1:])


def test_other_beliefs_replace_the_prior(catalogue: Catalogue) -> None:
    learned = {"type_b": PriorBelief(50.0, 450.0, EffectStatus.LEARNING)}
    found = by_id(one(catalogue, options={"beliefs": learned}))
    assert (found["type_b"].uplift, found["type_b"].status) == (0.1, EffectStatus.LEARNING)
    assert found["type_b"].probability > 0.8
    assert found["type_a"].status == EffectStatus.PRIOR


def test_what_was_learned_differs_by_customer(catalogue: Catalogue) -> None:
    frame = pd.DataFrame([regular(customer_id=name) for name in "abcd"])
    frame.loc[1, "status"] = "no_consent"
    mean, error = np.array([0.2, 0.9, 0.0, 0.1]), np.array([0.01, 0.9, 0.02, 0.03])
    beliefs = {"type_b": LearnedBelief(Effects(mean, error, EffectStatus.CALIBRATED))}
    decisions = [decision for decision in run(catalogue, frame, beliefs=beliefs) if decision.candidates]
    found = [by_id(decision)["type_b"] for decision in decisions]
    assert [candidate.uplift for candidate in found] == [0.2, 0.0, 0.1]
    assert found[1].uplift_low == pytest.approx(-1.6448536 * 0.02)
    for candidate in found:
        assert candidate.status is EffectStatus.CALIBRATED
        parts = candidate.expected_margin - candidate.contact_cost - candidate.incentive_cost + candidate.lever_effect
        assert candidate.expected_incremental_value == parts
        assert candidate.eiv_low < candidate.expected_incremental_value < candidate.eiv_high


def test_a_decision_is_json_of_primitive_values(catalogue: Catalogue) -> None:
    decision = one(catalogue)
    stored = orjson.loads(orjson.dumps(decision.to_dict()))
    assert stored == decision.to_dict()
    assert (stored["as_of"], stored["model_versions"]) == ("2017-11-01T00:00:00Z", ["churn/1", "value/2"])
    assert stored["candidates"][1]["status"] == "prior"
    assert type(stored["candidates"][1]["status"]) is str
    assert stored["seed"] == decision.seed < 2**53
    assert stored["candidates"][1]["probability"] == decision.candidates[1].probability


def test_an_empty_frame_and_one_without_any_consent(catalogue: Catalogue) -> None:
    assert run(catalogue, pd.DataFrame([regular()]).iloc[:0]) == []
    nobody = pd.DataFrame([regular(status="no_consent"), regular(customer_id="8", status="no_consent")])
    assert [decision.reason_codes for decision in run(catalogue, nobody)] == [("no_consent",), ("no_consent",)]


@pytest.mark.parametrize(
    ("frame", "words"),
    [
        (pd.DataFrame([regular()]).drop(columns="status"), "The column 'status' is missing"),
        (pd.DataFrame([regular()]).rename(columns={"spend_90d": "spend_90"}), "Did you mean 'spend_90'"),
        (pd.DataFrame([regular(), regular()]), "A customer appears twice"),
        (pd.DataFrame([regular(status="gone")]), "A customer's status is unknown"),
        (pd.DataFrame([regular(lifetime_value="much")]), "holds text, not numbers"),
    ],
)
def test_a_wrong_frame_is_an_error_without_the_customers_attributes(
    catalogue: Catalogue, frame: pd.DataFrame, words: str
) -> None:
    with pytest.raises(DataError, match=words) as caught:
        run(catalogue, frame)
    assert "much" not in str(caught.value)


def test_top_k_must_be_positive(catalogue: Catalogue) -> None:
    with pytest.raises(UsageError, match="top_k is 0"):
        run(catalogue, many(3), top_k=0)


def test_what_was_known_besides_is_part_of_the_identity(catalogue: Catalogue) -> None:
    frame = pd.DataFrame([regular()])
    ids = [run(catalogue, frame, besides=besides)[0].decision_id for besides in (None, "a", "b", "a")]
    assert ids[0] == run(catalogue, frame)[0].decision_id
    assert len(set(ids)) == 3
    assert ids[1] == ids[3]
