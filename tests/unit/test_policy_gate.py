"""Which policies ship, which are tried on a few, and which logs carry no verdict."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from tests.policy_runs import (
    WRONG,
    decisions,
    promoted_with_gain,
    promoted_without_gain,
    sound_logs_passed,
    wrong_propensities_caught,
)
from training.evaluation.discrimination import Interval
from training.evaluation.policy_gate import Evidence, Judgement, Verdict, Watched, judge
from training.simulation import Log, Scenario, Simulation

WORLD = Simulation.of(Scenario.LINEAR, seed=1)


@pytest.fixture(scope="module")
def log() -> Log:
    return WORLD.log(6000, seed=1)


def best(log: Log, share: float) -> np.ndarray:
    """The logged policy with a share of the best one mixed in; a negative share leans towards the worst."""
    value = WORLD.conversion(log.features) * (1 if share > 0 else -1)
    top = np.eye(value.shape[1])[value.argmax(axis=1)]
    return (1 - abs(share)) * log.probabilities + abs(share) * top


def evidence(log: Log, target: np.ndarray, **given: object) -> Evidence:
    found = decisions(log, WORLD.margin * log.converted, target, modelled=False)
    return replace(Evidence(found, log.probabilities, np.ones(len(log), dtype=bool), "EUR"), **given)


def broken(judgement: Judgement) -> list[str]:
    return [check.name for check in judgement.checks if not check.holds]


def test_a_better_policy_ships(log: Log) -> None:
    found = judge(evidence(log, best(log, 0.5)))
    assert (found.verdict, broken(found)) == (Verdict.SHIP, [])
    assert found.gain.low > 0
    assert found.sentence.startswith("Ship: the policy is expected to earn ")
    assert "EUR more per decision than the policy in use" in found.sentence


def test_a_worse_policy_is_refused(log: Log) -> None:
    found = judge(evidence(log, best(log, -0.5)))
    assert found.verdict is Verdict.REFUSE
    assert found.gain.high < 0
    assert found.sentence.startswith("Do not ship: that the policy is better is not shown.")
    assert "EUR less per decision" in found.sentence


def test_a_policy_that_hardly_differs_is_a_canary(log: Log) -> None:
    found = judge(evidence(log, 0.97 * log.probabilities + 0.03 * WORLD.uniform(log.features)))
    assert found.verdict is Verdict.CANARY
    assert found.gain.low > -0.02 * found.in_use
    assert found.sentence.startswith("Canary: show it to a few customers first.")


def test_an_action_that_was_never_tried_carries_no_verdict() -> None:
    world = Simulation.of(Scenario.NEW_ACTION, seed=1)
    tried = world.log(6000, seed=1)
    target = np.hstack([tried.probabilities[:, :-1] * 0.9, np.full((6000, 1), 0.1)])
    found = judge(evidence(tried, target))
    assert (found.verdict, broken(found)) == (Verdict.REFUSE, ["mean weight", "support"])
    assert "10 % of the judged policy lies on actions that were never tried" in found.checks[-3].found


def test_outcomes_that_may_still_come_carry_no_verdict(log: Log) -> None:
    waiting = np.arange(len(log)) >= 17
    found = judge(evidence(log, best(log, 0.5), matured=waiting))
    assert found.sentence == "Do not ship: outcomes matured fails. 17 outcomes may still come."


def test_few_decisions_that_speak_for_the_policy_carry_no_verdict(log: Log) -> None:
    few = log.take(np.arange(400))
    assert broken(judge(evidence(few, best(few, 0.5)))) == ["effective sample size"]


def test_one_decision_may_not_carry_the_verdict(log: Log) -> None:
    rare = log.probabilities.copy()
    drawn = log.action[0]
    rare[0] = (1 - 0.0005) * np.eye(6)[(drawn + 1) % 6] + 0.0005 * np.eye(6)[drawn]
    target = best(log, 0.2)
    target[0] = np.eye(6)[drawn]
    assert "largest weight" in broken(judge(evidence(replace(log, probabilities=rare), target)))


@pytest.mark.parametrize(
    ("slope", "holds"), [((1.1, 0.9, 1.3), True), ((0.4, -0.1, 1.1), True), ((0.4, 0.2, 0.6), False)]
)
def test_effects_as_large_as_they_turn_out(log: Log, slope: tuple[float, float, float], holds: bool) -> None:
    found = judge(evidence(log, best(log, 0.5), slope=Interval(*slope, 0.95)))
    assert (broken(found) == []) == holds


def test_a_policy_that_changes_the_past_is_refused(log: Log) -> None:
    past = WORLD.conversion(log.features).max(axis=1) * 20
    lean = np.exp(past - past.mean())[:, None] * np.array([0, 0, 0, 0, 0, 1]) + 0.2
    target = lean / lean.sum(axis=1, keepdims=True)
    found = judge(evidence(log, target, before=np.where(log.action == 5, past, past - 5)))
    assert "placebo" in broken(found)
    sound = judge(evidence(log, target, before=past))
    assert "placebo" not in broken(sound)


def test_something_else_that_gets_worse_is_refused(log: Log) -> None:
    left = np.where(log.action == 5, 0.3, 0.01)
    target = 0.5 * log.probabilities + 0.5 * np.eye(6)[5]
    found = judge(evidence(log, target, watched={"unsubscribes": Watched(left)}))
    assert "unsubscribes" in broken(found)
    accepted = judge(evidence(log, target, watched={"unsubscribes": Watched(left, tolerated=0.2)}))
    assert "unsubscribes" not in broken(accepted)


def test_a_segment_that_is_surely_harmed_is_refused(log: Log) -> None:
    target = best(log, 0.5)
    segment = np.where(log.features["x0"] > 0, "regular", "new").astype(object)
    assert broken(judge(evidence(log, target, segment=segment))) == []
    harmful = np.where((segment == "new")[:, None], best(log, -0.9), best(log, 0.9))
    assert "segment new" in broken(judge(evidence(log, harmful, segment=segment)))


def test_every_kind_of_wrong_propensity_is_caught() -> None:
    assert wrong_propensities_caught(len(WRONG)) == len(WRONG)


def test_rare_words_do_not_make_a_sound_log_look_wrong(log: Log) -> None:
    words = np.zeros((len(log), 300))
    words[np.arange(300), np.arange(300)] = 1  # each of one customer
    even = WORLD.log(
        6000, seed=3, policy=lambda features: np.tile([0.9, 0.02, 0.02, 0.02, 0.02, 0.02], (len(features), 1))
    )
    assert "balance" not in broken(judge(evidence(even, even.probabilities, context=words)))


def test_sound_logs_pass() -> None:
    assert sound_logs_passed(10) == 10


def test_without_a_gain_hardly_anything_ships() -> None:
    # One in forty by design; make soak runs 200.
    assert promoted_without_gain(20) <= 3


def test_a_clear_gain_ships() -> None:
    assert promoted_with_gain(20) >= 0.6
