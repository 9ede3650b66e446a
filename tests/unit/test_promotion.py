"""The gate lets pass what is not worse, and stops what may be."""

from __future__ import annotations

import numpy as np
import pytest

from tests.soak.test_false_promotions import promoted
from training.promotion import AUC_TOLERANCE, CONFIDENCE, churn_gains, judge, value_gains


def outcomes(customers: int = 2000, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """True log-odds, and who left."""
    random = np.random.default_rng(seed)
    truth = random.normal(-1.5, 1.0, customers)
    return truth, (random.random(customers) < 1 / (1 + np.exp(-truth))).astype(float)


def probability(log_odds: np.ndarray) -> np.ndarray:
    return 1 / (1 + np.exp(-log_odds))


def test_the_same_model_again_is_promoted() -> None:
    truth, left = outcomes()
    verdict = judge(churn_gains(probability(truth), probability(truth), left))
    assert verdict.promote
    assert [gain.metric for gain in verdict.gains] == ["auc", "brier"]
    assert [gain.gain.estimate for gain in verdict.gains] == [0.0, 0.0]


def test_a_worse_ranking_is_stopped_and_said() -> None:
    truth, left = outcomes()
    worse = truth + np.random.default_rng(2).normal(0, 2.0, len(truth))
    verdict = judge(churn_gains(probability(worse), probability(truth), left), "; a note")
    assert not verdict.promote
    assert verdict.reason.startswith("AUC 0.")
    assert "against the champion's 0." in verdict.reason
    assert verdict.reason.endswith("; a note")
    auc = verdict.gains[0]
    assert auc.gain.estimate < -AUC_TOLERANCE
    assert auc.gain.low < auc.gain.estimate < auc.gain.high
    assert auc.gain.confidence == CONFIDENCE


def test_probabilities_that_are_off_are_stopped_although_the_ranking_is_the_same() -> None:
    truth, left = outcomes()
    verdict = judge(churn_gains(probability(truth + 1.5), probability(truth), left))
    assert not verdict.promote
    assert verdict.reason.startswith("Brier score")
    assert verdict.gains[0].is_not_worse


def test_a_better_model_is_promoted() -> None:
    truth, left = outcomes()
    worse = truth + np.random.default_rng(2).normal(0, 2.0, len(truth))
    assert judge(churn_gains(probability(truth), probability(worse), left)).promote


def test_where_nobody_left_probabilities_alone_are_compared() -> None:
    gains = churn_gains(np.full(100, 0.1), np.full(100, 0.2), np.zeros(100))
    assert [gain.metric for gain in gains] == ["brier"]
    assert judge(gains).promote


def test_spend() -> None:
    random = np.random.default_rng(3)
    spend = random.gamma(1.0, 100.0, 3000)
    close, far = spend + random.normal(0, 40, 3000), spend + random.normal(0, 50, 3000)
    assert judge(value_gains(close, far, spend)).promote
    stopped = judge(value_gains(far, close, spend))
    assert not stopped.promote
    assert stopped.gains[0].metric == "mae"
    assert stopped.gains[0].champion == pytest.approx(32, rel=0.1)


def test_few_customers_that_differ_prove_nothing() -> None:
    # Better by luck or not: with forty customers nobody can say that it is not worse by the tolerance.
    truth, left = outcomes(40, seed=5)
    other = truth + np.random.default_rng(6).normal(0, 1.0, 40)
    assert not judge(churn_gains(probability(other), probability(truth), left)).promote


def test_false_promotions_are_rare() -> None:
    """The short version of ``make soak``: a challenger worse by exactly the tolerance passes in one case of twenty."""
    assert promoted(200, 1500, 0.2, AUC_TOLERANCE, 0) <= 0.09
