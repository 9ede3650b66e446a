"""Learners of effects, what data confirm of them, and figures by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.policy_runs import CATEGORIES, inputs
from training.evaluation.uplift import (
    effect_by_group,
    gain_curve,
    greedy_arms,
    qini,
    qini_difference,
    weighted_effects,
)
from training.models.uplift import UpliftFit, calibrate, effect_slope, fit_uplift, pooled_means, random_effects
from training.models.uplift_learners import Trial, fit_trees, robust_effects
from training.simulation import Log, Scenario, Simulation

WORLD = Simulation.of(Scenario.NONLINEAR, seed=5)


def trial(log: Log) -> Trial:
    known = inputs(log.features)
    return Trial(known, CATEGORIES, log.action, log.converted, log.probabilities, np.arange(len(log)))


@pytest.fixture(scope="module")
def log() -> Log:
    return WORLD.log(4000, seed=1)


@pytest.fixture(scope="module")
def fit(log: Log) -> UpliftFit:
    return fit_uplift(trial(log))


class TestFit:
    def test_it_earns_more_than_any_one_action_for_all(self, fit: UpliftFit) -> None:
        customers = WORLD.customers(20_000, seed=9)
        chosen = greedy_arms(fit.effects(inputs(customers)), WORLD.margin, np.array(WORLD.costs))
        earned = WORLD.worth(np.eye(6)[chosen], customers)
        assert earned > 1.05 * WORLD.value(customers).mean(axis=0).max()

    def test_effects_are_not_said_to_be_larger_than_they_are(self, fit: UpliftFit) -> None:
        customers = WORLD.customers(20_000, seed=9)
        truth = WORLD.conversion(customers)
        actual = truth[:, 1:] - truth[:, :1]
        said = fit.effects(inputs(customers))
        away = said - said.mean(axis=0)
        # Of few rows less is said than there is; of trees alone the slope is a half.
        assert (away * (actual - actual.mean(axis=0))).sum() / (away**2).sum() > 0.7

    def test_its_mean_effects_lie_near_the_truth(self, fit: UpliftFit, log: Log) -> None:
        truth = WORLD.conversion(log.features)
        missed = fit.calibration.effect - (truth[:, 1:] - truth[:, :1]).mean(axis=0)
        assert (np.abs(missed) <= 3 * fit.calibration.error).all()

    def test_the_same_seed_gives_the_same_fit(self, fit: UpliftFit, log: Log) -> None:
        again = fit_uplift(trial(log))
        assert np.array_equal(again.unseen, fit.unseen)
        assert np.array_equal(again.effects(inputs(log.features)), fit.effects(inputs(log.features)))

    def test_where_nothing_works_hardly_anything_is_spent(self) -> None:
        world = Simulation.of(Scenario.NULL)
        found = fit_uplift(trial(world.log(4000, seed=3)))
        customers = world.customers(5000, seed=1)
        chosen = greedy_arms(found.effects(inputs(customers)), world.margin, np.array(world.costs))
        assert world.worth(np.eye(6)[chosen], customers) > 0.9 * world.oracle(customers)

    def test_money(self, log: Log) -> None:
        binary = trial(log)
        found = fit_uplift(replace(binary, outcome=50 * log.converted, kind="value"))
        customers = WORLD.customers(5000, seed=9)
        truth = WORLD.conversion(customers)
        said = found.effects(inputs(customers))
        assert np.corrcoef(said.ravel(), (truth[:, 1:] - truth[:, :1]).ravel())[0, 1] > 0.2
        assert said.mean() == pytest.approx(50 * (truth[:, 1:] - truth[:, :1]).mean(), abs=1)

    def test_an_action_that_was_never_tried_has_no_own_effect(self) -> None:
        world = Simulation.of(Scenario.NEW_ACTION, seed=1)
        found = fit_uplift(trial(world.log(3000, seed=1)))
        assert np.isfinite(found.effects(inputs(world.customers(100, seed=1)))).all()


class TestParts:
    def test_robust_scores_average_the_effect(self, log: Log) -> None:
        of = trial(log)
        wrong = np.full((len(log), 6), 0.3)
        truth = WORLD.conversion(log.features)
        scores = robust_effects(of, wrong)
        error = scores.std(axis=0) / np.sqrt(len(log))
        assert (np.abs(scores.mean(axis=0) - (truth[:, 1:] - truth[:, :1]).mean(axis=0)) <= 4 * error).all()

    def test_robust_scores_of_a_perfect_model_are_its_effects(self, log: Log) -> None:
        truth = WORLD.conversion(log.features)
        sure = replace(trial(log), outcome=truth[np.arange(len(log)), log.action])
        assert robust_effects(sure, truth) == pytest.approx(truth[:, 1:] - truth[:, :1])

    def test_trees_fit_every_output_on_its_own_rows(self) -> None:
        random = np.random.default_rng(0)
        given = random.normal(size=(4000, 2))
        target = np.column_stack([np.where(given[:, 0] > 0, 1.0, 0.0), np.where(given[:, 1] > 0, 30.0, 10.0)])
        weight = (random.integers(0, 2, 4000)[:, None] == np.arange(2)).astype(float)
        spoilt = np.where(weight > 0, target, 1e6)
        found = fit_trees(given, (0, 0), spoilt, weight, seed=1).outputs(given)
        assert np.abs(found[:, 0] - target[:, 0]).mean() < 0.1
        assert np.abs(found[:, 1] - target[:, 1]).mean() < 2

    def test_learners_that_are_right_keep_their_weight(self, log: Log) -> None:
        truth = WORLD.conversion(log.features)
        effect = truth[:, 1:] - truth[:, :1]
        noise = np.random.default_rng(0).normal(size=(2, *effect.shape)) * effect.std()
        of = trial(log)
        found = calibrate(np.stack([effect, *noise]), robust_effects(of, truth), truth, of)
        assert found.weights[0] > 0.75
        assert found.weights[1:].sum() < 0.25
        assert found.weights.sum() <= 1

    def test_slope_of_effects(self, log: Log) -> None:
        truth = WORLD.conversion(log.features)
        effect = truth[:, 1:] - truth[:, :1]
        right, doubled = (effect_slope(scale * effect, truth, trial(log)) for scale in (1, 2))
        assert right.low <= 1 <= right.high
        assert doubled.estimate == pytest.approx(right.estimate / 2)
        alike = effect_slope(np.ones_like(effect), truth, trial(log))
        assert (alike.low, alike.high) == (-np.inf, np.inf)

    def test_siblings_lend_each_other_strength(self) -> None:
        estimate, error = np.array([0.02, 0.0, 0.01, 0.2]), np.array([0.05, 0.05, 0.05, 0.5])
        mean, sure = pooled_means(estimate, error)
        assert np.ptp(mean) < 0.1 * np.ptp(estimate)  # they differ by less than chance would have it
        assert (sure < error).all()
        apart, _ = pooled_means(np.array([0.0, 1.0, 2.0]), np.full(3, 0.01))
        assert apart == pytest.approx([0, 1, 2], abs=1e-3)

    @pytest.mark.parametrize("apart", [0.0, 0.013, 0.03])
    def test_one_more_sibling_lies_where_it_is_believed_to_be(self, apart: float) -> None:
        random = np.random.default_rng(3)
        held = np.zeros(2)
        for _ in range(400):
            truth, error = random.normal(0.02, apart, 6), random.uniform(0.008, 0.015, 5)
            estimate = truth[:5] + error * random.normal(size=5)
            (mean, sure), (another, unsure) = random_effects(estimate, error)
            held += [np.mean(np.abs(mean - truth[:5]) <= 1.645 * sure), abs(another - truth[5]) <= 1.645 * unsure]
        assert (held / 400 > 0.83).all()  # of 90 %; by one estimate of the spread it was half

    def test_two_actions_have_no_common_mean(self) -> None:
        mean, error = pooled_means(np.array([0.1, 0.3]), np.array([0.2, 0.2]))
        assert (mean.tolist(), error.tolist()) == ([0.1, 0.3], [0.2, 0.2])


class TestFigures:
    def test_effects_by_inverse_probability(self) -> None:
        found = weighted_effects(np.array([0, 1, 2]), np.array([1.0, 1.0, 0.0]), np.full((3, 3), [0.5, 0.25, 0.25]))
        assert found.tolist() == [[-2, -2], [4, 0], [0, 0]]

    def test_gain_curve(self) -> None:
        share, gain = gain_curve(np.array([3.0, 1.0, 2.0, 0.0]), np.array([4.0, 0.0, 2.0, -2.0]))
        assert share.tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert gain.tolist() == [0, 1, 1.5, 1.5, 1]

    def test_equal_scores_count_alike(self) -> None:
        _, gain = gain_curve(np.zeros(4), np.array([4.0, 0.0, 2.0, -2.0]))
        assert gain.tolist() == [0, 0.25, 0.5, 0.75, 1]
        assert qini(np.zeros(4), np.array([4.0, 0.0, 2.0, -2.0])) == pytest.approx(0)

    def test_qini(self) -> None:
        # Area 1.125 below the curve, 0.5 below the straight line; the mean effect is 1.
        assert qini(np.array([3.0, 1.0, 2.0, 0.0]), np.array([4.0, 0.0, 2.0, -2.0])) == pytest.approx(0.625)

    def test_a_better_order_is_told_from_a_worse_one(self) -> None:
        random = np.random.default_rng(0)
        effect = random.normal(1, 1, 4000)
        fold = np.arange(4000) % 5
        found = qini_difference(effect + random.normal(size=4000), random.normal(size=4000), effect, fold, draws=100)
        assert found.low > 0
        same = qini_difference(effect, effect, effect, fold, draws=20)
        assert (same.estimate, same.low, same.high) == (0, 0, 0)

    def test_groups_by_prediction(self) -> None:
        effect = np.arange(100.0)
        groups = effect_by_group(effect / 2, effect, np.arange(100), groups=4)
        assert [round(said, 2) for said, _ in groups] == [6.0, 18.5, 31.0, 43.5]
        assert [round(actual.estimate, 2) for _, actual in groups] == [12.0, 37.0, 62.0, 87.0]

    def test_greedy(self) -> None:
        effect = np.array([[0.1, 0.3], [0.01, 0.02], [0.5, 0.1]])
        assert greedy_arms(effect, 10.0, np.array([0.5, 1.0])).tolist() == [2, 0, 1]
