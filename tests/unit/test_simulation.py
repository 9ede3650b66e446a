"""The simulated worlds are what they say: the same twice, with the truth at hand."""

from __future__ import annotations

import numpy as np
import pytest

from training.evaluation.off_policy import doubly_robust
from training.simulation import CATEGORIES, CHANNELS, Log, Scenario, Simulation

ROWS = 20_000


@pytest.mark.parametrize("scenario", Scenario)
def test_the_same_seeds_give_the_same_log(scenario: Scenario) -> None:
    once, again = (Simulation.of(scenario, 3).log(500, seed=4, days=90) for _ in range(2))
    assert once.features.equals(again.features)
    for name in ("day", "action", "probabilities", "converted", "converted_after"):
        assert np.array_equal(getattr(once, name), getattr(again, name))


@pytest.mark.parametrize("scenario", Scenario)
def test_draws_follow_the_logged_probabilities_and_outcomes_the_truth(scenario: Scenario) -> None:
    world = Simulation.of(scenario, 5)
    log = world.log(ROWS, seed=6, days=100)
    assert log.probabilities.sum(axis=1) == pytest.approx(1, abs=1e-12)
    drawn = np.bincount(log.action, minlength=6)
    spread = np.sqrt((log.probabilities * (1 - log.probabilities)).sum(axis=0))
    assert (np.abs(drawn - log.probabilities.sum(axis=0)) <= 4 * spread + 1e-9).all()
    truth = world.conversion(log.features, log.day)[np.arange(ROWS), log.action]
    assert abs(log.converted.sum() - truth.sum()) <= 4 * np.sqrt((truth * (1 - truth)).sum())


def test_the_oracle_is_the_best_that_there_is() -> None:
    world = Simulation.of(Scenario.LINEAR, 1)
    customers = world.customers(ROWS, seed=1)
    best = np.eye(6)[world.value(customers).argmax(axis=1)]
    assert world.worth(best, customers) == pytest.approx(world.oracle(customers))
    for policy in (world.uniform, world.leaning):
        assert world.worth(policy(customers), customers) < world.oracle(customers)


def test_where_nothing_works_doing_nothing_is_best() -> None:
    world = Simulation.of(Scenario.NULL)
    customers = world.customers(1000, seed=1)
    assert (world.conversion(customers) == world.conversion(customers)[:, :1]).all()
    assert (world.value(customers).argmax(axis=1) == 0).all()


def test_some_are_helped_and_some_are_harmed() -> None:
    for scenario in (Scenario.LINEAR, Scenario.NONLINEAR, Scenario.RARE):
        world = Simulation.of(scenario, 1)
        truth = world.conversion(world.customers(ROWS, seed=1))
        effect = truth[:, 1:] - truth[:, :1]
        assert ((effect > 0).mean(axis=0) > 0.05).all()
        assert ((effect < 0).mean(axis=0) > 0.05).all()


def test_rare_conversions_are_rare() -> None:
    world = Simulation.of(Scenario.RARE)
    assert world.conversion(world.customers(ROWS, seed=1))[:, 0].mean() == pytest.approx(0.0125, abs=0.002)


def test_conversions_come_late() -> None:
    log = Simulation.of(Scenario.DELAYED).log(ROWS, seed=1)
    delays = log.converted_after[log.converted > 0]
    assert delays.mean() == pytest.approx(7, rel=0.1)
    assert np.isinf(log.converted_after[log.converted == 0]).all()


def test_the_new_action_was_never_tried() -> None:
    log = Simulation.of(Scenario.NEW_ACTION).log(ROWS, seed=1)
    assert (log.probabilities[:, -1] == 0).all()
    assert log.action.max() == 4


def test_effects_turn_round() -> None:
    world = Simulation.of(Scenario.DRIFT, 2)
    customers = world.customers(100, seed=1)
    first, half, last = (np.log(p / (1 - p)) for p in (world.conversion(customers, day) for day in (0.0, 182.5, 365.0)))
    assert last[:, 1:] - last[:, :1] == pytest.approx(-(first[:, 1:] - first[:, :1]))
    assert half[:, 1:] - half[:, :1] == pytest.approx(np.zeros((100, 5)), abs=1e-12)


def test_part_of_a_log() -> None:
    log: Log = Simulation.of(Scenario.LINEAR).log(100, seed=1)
    part = log.take(log.action == 2)
    assert len(part) == (log.action == 2).sum()
    assert (part.action == 2).all()
    assert part.features.equals(log.features.loc[log.action == 2])


def test_every_action_has_a_cost() -> None:
    with pytest.raises(ValueError, match="2 actions have 5 costs"):
        Simulation(Scenario.LINEAR, actions=2)


def test_a_log_as_learning_and_judging_take_it() -> None:
    world = Simulation.of(Scenario.LINEAR, 1)
    log = world.log(2_000, seed=1)
    trial, reward = log.trial(), world.reward(log)
    assert trial.inputs.shape == (2_000, len(CATEGORIES))
    assert (trial.inputs[:, -1] == [CHANNELS.index(word) for word in log.features["channel"]]).all()
    assert reward == pytest.approx(10 * log.converted - np.array([0, *world.costs])[log.action])
    judged = log.judged(reward, world.uniform(log.features))
    truth = world.worth(world.uniform(log.features), log.features)
    found = doubly_robust(judged).interval(judged.cluster, 0.999)
    assert found.low <= truth <= found.high
    assert np.ptp(log.judged(reward, log.probabilities, modelled=False).expected) == 0
