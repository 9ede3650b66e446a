"""Is a policy that tells customers apart better than doing the same for everybody? What each earned on one log."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kernel.errors import DataError
from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import (
    ESTIMATORS,
    Estimate,
    LoggedDecisions,
    clustered_interval,
    gain_over_logged,
)
from training.evaluation.policy_checks import UNSUPPORTED, effective_size

GATE = ("DR", "SNDR")
"""The estimators whose intervals hold what they promise."""
NOTHING_FOR_ALL = "doing nothing for everybody"
_CONFIDENCE = 0.975  # of each bound alone: together they are a 95 % interval


@dataclass(frozen=True)
class PolicyValue:
    """What a policy would have earned per decision, from the decisions of another.

    Attributes:
        name: for people.
        estimates: by estimator, with its 95 % interval; None where the policy never takes an action that was drawn.
        effective: decisions of equal weight that would tell as much (Kish).
        largest: share of the weight that one decision carries.
        unsupported: share of the policy that lies on actions that were never tried there.
    """

    name: str
    estimates: Mapping[str, Interval | None]
    effective: float
    largest: float
    unsupported: float

    @property
    def is_supported(self) -> bool:
        """Whether the log can say anything of it."""
        return self.unsupported < UNSUPPORTED and self.effective > 0

    @property
    def value(self) -> Interval:
        """Doubly robust."""
        found = self.estimates["DR"]
        return Interval(float("nan"), -np.inf, np.inf, 0.95) if found is None else found


@dataclass(frozen=True)
class FixedComparison:
    """The judged policy beside the policies that do the same for everybody who may have it.

    Attributes:
        judged: what it earned.
        fixed: the same of the others, in the order given.
        ahead: by how much the judged policy lies above each supported one, per decision: paired doubly robust
            differences, each bound of which holds with 97.5 %.
        best: the supported fixed policy that earned most; None where none is supported.
        over_best: by how much the judged policy lies above the best of them, whichever that truly is; None where
            nothing can be told of it or of them.
        is_better: the judged policy is significantly better than every fixed one.
        sentence: the same for a manager.
    """

    judged: PolicyValue
    fixed: tuple[PolicyValue, ...]
    ahead: Mapping[str, Interval]
    best: str | None
    over_best: Interval | None
    is_better: bool
    sentence: str


def fixed_targets(names: Sequence[str], allowed: NDArray[np.bool_]) -> dict[str, Floats]:
    """Policies as probabilities of every action, shape (decisions, actions): doing nothing for everybody, and each
    action that anybody may get, always where it may be given, else nothing.

    Args:
        names: of the columns, doing nothing first.
        allowed: whether each may be given, shape (decisions, actions); the first always may.
    """
    rows, actions = allowed.shape
    nothing = np.eye(actions)[np.zeros(rows, dtype=int)]
    found = {NOTHING_FOR_ALL: nothing}
    for number in range(1, actions):
        given = allowed[:, number]
        if not given.any():
            continue
        found[f"always {names[number]}"] = np.where(given[:, None], np.eye(actions)[number], nothing)
    return found


def policy_value(name: str, log: LoggedDecisions, logged: Floats) -> PolicyValue:
    """What the target of ``log`` earned, by every estimator.

    Args:
        logged: the logging policy's probability of every action, shape (decisions, actions).
    """
    found: dict[str, Interval | None] = {}
    for estimator, estimate in ESTIMATORS.items():
        try:
            found[estimator] = _finite(estimate(log), log)
        except DataError:  # self-normalised, of a policy that never takes an action that was drawn
            found[estimator] = None
    total = float(log.weight.sum())
    return PolicyValue(
        name=name,
        estimates=found,
        effective=effective_size(log),
        largest=float(log.weight.max()) / total if total > 0 else 1.0,
        unsupported=float(np.where(logged > 0, 0.0, log.target).sum(axis=1).mean()),
    )


def against_fixed(
    log: LoggedDecisions,
    logged: Floats,
    fixed: Mapping[str, Floats],
    *,
    judged: str = "the judged policy",
    others: Mapping[str, Floats] | None = None,
    currency: str = "",
) -> FixedComparison:
    """Compare the target of ``log`` with fixed policies, and say whether it is better than the best of them.

    The best is picked by the same noise that it is judged by, so that its estimate is too high. Therefore the judged
    policy counts as better only where the paired difference from *each* fixed policy is above 0: it is above the best
    one, whichever that is, with the confidence of a single comparison.

    Args:
        logged: the logging policy's probability of every action, shape (decisions, actions).
        fixed: name -> probabilities, shape (decisions, actions); see :func:`fixed_targets`.
        judged: its name in the sentence.
        others: further policies that tell customers apart, such as the one in use, of which the sentence must not say
            that they are no better.
        currency: of the rewards.
    """
    values = tuple(policy_value(name, replace(log, target=target), logged) for name, target in fixed.items())
    supported = {one.name: fixed[one.name] for one in values if one.is_supported}
    own = policy_value(judged, log, logged)
    ahead = _differences(log, supported)
    if not supported:
        sentence = "No fixed policy can be compared: none was tried often enough."
        return FixedComparison(own, values, ahead, None, None, False, sentence)
    best = max((one for one in values if one.is_supported), key=lambda one: one.value.estimate)
    if not own.is_supported:
        sentence = (
            f"Whether {judged} is better than {best.name} cannot be told: {100 * own.unsupported:.2g} % of it lies on "
            "actions that were never tried there."
        )
        return FixedComparison(own, values, {}, best.name, None, False, sentence)
    over = _over_best(log, supported, ahead)
    is_better = over.low > 0
    also = [
        name
        for name, target in (others or {}).items()
        if min(one.low for one in _differences(replace(log, target=target), supported).values()) > 0
    ]
    sentence = _sentence(judged, best.name, over, also, currency)
    return FixedComparison(own, values, ahead, best.name, over, is_better, sentence)


def _finite(estimate: Estimate, log: LoggedDecisions) -> Interval:
    return estimate.interval(log.cluster)


def _differences(
    log: LoggedDecisions, fixed: Mapping[str, Floats], confidence: float = _CONFIDENCE
) -> dict[str, Interval]:
    found: dict[str, Interval] = {}
    for name, target in fixed.items():
        gain = gain_over_logged(log, target)
        found[name] = clustered_interval(gain.value, gain.influence, log.cluster, confidence, one_sided=True)
    return found


def _over_best(log: LoggedDecisions, fixed: Mapping[str, Floats], ahead: Mapping[str, Interval]) -> Interval:
    """The least of the differences. Its lower bound is the least of theirs; an upper bound has to hold for all of them
    at once, since noise alone makes one of many small."""
    at_once = _differences(log, fixed, 1 - (1 - _CONFIDENCE) / len(fixed))
    return Interval(
        min(one.estimate for one in ahead.values()),
        min(one.low for one in ahead.values()),
        min(one.high for one in at_once.values()),
        2 * _CONFIDENCE - 1,
    )


def _sentence(judged: str, best: str, over: Interval, also: Sequence[str], currency: str) -> str:
    unit = f" {currency}" if currency else ""
    amount = (
        f"{abs(over.estimate):,.3g}{unit} {'more' if over.estimate >= 0 else 'less'} per decision "
        f"(95 % interval of the difference {over.low:+,.3g} to {over.high:+,.3g})"
    )
    name = _capital(judged)
    if over.low > 0:
        return f"{name} is significantly better than every fixed policy: than {best}, the best of them, by {amount}."
    if also:
        return f"{name} is not significantly better than {best}: it earns {amount}. {_capital(' and '.join(also))} is."
    return f"Nothing is significantly better than {best}: {judged} earns {amount}."


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"
