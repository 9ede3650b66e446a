"""Estimates by hand, what an evaluation refuses, and intervals that hold the truth."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernel.errors import DataError
from tests.policy_runs import LOGGING, covered
from training.evaluation.off_policy import (
    ESTIMATORS,
    LoggedDecisions,
    clustered_interval,
    doubly_robust,
    gain_over_logged,
    inverse_propensity,
    self_normalised,
    self_normalised_doubly_robust,
    shrunk_doubly_robust,
    switch_doubly_robust,
)

# Weights 2, 0.5 and 1; the model expects 1 of action 0 and 3 of action 1.
LOG = LoggedDecisions(
    action=np.array([0, 1, 1]),
    reward=np.array([2.0, 4.0, 1.0]),
    propensity=np.array([0.25, 0.5, 0.8]),
    target=np.array([[0.5, 0.5], [0.75, 0.25], [0.2, 0.8]]),
    expected=np.array([[1.0, 3.0], [1.0, 3.0], [1.0, 3.0]]),
    cluster=np.array(["a", "b", "c"]),
)
LOGGED = np.array([[0.25, 0.75], [0.5, 0.5], [0.2, 0.8]])


class TestByHand:
    def test_inverse_propensity(self) -> None:
        assert inverse_propensity(LOG).value == pytest.approx((2 * 2 + 0.5 * 4 + 1 * 1) / 3)

    def test_self_normalised(self) -> None:
        assert self_normalised(LOG).value == pytest.approx((2 * 2 + 0.5 * 4 + 1 * 1) / 3.5)

    def test_direct_method(self) -> None:
        assert ESTIMATORS["DM"](LOG).value == pytest.approx((2 + 1.5 + 2.6) / 3)

    def test_doubly_robust(self) -> None:
        # residuals 1, 1 and -2
        assert doubly_robust(LOG).value == pytest.approx((2 + 1.5 + 2.6) / 3 + (2 * 1 + 0.5 * 1 - 1 * 2) / 3)

    def test_self_normalised_doubly_robust(self) -> None:
        assert self_normalised_doubly_robust(LOG).value == pytest.approx((2 + 1.5 + 2.6) / 3 + (2 + 0.5 - 2) / 3.5)

    def test_switch(self) -> None:
        assert switch_doubly_robust(LOG, 1.0).value == pytest.approx((2 + 1.5 + 2.6) / 3 + (0.5 - 2) / 3)
        assert switch_doubly_robust(LOG, 2.0).value == pytest.approx(doubly_robust(LOG).value)

    def test_shrinkage(self) -> None:
        weights = [3 * 2 / (4 + 3), 3 * 0.5 / (0.25 + 3), 3 * 1 / (1 + 3)]
        corrected = (weights[0] * 1 + weights[1] * 1 - weights[2] * 2) / 3
        assert shrunk_doubly_robust(LOG, 3.0).value == pytest.approx((2 + 1.5 + 2.6) / 3 + corrected)

    def test_gain_over_logged(self) -> None:
        ahead = [0.25 * 1 - 0.25 * 3 + 0.25 / 0.25 * 1, 0.25 * 1 - 0.25 * 3 - 0.25 / 0.5 * 1, 0.0]
        assert gain_over_logged(LOG, LOGGED).value == pytest.approx(sum(ahead) / 3)

    def test_the_logged_policy_gains_nothing_over_itself(self) -> None:
        same = replace(LOG, target=LOGGED)
        found = gain_over_logged(same, LOGGED)
        assert (found.value, found.influence.tolist()) == (0.0, [0.0, 0.0, 0.0])

    @pytest.mark.parametrize("name", ESTIMATORS)
    def test_influence_averages_nothing(self, name: str) -> None:
        assert ESTIMATORS[name](LOG).influence.mean() == pytest.approx(0.0, abs=1e-12)

    def test_a_model_without_error_leaves_nothing_to_correct(self) -> None:
        right = replace(LOG, expected=np.array([[2.0, 0.0], [9.0, 4.0], [5.0, 1.0]]))
        for name in ("DM", "DR", "SNDR", "switch-DR", "DRos"):
            assert ESTIMATORS[name](right).value == pytest.approx((1 + 0 + 6.75 + 1 + 1 + 0.8) / 3)

    def test_ahead_of_another_policy_what_both_share_cancels(self) -> None:
        other = doubly_robust(replace(LOG, target=LOGGED))
        ahead = doubly_robust(LOG).ahead_of(other, LOG.cluster)
        paired = gain_over_logged(LOG, LOGGED).interval(LOG.cluster)
        assert (ahead.estimate, ahead.low, ahead.high) == pytest.approx((paired.estimate, paired.low, paired.high))
        assert other.ahead_of(other, LOG.cluster).low == 0


class TestRefused:
    @pytest.mark.parametrize(
        ("changed", "what"),
        [
            ({"propensity": np.array([0.25, 0.0, 0.8])}, "a propensity is not above 0"),
            ({"propensity": np.array([0.25, 1.2, 0.8])}, "a propensity is not above 0"),
            ({"reward": np.array([2.0, np.nan, 1.0])}, "'reward' holds NaN"),
            ({"expected": np.full((3, 2), np.inf)}, "'expected' holds NaN or infinity"),
            ({"expected": np.ones((3, 3))}, "differ in shape"),
            ({"action": np.array([0, 2, 1])}, "an action has no column"),
            ({"target": np.array([[0.5, 0.6], [0.75, 0.25], [0.2, 0.8]])}, "no distribution"),
            ({"target": np.array([[1.5, -0.5], [0.75, 0.25], [0.2, 0.8]])}, "no distribution"),
            ({"cluster": np.array(["a", "b"])}, "'cluster' has not one entry per decision"),
        ],
    )
    def test_a_log_that_cannot_be_judged(self, changed: dict, what: str) -> None:
        with pytest.raises(DataError, match=what):
            replace(LOG, **changed)

    def test_a_policy_whose_actions_were_never_drawn(self) -> None:
        elsewhere = replace(LOG, action=np.array([0, 0, 0]), target=np.tile([0.0, 1.0], (3, 1)))
        with pytest.raises(DataError, match="never takes an action that was drawn"):
            self_normalised(elsewhere)


class TestIntervals:
    def test_copies_of_a_customer_tell_nothing_new(self) -> None:
        terms = np.random.default_rng(0).normal(size=500)
        terms -= terms.mean()
        once = clustered_interval(0.0, terms, np.arange(500))
        again = clustered_interval(0.0, np.repeat(terms, 4), np.repeat(np.arange(500), 4))
        assert again.high == pytest.approx(once.high, rel=1e-12)
        assert clustered_interval(0.0, np.repeat(terms, 4), np.arange(2000)).high < 0.6 * once.high

    def test_one_customer_tells_nothing(self) -> None:
        alone = clustered_interval(1.0, np.array([0.5, -0.5]), np.array(["a", "a"]))
        assert (alone.low, alone.high) == (-np.inf, np.inf)

    def test_one_sided_bounds_lie_nearer(self) -> None:
        terms = np.random.default_rng(0).normal(size=500)
        both = clustered_interval(0.0, terms, np.arange(500), 0.95)
        assert clustered_interval(0.0, terms, np.arange(500), 0.975, one_sided=True).high == pytest.approx(both.high)

    @pytest.mark.parametrize("logging", LOGGING)
    def test_they_hold_the_truth(self, logging: str) -> None:
        # 95 % of 80 runs is 76 +- 2; make soak runs 400.
        assert covered(logging, 80, rows=1500, modelled=False) >= 0.88
