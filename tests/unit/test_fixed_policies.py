"""Is a policy better than doing the same for everybody? On simulated logs whose truth is known."""

from __future__ import annotations

import numpy as np
import pytest

from tests.policy_runs import decisions
from training.evaluation.fixed_policies import NOTHING_FOR_ALL, FixedComparison, against_fixed, fixed_targets
from training.evaluation.off_policy import LoggedDecisions, doubly_robust, gain_over_logged
from training.simulation import Log, Scenario, Simulation

WORLD = Simulation.of(Scenario.LINEAR, seed=11)
NAMES = ("do_nothing", "a", "b", "c", "d", "e")


@pytest.fixture(scope="module")
def log() -> Log:
    return WORLD.log(8000, seed=11)


def money(log: Log, world: Simulation = WORLD) -> np.ndarray:
    return world.margin * log.converted - np.array([0.0, *world.costs])[log.action]


def compared(log: Log, target: np.ndarray, world: Simulation = WORLD, **given: object) -> FixedComparison:
    found = decisions(log, money(log, world), target, modelled=False)
    allowed = np.ones(target.shape, dtype=bool)
    return against_fixed(found, log.probabilities, fixed_targets(NAMES, allowed), currency="EUR", **given)


def best(log: Log) -> np.ndarray:
    return np.eye(6)[WORLD.value(log.features).argmax(axis=1)]


def test_a_policy_that_knows_the_truth_is_better_than_every_fixed_one(log: Log) -> None:
    found = compared(log, best(log))
    assert found.is_better
    assert found.sentence.startswith(
        f"The judged policy is significantly better than every fixed policy: than {found.best}, the best of them, by "
    )
    assert all(one.low > 0 for one in found.ahead.values())


def test_the_best_fixed_policy_is_not_better_than_itself(log: Log) -> None:
    first = compared(log, best(log))
    assert first.best is not None
    same = fixed_targets(NAMES, np.ones((len(log), 6), dtype=bool))[first.best]
    found = compared(log, same)
    assert not found.is_better
    assert found.sentence.startswith(
        f"Nothing is significantly better than {first.best}: the judged policy earns 0 EUR"
    )


def test_differences_are_paired_and_the_worst_of_them_counts(log: Log) -> None:
    found = compared(log, best(log))
    judged = decisions(log, money(log), best(log), modelled=False)
    targets = fixed_targets(NAMES, np.ones((len(log), 6), dtype=bool))
    assert list(found.ahead) == list(targets) == [NOTHING_FOR_ALL, *(f"always {name}" for name in NAMES[1:])]
    for name, target in targets.items():
        assert found.ahead[name].estimate == pytest.approx(gain_over_logged(judged, target).value)
    assert found.over_best is not None
    assert found.over_best.low == min(one.low for one in found.ahead.values())
    assert found.over_best.estimate == pytest.approx(
        doubly_robust(judged).value - max(o.value.estimate for o in found.fixed)
    )
    # One of several small differences is small by noise alone.
    assert found.over_best.high >= found.ahead[str(found.best)].high


def test_without_effects_hardly_any_policy_looks_better_than_the_best_fixed_one() -> None:
    world = Simulation.of(Scenario.NULL, seed=12)
    claims = 0
    for seed in range(40):
        log = world.log(1000, seed=100 + seed)
        target = np.roll(0.5 * log.probabilities + 0.5 * world.uniform(log.features), 1, axis=1)
        claims += compared(log, target, world).is_better
    assert claims <= 1


def test_where_an_action_may_not_be_given_nothing_is(log: Log) -> None:
    allowed = np.ones((len(log), 6), dtype=bool)
    allowed[: len(log) // 2, 3] = False
    target = fixed_targets(NAMES, allowed)["always c"]
    assert target.sum(axis=1).tolist() == [1.0] * len(log)
    assert target[: len(log) // 2, 0].all()
    assert target[len(log) // 2 :, 3].all()
    allowed[:, 3] = False
    assert "always c" not in fixed_targets(NAMES, allowed)


def test_an_action_that_was_never_tried_is_not_compared() -> None:
    world = Simulation.of(Scenario.NEW_ACTION, seed=11)
    log = world.log(4000, seed=11)
    found = compared(log, log.probabilities, world)
    untried = found.fixed[-1]
    assert (untried.name, untried.is_supported, untried.unsupported) == ("always e", False, 1.0)
    assert "always e" not in found.ahead
    assert found.best != "always e"
    new = compared(log, np.hstack([log.probabilities[:, :-1] * 0.5, np.full((len(log), 1), 0.5)]), world)
    assert (new.ahead, new.over_best, new.is_better) == ({}, None, False)
    assert new.sentence == (
        f"Whether the judged policy is better than {found.best} cannot be told: 50 % of it lies on actions that were "
        "never tried there."
    )


def test_nothing_was_tried_that_could_be_compared() -> None:
    random = np.random.default_rng(1)
    log = LoggedDecisions(
        np.zeros(50, dtype=np.int64), random.normal(size=50), np.ones(50), np.tile([1.0, 0.0], (50, 1)),
        np.zeros((50, 2)), np.arange(50),
    )  # fmt: skip
    found = against_fixed(log, log.target, {"always a": np.tile([0.0, 1.0], (50, 1))})
    assert (found.best, found.over_best, found.is_better) == (None, None, False)
    assert found.sentence == "No fixed policy can be compared: none was tried often enough."


def test_the_sentence_does_not_deny_what_another_policy_does(log: Log) -> None:
    found = compared(log, log.probabilities, others={"the oracle": best(log)})
    assert not found.is_better
    assert found.sentence.startswith(f"The judged policy is not significantly better than {found.best}: ")
    assert found.sentence.endswith(" The oracle is.")
