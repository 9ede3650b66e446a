"""Effects by outcomes so far: nothing that may still come counts as nothing."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

import numpy as np
import pytest

from kernel.part import Floats
from kernel.uplift_predictor import ActionEffect, EffectStatus
from training.action_log import Delays, Waiting
from training.models.action_effects import Assumption, from_siblings
from training.models.delayed_effects import DelayedEffects, delayed_effects, seen_by
from training.simulation import Log, Scenario, Simulation

WINDOW = 30.0
DAYS = 3.0


def test_share_that_has_come() -> None:
    delays = Delays(np.array([4.0, 1.0, 2.0]), np.array([2.0, 1.0, 1.0]))
    assert seen_by(np.array([0.5, 1.0, 3.0, 9.0]), delays).tolist() == [0, 0.25, 0.5, 1]


def test_nothing_is_told_of_too_little() -> None:
    world = Simulation.of(Scenario.DELAYED, 1)
    young, delays = waiting(world.log(200, seed=1, days=DAYS)), Delays(np.ones(49), np.ones(49))
    for found in (delayed_effects(young, delays, 0.1), delayed_effects(young, Delays(*np.ones((2, 60))), 0.1)):
        assert np.isinf(found.error).all()


def waiting(log: Log, *, shift: float = 0.0) -> Waiting:
    """What is known of a log at its end."""
    age = DAYS - log.day
    come = (log.converted_after <= age).astype(float)
    return Waiting(np.arange(len(log)), log.action, log.probabilities, come, age + shift)


@dataclass(frozen=True)
class Run:
    """One world: an action that began three days ago.

    Attributes:
        truth: mean effects within the window.
        found: by outcomes so far.
        naive: the same, taking what has not come for nothing.
        prior: of the last action, by the others in matured decisions.
        both: the same with its outcomes so far.
    """

    truth: Floats
    found: DelayedEffects
    naive: DelayedEffects
    prior: ActionEffect
    both: ActionEffect


@cache
def runs(count: int, rows: int = 20_000) -> list[Run]:
    done: list[Run] = []
    for seed in range(count):
        world = Simulation.of(Scenario.DELAYED, seed)
        before = world.log(15_000, seed=seed + 100)
        inside = before.converted_after[before.converted_after <= WINDOW]
        delays = Delays(inside, np.ones(len(inside)))
        log = world.log(rows, seed=seed + 300, days=DAYS)
        level = len(inside) / len(before)
        truth = world.conversion(world.customers(50_000, seed=seed + 999))
        in_window = 1 - np.exp(-WINDOW / world.mean_delay)
        found = delayed_effects(waiting(log), delays, level)
        old = Waiting(
            np.arange(len(before)),
            before.action,
            before.probabilities,
            before.converted_after <= WINDOW,
            before.day + 1e6,
        )
        siblings = as_effects(delayed_effects(old, delays, level))[:4]
        assumed = {effect.action: Assumption(0.0, 0.05, "g") for effect in as_effects(found)}
        [prior] = from_siblings(siblings, assumed)
        [both] = from_siblings(siblings, assumed, as_effects(found)[4:])
        done.append(
            Run(
                in_window * (truth[:, 1:] - truth[:, :1]).mean(axis=0),
                found,
                delayed_effects(waiting(log, shift=1e6), delays, level),
                prior,
                both,
            )
        )
    return done


def as_effects(found: DelayedEffects) -> list[ActionEffect]:
    return [
        ActionEffect(
            action="abcde"[number],
            effect=effect,
            error=error,
            centre=(),
            positives=0,
            controls=found.controls,
            status=EffectStatus.LEARNING,
        )
        for number, (effect, error) in enumerate(zip(found.effect.tolist(), found.error.tolist(), strict=True))
    ]


class TestThreeDaysOld:
    def test_its_interval_holds_the_truth(self) -> None:
        held = [np.abs(run.found.effect - run.truth) <= 1.645 * run.found.error for run in runs(20)]
        assert sum(bool(one[4]) for one in held) >= 16
        assert np.mean(held) >= 0.84

    def test_with_its_siblings_too_and_narrower_than_by_them_alone(self) -> None:
        held = [abs(run.both.effect - run.truth[4]) <= 1.645 * run.both.error for run in runs(20)]
        assert sum(held) >= 16
        assert all(run.both.error < run.prior.error for run in runs(20))
        assert {run.both.status for run in runs(20)} == {EffectStatus.LEARNING}

    def test_it_is_as_large_as_it_is(self) -> None:
        assert slope("found") == pytest.approx(1, abs=0.25)
        missed = np.array([run.found.effect - run.truth for run in runs(20)])
        assert abs(missed.mean()) <= 2 * missed.mean(axis=1).std() / np.sqrt(20)

    def test_what_has_not_come_is_not_nothing(self) -> None:
        assert slope("naive") < 0.5

    def test_the_error_of_the_delays_counts(self) -> None:
        world = Simulation.of(Scenario.DELAYED, 1)
        young = waiting(world.log(20_000, seed=301, days=DAYS))
        days = np.random.default_rng(0).exponential(world.mean_delay, 5000)
        few, many = (delayed_effects(young, Delays(some, np.ones(len(some))), 0.12) for some in (days[:60], days))
        assert (few.error > many.error).all()


def slope(of: str) -> float:
    """Of the estimates on the true effects, over all worlds and actions."""
    truth = np.concatenate([run.truth for run in runs(20)])
    said = np.concatenate([getattr(run, of).effect for run in runs(20)])
    return float((said * truth).sum() / (truth**2).sum())
