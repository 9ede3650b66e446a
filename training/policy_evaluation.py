"""May a policy take the place of the one in use? All that logged decisions say of it, gathered in one result."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel.encoding import Encoding
from kernel.part import Floats
from training.evaluation.action_gains import OutcomeGains, OutcomeRows, outcome_gains
from training.evaluation.discrimination import Interval
from training.evaluation.fixed_policies import (
    FixedComparison,
    PolicyValue,
    against_fixed,
    fixed_targets,
    policy_value,
)
from training.evaluation.off_policy import LoggedDecisions, clustered_interval, gain_over_logged
from training.evaluation.policy_checks import FEWEST_EFFECTIVE, slope_check
from training.evaluation.policy_gate import Evidence, Judgement, Watched, judge
from training.models.rewards import expected_rewards
from training.models.uplift_learners import Ints

IN_USE, JUDGED, UNIFORM = "the policy in use", "the judged policy", "every action alike"
_SAME = 1e-9


@dataclass(frozen=True)
class JudgedLog:
    """Matured decisions, and what the policy to judge would have done in their place.

    Attributes:
        names: of the actions' columns, doing nothing first.
        action: number of the drawn action, shape (decisions,).
        reward: money that followed, net of costs, shape (decisions,).
        propensity: with which the action was drawn, shape (decisions,).
        logged: the logging policy's probability of every action, shape (decisions, actions).
        target: the judged policy's, shape (decisions, actions).
        allowed: whether the judged policy may give each, shape (decisions, actions); doing nothing always.
        worth_logged: expected incremental value of every action as it was logged; NaN where not eligible; 0 for doing
            nothing, shape (decisions, actions).
        worth_target: the same as the judged policy sees it.
        inputs: what was known of the customers, NaN where unknown, shape (decisions, columns).
        categories: number of words of each column, 0 for a number.
        customer: whose decision it was, shape (decisions,).
        currency: of all money.
        watched: name -> what must not get worse.
        segment: of each customer, shape (decisions,).
        before: what the customer brought in an equally long window before the decision, shape (decisions,).
        outcomes: the decisions by the outcome of their actions.
    """

    names: tuple[str, ...]
    action: Ints
    reward: Floats
    propensity: Floats
    logged: Floats
    target: Floats
    allowed: NDArray[np.bool_]
    worth_logged: Floats
    worth_target: Floats
    inputs: Floats
    categories: tuple[int, ...]
    customer: NDArray[Any]
    currency: str
    watched: Mapping[str, Watched] = field(default_factory=dict[str, Watched])
    segment: NDArray[np.object_] | None = None
    before: Floats | None = None
    outcomes: tuple[OutcomeRows, ...] = ()

    def __len__(self) -> int:
        return len(self.action)

    @cached_property
    def decisions(self) -> LoggedDecisions:
        """As estimators take them, with a model's rewards."""
        expected = expected_rewards(
            self.inputs, self.categories, self.action, self.reward, self.customer, len(self.names)
        )
        return LoggedDecisions(self.action, self.reward, self.propensity, self.target, expected, self.customer)

    @property
    def untried(self) -> tuple[str, ...]:
        """Actions that the judged policy may give and that no logged decision could have had."""
        missing = self.allowed.any(axis=0) & (self.logged.max(axis=0) <= 0)
        return tuple(name for name, of in zip(self.names, missing.tolist(), strict=True) if of)


@dataclass(frozen=True)
class Exploration:
    """What drawing at random costs against always taking the action that is expected to be worth most.

    Attributes:
        policy: its name.
        by_model: per decision, by what the policy believed the actions to be worth.
        measured: per decision, doubly robust, with its 95 % interval.
    """

    policy: str
    by_model: float
    measured: Interval


@dataclass(frozen=True)
class Programme:
    """What all of decisioning brings against customers who are held out.

    Attributes:
        decided, held: windows of customers with decisions and of held-out ones.
        mean_decided, mean_held: reward of a window.
        difference: of the means, with its 95 % interval.
    """

    decided: int
    held: int
    mean_decided: float
    mean_held: float
    difference: Interval


@dataclass(frozen=True)
class PolicyEvaluation:
    """The verdict on a policy and all that it rests on; money per decision.

    Attributes:
        judgement: verdict, sentence and checks.
        in_use: what the logged policy earned; ``uniform``: what drawing every action alike would have.
        comparison: the judged policy beside fixed ones.
        gains: effects by outcome.
        exploration: of the policy in use and of the judged one.
        notes: where the evidence is thin.
    """

    judgement: Judgement
    in_use: PolicyValue
    uniform: PolicyValue
    comparison: FixedComparison
    gains: tuple[OutcomeGains, ...]
    exploration: tuple[Exploration, ...]
    notes: tuple[str, ...]

    @property
    def policies(self) -> tuple[PolicyValue, ...]:
        """Every policy that was looked at, the one in use and the judged one first."""
        return (self.in_use, self.comparison.judged, *self.comparison.fixed, self.uniform)


def evaluate(judged: JudgedLog) -> PolicyEvaluation:
    """Check the log, judge the policy, and compare it with all others.

    Raises:
        DataError: the logged decisions are no draws with known probabilities.
    """
    log = judged.decisions
    gains = tuple(outcome_gains(of) for of in judged.outcomes)
    evidence = Evidence(
        log,
        judged.logged,
        np.ones(len(judged), dtype=np.bool_),  # whoever gathers them leaves the others out
        judged.currency,
        watched=judged.watched,
        segment=judged.segment,
        before=judged.before,
        slope=_slope(gains),
        context=Encoding.of(judged.inputs, judged.categories).design(judged.inputs),
    )
    comparison = against_fixed(
        log,
        judged.logged,
        fixed_targets(judged.names, judged.allowed),
        judged=JUDGED,
        others={IN_USE: judged.logged},
        currency=judged.currency,
    )
    alike = judged.allowed / judged.allowed.sum(axis=1, keepdims=True)
    exploration = (
        _exploration(IN_USE, log, judged.logged, judged.worth_logged),
        _exploration(JUDGED, log, judged.target, judged.worth_target),
    )
    in_use, uniform = (
        policy_value(name, replace(log, target=target), judged.logged)
        for name, target in ((IN_USE, judged.logged), (UNIFORM, alike))
    )
    judgement = judge(evidence)
    notes = _notes(judged, judgement, (in_use, comparison.judged, *comparison.fixed, uniform))
    return PolicyEvaluation(judgement, in_use, uniform, comparison, gains, exploration, notes)


def programme(
    reward: Floats, customer: NDArray[Any], held_reward: Floats, held_customer: NDArray[Any]
) -> Programme | None:
    """The difference of mean rewards, robust to windows of one customer being alike; None with nobody held out."""
    if not len(held_reward) or not len(reward):
        return None
    decided, held = float(reward.mean()), float(held_reward.mean())
    rows = len(reward) + len(held_reward)
    influence = np.concatenate(
        [(reward - decided) * rows / len(reward), -(held_reward - held) * rows / len(held_reward)]
    )
    cluster = np.concatenate([customer, held_customer])
    return Programme(
        len(reward), len(held_reward), decided, held, clustered_interval(decided - held, influence, cluster)
    )


def _slope(gains: tuple[OutcomeGains, ...]) -> Interval | None:
    """Of the outcome whose effects are the least as large as they turn out: all must hold."""
    slopes = [one.slope for one in gains if one.slope is not None]
    wrong = [slope for slope in slopes if not slope_check(slope).holds]
    return next(iter([*wrong, *slopes]), None)


def _exploration(name: str, log: LoggedDecisions, probabilities: Floats, worth: Floats) -> Exploration:
    known = np.where(np.isnan(worth), -np.inf, worth)
    best = np.eye(worth.shape[1])[known.argmax(axis=1)]
    ahead = best - probabilities
    by_model = float(np.einsum("ij,ij->i", ahead, np.nan_to_num(worth)).mean())
    cost = gain_over_logged(replace(log, target=best), probabilities)
    return Exploration(name, by_model, cost.interval(log.cluster))


def _notes(judged: JudgedLog, judgement: Judgement, policies: tuple[PolicyValue, ...]) -> tuple[str, ...]:
    broken = [check.name for check in judgement.checks if not check.holds]
    notes = [f"Checks that fail: {', '.join(broken)}. No figure here is worth more than they are."] if broken else []
    notes += [
        f"{name} was never tried in these decisions: nothing can be said of it. Let the policy in use explore it first."
        for name in judged.untried
    ]
    thin = [one.name for one in policies if one.is_supported and one.effective < FEWEST_EFFECTIVE]
    if thin:
        notes.append(
            f"Fewer than {FEWEST_EFFECTIVE:,.0f} effective decisions speak for {', '.join(thin)}: look at the "
            "interval, not at the estimate."
        )
    if float(np.abs(judged.target - judged.logged).max()) < _SAME:
        notes.append("The judged policy draws exactly as the one in use: there is nothing to gain or to lose by it.")
    rare = float(np.mean(judged.reward != 0))
    if rare < 0.02:
        notes.append(f"Money moved after {100 * rare:.2g} % of the decisions only: few customers carry every figure.")
    return tuple(notes)
