"""Off-policy evaluation on simulated logs whose truth is known, run many times: short in unit tests, long in soak."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pandas as pd

from kernel.part import Floats
from training.evaluation.off_policy import (
    LoggedDecisions,
    doubly_robust,
    gain_over_logged,
    standard_error,
)
from training.evaluation.policy_checks import integrity
from training.evaluation.policy_gate import Evidence, Verdict, judge
from training.simulation import CATEGORIES as CATEGORIES
from training.simulation import Log, Scenario, Simulation
from training.simulation import model_inputs as inputs

decisions = Log.judged


def softmax_of_truth(world: Simulation, features: pd.DataFrame, sharpness: float) -> Floats:
    """A policy that knows more than it could: the better an action truly is, the likelier."""
    lean = np.exp(sharpness * world.value(features))
    return lean / lean.sum(axis=1, keepdims=True)


def nearly_greedy(world: Simulation, features: pd.DataFrame) -> Floats:
    """The best action three times in four, the rest alike."""
    value = world.value(features)
    best = np.eye(value.shape[1])[value.argmax(axis=1)]
    return 0.75 * best + 0.25 / value.shape[1]


LOGGING: dict[str, Callable[[Simulation], Callable[[pd.DataFrame], Floats]]] = {
    "uniform": lambda world: world.uniform,
    "leaning": lambda world: world.leaning,
    "nearly greedy": lambda world: lambda features: nearly_greedy(world, features),
}


def covered(logging: str, runs: int, *, rows: int = 2000, modelled: bool = True) -> float:
    """Share of runs in which DR's 95 % interval holds what the judged policy truly earns."""
    world = Simulation.of(Scenario.LINEAR, seed=3)
    everybody = world.customers(200_000, seed=10_000)
    truth = world.margin * float(
        np.einsum("ij,ij->i", softmax_of_truth(world, everybody, 2.0), world.conversion(everybody)).mean()
    )
    held = 0
    for run in range(runs):
        log = world.log(rows, seed=run, policy=LOGGING[logging](world))
        target = softmax_of_truth(world, log.features, 2.0)
        found = decisions(log, world.margin * log.converted, target, modelled=modelled)
        interval = doubly_robust(found).interval(found.cluster)
        held += interval.low <= truth <= interval.high
    return held / runs


def promoted_without_gain(runs: int, rows: int = 3000) -> int:
    """How often a policy ships that earns exactly what the one in use earns: no action changes anything."""
    shipped = 0
    for run in range(runs):
        world = Simulation.of(Scenario.NULL, seed=run)
        log = world.log(rows, seed=run)
        target = world.uniform(log.features)
        target = np.roll(0.5 * target + 0.5 * log.probabilities, 1, axis=1)
        found = decisions(log, world.margin * log.converted, target, modelled=False)
        shipped += judge(_evidence(log, found)).verdict is Verdict.SHIP
    return shipped


def promoted_with_gain(runs: int, standard_errors: float = 3.0) -> float:
    """Share of runs in which a policy ships that is better by so many standard errors of the comparison."""
    world = Simulation.of(Scenario.LINEAR, seed=3)
    rows = _rows_for(world, standard_errors)
    shipped = 0
    for run in range(runs):
        log = world.log(rows, seed=5_000 + run)
        found = decisions(log, world.margin * log.converted, _better(world, log), modelled=False)
        shipped += judge(_evidence(log, found)).verdict is Verdict.SHIP
    return shipped / runs


def _better(world: Simulation, log: Log) -> Floats:
    """A little of the best policy mixed into the logged one, so that every weight stays small."""
    best = world.conversion(log.features)
    return 0.85 * log.probabilities + 0.15 * np.eye(best.shape[1])[best.argmax(axis=1)]


def _rows_for(world: Simulation, standard_errors: float) -> int:
    """Decisions with which the true gain is so many standard errors."""
    log = world.log(40_000, seed=77)
    target = _better(world, log)
    found = decisions(log, world.margin * log.converted, target, modelled=False)
    error, _ = standard_error(gain_over_logged(found, log.probabilities).influence, found.cluster)
    ahead = target - log.probabilities
    gain = world.margin * float(np.einsum("ij,ij->i", ahead, world.conversion(log.features)).mean())
    return round(len(log) * (standard_errors * error / gain) ** 2)


def _evidence(log: Log, found: LoggedDecisions) -> Evidence:
    return Evidence(found, log.probabilities, np.ones(len(log), dtype=bool), context=inputs(log.features))


Corruption = Callable[[Log, np.random.Generator], Floats]


def _before_filters(log: Log, random: np.random.Generator) -> Floats:
    """Probabilities as they were before one action dropped out and the rest was scaled up."""
    share = random.uniform(0.15, 0.3)
    return np.hstack(
        [log.probabilities[:, :-1] * (1 - share), log.probabilities[:, -1:] + share * (1 - log.probabilities[:, -1:])]
    )


def _of_other_actions(log: Log, random: np.random.Generator) -> Floats:
    return np.roll(log.probabilities, int(random.integers(1, log.probabilities.shape[1])), axis=1)


def _as_if_uniform(log: Log, random: np.random.Generator) -> Floats:
    return np.full(log.probabilities.shape, 1 / log.probabilities.shape[1])


def _sharpened(log: Log, random: np.random.Generator) -> Floats:
    sharper = log.probabilities ** random.uniform(1.6, 2.5)
    return sharper / sharper.sum(axis=1, keepdims=True)


def _of_other_customers(log: Log, random: np.random.Generator) -> Floats:
    return log.probabilities[random.permutation(len(log))]


WRONG: dict[str, Corruption] = {
    "before the filters": _before_filters,
    "of other actions": _of_other_actions,
    "as if uniform": _as_if_uniform,
    "sharpened": _sharpened,
    "of other customers": _of_other_customers,
}
"""How logged propensities go wrong in practice."""


def wrong_propensities_caught(runs: int, rows: int = 10_000) -> int:
    """In how many runs the checks refuse a log whose propensities are wrong; the kinds take turns."""
    caught = 0
    kinds = list(WRONG.values())
    for run in range(runs):
        world = Simulation.of(Scenario.LINEAR, seed=run)
        log = world.log(rows, seed=run)
        wrong = kinds[run % len(kinds)](log, np.random.default_rng(run))
        caught += not _sound(replace(log, probabilities=wrong), world)
    return caught


def sound_logs_passed(runs: int, rows: int = 10_000) -> int:
    """In how many runs the checks accept a log that is right."""
    worlds = [Simulation.of(Scenario.LINEAR, seed=run) for run in range(runs)]
    return sum(_sound(world.log(rows, seed=run), world) for run, world in enumerate(worlds))


def _sound(log: Log, world: Simulation) -> bool:
    found = decisions(log, world.margin * log.converted, world.uniform(log.features), modelled=False)
    return all(check.holds for check in integrity(found, log.probabilities, inputs(log.features)))
