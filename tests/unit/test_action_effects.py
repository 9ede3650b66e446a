"""Effects learned from a trial, on top of assumptions, stored and read again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from kernel.artefacts import FeatureColumn
from kernel.errors import RegistryError
from kernel.predictions import load_predictor, predictions
from kernel.uplift_predictor import ActionEffect, EffectStatus, UpliftManifest, UpliftPredictor
from tests.policy_runs import CATEGORIES, inputs
from training.action_log import LearnableOutcome
from training.models.action_effects import Assumption, Learned, combined, from_siblings, learn_effects
from training.models.uplift_learners import Trial
from training.simulation import CHANNELS, NUMBERS, Scenario, Simulation

WORLD = Simulation.of(Scenario.LINEAR, seed=1)
ACTIONS = ("a", "b", "c", "d", "e")
OUTCOME = LearnableOutcome("buy_30d", "binary", 30, ACTIONS)
UNSURE = {name: Assumption(0.02, 1.0, "coupons") for name in ACTIONS}


def trial(rows: int) -> Trial:
    log = WORLD.log(rows, seed=2)
    return Trial(inputs(log.features), CATEGORIES, log.action, log.converted, log.probabilities, np.arange(rows))


@pytest.fixture(scope="module")
def learned() -> Learned:
    found = learn_effects(OUTCOME, trial(3000), UNSURE)
    assert found is not None
    return found


def column(name: str, words: tuple[str, ...] | None = None) -> FeatureColumn:
    return FeatureColumn(name=name, group="g", phrase=name, unit="count", version=1, categories=words)


def predictor(learned: Learned, **given: object) -> UpliftPredictor:
    manifest = UpliftManifest(
        project="tiny",
        currency="EUR",
        as_of=datetime(2026, 1, 1, tzinfo=UTC),
        data_fingerprint="f",
        columns=(*(column(name) for name in NUMBERS), column("channel", CHANNELS)),
        outcomes=(learned.effects,),
        **given,
    )
    return UpliftPredictor(manifest, {learned.effects.booster: learned.booster})


def test_a_stored_model_says_what_was_fitted(learned: Learned, tmp_path: Path) -> None:
    predictor(learned).save(tmp_path)
    read = load_predictor(tmp_path)
    assert isinstance(read, UpliftPredictor)
    customers = WORLD.customers(300, seed=5)
    found, expected = read.effects(customers), learned.fit.effects(inputs(customers))
    for number, name in enumerate(ACTIONS):
        assumed = learned.effects.actions[number].effect - learned.fit.calibration.effect[number]
        assert found[name].mean == pytest.approx(expected[:, number] + assumed, abs=1e-12)
        assert (found[name].error >= learned.effects.actions[number].error).all()
    table = predictions(read, customers)
    assert list(table.columns)[:2] == ["uplift_a", "uplift_a_error"]
    assert table["uplift_b"].to_numpy() == pytest.approx(found["b"].mean)


def test_one_customer_and_a_batch_get_the_same_digits(learned: Learned) -> None:
    customers = WORLD.customers(1500, seed=6)
    model = predictor(learned)
    batch = model.effects(customers)
    for row in (0, 7, 1499):
        alone = model.effects(customers.iloc[[row]])
        for name in ACTIONS:
            assert alone[name].mean[0] == batch[name].mean[row]
            assert alone[name].error[0] == batch[name].error[row]


def test_a_missing_feature_is_an_error(learned: Learned) -> None:
    with pytest.raises(RegistryError):
        predictor(learned).effects(WORLD.customers(3, seed=1).drop(columns="x3"))


def test_unknown_values_have_effects_too(learned: Learned) -> None:
    customers = WORLD.customers(4, seed=1)
    customers.loc[0, "x1"] = np.nan
    customers.loc[1, "channel"] = "pigeon"
    for effects in predictor(learned).effects(customers).values():
        assert np.isfinite(effects.mean).all()
        assert np.isfinite(effects.error).all()


def test_an_assumption_counts_by_its_precision() -> None:
    assert combined(0.1, 0.02, Assumption(0.0, 0.02, "g")) == pytest.approx((0.05, 0.02 / np.sqrt(2)))
    sure, _ = combined(0.1, 0.02, Assumption(0.0, 1e-6, "g"))
    assert sure == pytest.approx(0.0, abs=1e-9)


def test_effects_are_drawn_towards_what_is_assumed(learned: Learned) -> None:
    sure = {name: Assumption(0.02, 1e-4, "coupons") for name in ACTIONS}
    found = learn_effects(OUTCOME, trial(3000), sure)
    assert found is not None
    for effect, free in zip(found.effects.actions, learned.effects.actions, strict=True):
        assert effect.effect == pytest.approx(0.02, abs=1e-3)
        assert effect.error < free.error
        assert (effect.positives, effect.controls) == (free.positives, free.controls)


def test_status_by_positives_and_controls(learned: Learned) -> None:
    assert {effect.status for effect in learned.effects.actions} == {EffectStatus.LEARNING}
    many = learn_effects(OUTCOME, trial(12_000), UNSURE)
    assert many is not None
    assert all((e.status is EffectStatus.CALIBRATED) == (e.positives >= 200) for e in many.effects.actions)
    assert any(e.status is EffectStatus.CALIBRATED for e in many.effects.actions)


def test_an_action_that_was_hardly_tried_is_left_out() -> None:
    of = trial(3000)
    seldom = of.take(np.flatnonzero((of.arm != 2) | (np.cumsum(of.arm == 2) <= 49)))
    found = learn_effects(OUTCOME, seldom, UNSURE)
    assert found is not None
    assert [effect.action for effect in found.effects.actions] == ["a", "c", "d", "e"]


@pytest.fixture(scope="module")
def seldom_tried() -> tuple[Trial, Learned]:
    """One action was drawn a twentieth as often as the others, and only in the second half of the log."""
    of = WORLD.log(12_000, seed=4)
    newer = np.arange(len(of)) >= 6000
    ours = (of.action == 5) & newer
    rows = np.flatnonzero((of.action != 5) | (ours & (np.cumsum(ours) <= 80)))
    probability = of.probabilities[rows]
    probability[:, 5] *= newer[rows] * 80 / np.count_nonzero(ours)
    probability /= probability.sum(axis=1, keepdims=True)
    known = inputs(of.features)[rows]
    found = Trial(known, CATEGORIES, of.action[rows], of.converted[rows], probability, np.arange(len(rows)))
    learned = learn_effects(OUTCOME, found, UNSURE)
    assert learned is not None
    return found, learned


class TestSeldomTried:
    def test_its_error_is_that_of_its_own_decisions(self, seldom_tried: tuple[Trial, Learned]) -> None:
        _, learned = seldom_tried
        *others, seldom = [own.error for own in learned.alone]
        # A twentieth of the decisions: four to five times the error, though the rest of the log is as long.
        assert seldom > 3 * max(others)

    def test_it_stays_near_its_siblings(self, seldom_tried: tuple[Trial, Learned]) -> None:
        _, learned = seldom_tried
        prior = from_siblings(learned.alone[:4], UNSURE)[0]
        own, seldom = learned.alone[4], learned.effects.actions[4]
        assert abs(seldom.effect - prior.effect) < abs(seldom.effect - own.effect)
        assert seldom.error < 0.5 * own.error

    def test_little_is_said_of_who_gains_and_the_rest_is_unsure(self, seldom_tried: tuple[Trial, Learned]) -> None:
        _, learned = seldom_tried
        said = learned.fit.effects(inputs(WORLD.customers(2000, seed=8))).std(axis=0)
        assert said[4] < 0.8 * said[:4].mean()
        *others, seldom = [effect.spread for effect in learned.effects.actions]
        assert seldom > 0.8 * said[:4].mean()
        assert max(others) < 0.5 * seldom

    def test_decisions_in_which_it_could_not_be_drawn_tell_nothing_of_it(
        self, seldom_tried: tuple[Trial, Learned]
    ) -> None:
        of, learned = seldom_tried
        assert not of.overlap[of.probability[:, 5] == 0, 4].any()
        truth = WORLD.conversion(WORLD.customers(20_000, seed=8))
        mean = float((truth[:, 5] - truth[:, 0]).mean())
        assert abs(learned.effects.actions[4].effect - mean) <= 2 * learned.effects.actions[4].error


@pytest.mark.parametrize("spoilt", ["nothing", "one arm", "no outcome"])
def test_too_little_to_learn_from(spoilt: str) -> None:
    of = trial(400)
    if spoilt == "nothing":
        of = of.take(np.flatnonzero(of.arm != 0))
    elif spoilt == "one arm":
        of = of.take(np.flatnonzero(of.arm == 0))
    else:
        of = replace(of, outcome=np.zeros(len(of)))
    assert learn_effects(OUTCOME, of, UNSURE) is None


def effect(name: str, size: float, error: float = 0.01, spread: float = 0.0) -> ActionEffect:
    return ActionEffect(
        action=name,
        effect=size,
        error=error,
        centre=(),
        positives=300,
        controls=500,
        status=EffectStatus.CALIBRATED,
        spread=spread,
    )


class TestSiblings:
    ASSUMED = UNSURE | {"call": Assumption(0.1, 0.1, "calls")}

    def test_a_new_action_starts_where_its_siblings_are(self) -> None:
        [d, e] = from_siblings([effect("a", 0.02), effect("b", 0.04), effect("c", 0.06)], UNSURE)
        assert (d.action, e.action, d.status) == ("d", "e", EffectStatus.PRIOR)
        assert d.effect == pytest.approx(0.04, abs=1e-3)
        assert d.error > 0.01  # less sure than of any sibling

    def test_the_more_they_differ_the_less_is_known(self) -> None:
        near = from_siblings([effect("a", 0.03), effect("b", 0.04), effect("c", 0.05)], UNSURE)[0]
        far = from_siblings([effect("a", -0.1), effect("b", 0.04), effect("c", 0.2)], UNSURE)[0]
        assert far.error > 3 * near.error

    def test_one_sibling_tells_nothing_nor_do_other_groups(self) -> None:
        assert from_siblings([effect("a", 0.02)], UNSURE) == ()
        found = from_siblings([effect("a", 0.02), effect("b", 0.03)], self.ASSUMED)
        assert "call" not in {one.action for one in found}

    def test_customers_differ_in_it_as_they_do_in_its_siblings(self, learned: Learned) -> None:
        assumed = UNSURE | {"f": UNSURE["e"]}
        known = [effect(name, 0.02, spread=spread) for name, spread in (("a", 0.03), ("b", 0.05))]
        new = from_siblings(known, assumed)[-1]
        assert new.spread == pytest.approx(np.sqrt((0.03**2 + 0.05**2) / 2))
        found = predictor(learned, siblings=(new,)).effects(WORLD.customers(2, seed=1))[new.action]
        assert found.error == pytest.approx([np.hypot(new.error, new.spread)])

    def test_what_came_so_far_and_siblings_count_by_their_precision(self) -> None:
        known = [effect(name, size) for name, size in (("a", 0.02), ("b", 0.03), ("c", 0.04))]
        prior = from_siblings(known, UNSURE)[0]
        own = effect("d", 0.2, 0.02)
        both = from_siblings(known, UNSURE, [own])[0]
        assert prior.effect < both.effect < own.effect
        assert both.error == pytest.approx((prior.error**-2 + own.error**-2) ** -0.5)
        assert (both.status, both.positives) == (EffectStatus.LEARNING, 300)

    def test_without_siblings_the_assumption_counts(self) -> None:
        sure = {"call": Assumption(0.1, 0.02, "calls")}
        [call] = from_siblings([], sure, [effect("call", 0.2, 0.02)])
        assert (call.effect, call.error) == pytest.approx((0.15, 0.02 / np.sqrt(2)))

    def test_it_is_the_same_for_everybody(self, learned: Learned) -> None:
        model = predictor(learned, siblings=(effect("f", 0.07, 0.02),))
        found = model.effects(WORLD.customers(5, seed=1))["f"]
        assert (found.mean.tolist(), found.error.tolist()) == ([0.07], [0.02])
