"""Effects that have changed are told from effects that are the same."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from kernel.part import Floats
from tests.policy_runs import CATEGORIES, inputs
from training.models.effect_drift import newest_alike
from training.models.uplift_learners import Trial
from training.simulation import Scenario, Simulation

ROWS = 12_000


def year(scenario: Scenario, seed: int) -> tuple[Trial, Floats]:
    """A trial and the day of each decision."""
    log = Simulation.of(scenario, seed).log(ROWS, seed=seed + 100, days=365)
    known = inputs(log.features)
    return Trial(known, CATEGORIES, log.action, log.converted, log.probabilities, np.arange(ROWS)), log.day


@pytest.mark.parametrize("seed", range(2))
def test_effects_that_turn_round(seed: int) -> None:
    trial, day = year(Scenario.DRIFT, seed)
    rows, found = newest_alike(trial, day)
    assert found is not None
    assert found.across < 0 < found.within
    assert len(rows) <= ROWS / 2
    assert day[rows].min() >= np.delete(day, rows).max()


@pytest.mark.parametrize("scenario", [Scenario.LINEAR, Scenario.NULL, Scenario.NONLINEAR])
def test_effects_that_stay(scenario: Scenario) -> None:
    trial, day = year(scenario, 3)
    rows, found = newest_alike(trial, day)
    assert (len(rows), found) == (ROWS, None)


def test_an_action_that_works_no_longer() -> None:
    trial, day = year(Scenario.NULL, 5)
    random = np.random.default_rng(0)
    worked = (trial.arm == 2) & (day < 180) & (random.random(ROWS) < 0.3)
    rows, found = newest_alike(replace(trial, outcome=np.maximum(trial.outcome, worked)), day)
    assert found is not None
    assert found.means > 5
    assert len(rows) <= ROWS / 2


def test_an_action_that_has_just_begun() -> None:
    trial, day = year(Scenario.LINEAR, 3)
    began = day >= 350
    rows = np.flatnonzero((trial.arm != 5) | began)
    probability = np.where(began[:, None] | (np.arange(6) != 5), trial.probability, 0.0)
    since = replace(trial, probability=probability / probability.sum(axis=1, keepdims=True)).take(rows)
    assert newest_alike(since, day[rows])[1] is None


def test_of_few_decisions_all_count() -> None:
    trial, day = year(Scenario.DRIFT, 0)
    few = np.arange(0, ROWS, 4)
    rows, found = newest_alike(trial.take(few), day[few])
    assert (len(rows), found) == (len(few), None)
