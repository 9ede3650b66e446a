"""What a policy would have earned, from decisions that another policy made.

Each logged decision has the action that was drawn, the probability with which it was drawn (its propensity) and the
reward that followed. An importance weight ``target probability / propensity`` says how many decisions of the policy to
judge it stands for. Sources: Horvitz and Thompson 1952 (IPS); Swaminathan and Joachims 2015 (SNIPS); Dudík, Langford
and Li 2011 (DR); Thomas and Brunskill 2016 (SNDR); Wang, Agarwal and Dudík 2017 (switch-DR); Su, Dimakopoulou,
Krishnamurthy and Dudík 2020 (DRos).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.stats import t as student

from kernel.errors import DataError
from kernel.part import Floats
from training.evaluation.discrimination import Interval

Ints = NDArray[np.int64]

SWITCH_THRESHOLD = 10.0  # switch-DR leaves the correction out where the weight is larger
SHRINKAGE = 10.0  # lambda of DRos: the larger, the closer to DR
_SUM = 1e-9  # by how much a row of probabilities may miss 1


@dataclass(frozen=True)
class LoggedDecisions:
    """Decisions with the reward that followed, and the probabilities of the policy to judge.

    Attributes:
        action: number of the drawn action, shape (decisions,), from 0 to actions - 1.
        reward: what followed, shape (decisions,); the larger the better. Matured ones only.
        propensity: probability with which the action was drawn, shape (decisions,).
        target: the judged policy's probability of every action, shape (decisions, actions).
        expected: a model's reward of every action, shape (decisions, actions), best from rows it was not fitted on;
            0 everywhere where there is no model.
        cluster: whose decision it was, shape (decisions,); decisions of one customer are not independent.
    """

    action: Ints
    reward: Floats
    propensity: Floats
    target: Floats
    expected: Floats
    cluster: NDArray[Any]

    def __post_init__(self) -> None:
        rows, actions = self.target.shape
        for name in ("action", "reward", "propensity", "cluster"):
            _require(getattr(self, name).shape == (rows,), f"'{name}' has not one entry per decision", "Give as many.")
        _require(self.expected.shape == (rows, actions), "'expected' and 'target' differ in shape", "Give both alike.")
        _require(rows > 1, "fewer than two decisions are logged", "Wait until more outcomes have matured.")
        _require(
            bool(np.isin(self.action, np.arange(actions)).all()),
            "an action has no column in 'target'",
            "Number the actions from 0 in the order of its columns.",
        )
        for name in ("reward", "propensity", "target", "expected"):
            _require(bool(np.isfinite(getattr(self, name)).all()), f"'{name}' holds NaN or infinity", "Leave it out.")
        _require(
            bool(((self.propensity > 0) & (self.propensity <= 1)).all()),
            "a propensity is not above 0 and at most 1",
            "Log the probability with which the action was drawn, after all filters.",
        )
        sums = bool((np.abs(self.target.sum(axis=1) - 1) <= _SUM).all())
        _require(
            sums and bool((self.target >= 0).all()),
            "a row of 'target' is no distribution",
            "Its entries are at least 0 and sum to 1.",
        )

    def __len__(self) -> int:
        return len(self.action)

    @cached_property
    def weight(self) -> Floats:
        """Importance weights, shape (decisions,)."""
        return self.of_drawn(self.target) / self.propensity

    @cached_property
    def modelled(self) -> Floats:
        """The model's reward of the judged policy, shape (decisions,)."""
        return np.einsum("ij,ij->i", self.target, self.expected)

    @cached_property
    def residual(self) -> Floats:
        """What the model's reward of the drawn action missed, shape (decisions,)."""
        return self.reward - self.of_drawn(self.expected)

    def of_drawn(self, table: Floats) -> Floats:
        """The entry of the drawn action in each row of ``table``."""
        return table[np.arange(len(self.action)), self.action]


@dataclass(frozen=True, slots=True)
class Estimate:
    """The judged policy's reward per decision.

    Attributes:
        value: the estimate.
        influence: each decision's part in its error, shape (decisions,); they average to 0.
    """

    value: float
    influence: Floats

    def interval(self, cluster: NDArray[Any], confidence: float = 0.95) -> Interval:
        """Where the true reward lies, robust to decisions of one customer being alike."""
        return clustered_interval(self.value, self.influence, cluster, confidence)

    def ahead_of(self, other: Estimate, cluster: NDArray[Any], confidence: float = 0.95) -> Interval:
        """By how much it lies above another policy's estimate from the same decisions: what both share cancels."""
        return clustered_interval(self.value - other.value, self.influence - other.influence, cluster, confidence)


def inverse_propensity(log: LoggedDecisions) -> Estimate:
    """IPS: the weighted rewards. Unbiased, and moved by few large weights."""
    return _mean(log.weight * log.reward)


def self_normalised(log: LoggedDecisions) -> Estimate:
    """SNIPS: the weighted rewards over the sum of the weights."""
    return _ratio(np.zeros(len(log)), log.reward, log.weight)


def direct_method(log: LoggedDecisions) -> Estimate:
    """DM: what the reward model says. Its interval leaves out the model's own error; no gate may use it."""
    return _mean(log.modelled)


def doubly_robust(log: LoggedDecisions) -> Estimate:
    """DR: what the model says, corrected by the weighted residuals. Right where the model or the propensity is."""
    return _mean(log.modelled + log.weight * log.residual)


def self_normalised_doubly_robust(log: LoggedDecisions) -> Estimate:
    """SNDR: DR with the correction over the mean weight."""
    return _ratio(log.modelled, log.residual, log.weight)


def switch_doubly_robust(log: LoggedDecisions, threshold: float = SWITCH_THRESHOLD) -> Estimate:
    """Switch-DR: DR without the correction where the weight is above ``threshold``."""
    return _mean(log.modelled + np.where(log.weight <= threshold, log.weight, 0.0) * log.residual)


def shrunk_doubly_robust(log: LoggedDecisions, shrinkage: float = SHRINKAGE) -> Estimate:
    """DRos, optimistic shrinkage: DR with the weights ``shrinkage * w / (w^2 + shrinkage)``."""
    weight = shrinkage * log.weight / (log.weight**2 + shrinkage)
    return _mean(log.modelled + weight * log.residual)


ESTIMATORS: dict[str, Callable[[LoggedDecisions], Estimate]] = {
    "IPS": inverse_propensity,
    "SNIPS": self_normalised,
    "DM": direct_method,
    "DR": doubly_robust,
    "SNDR": self_normalised_doubly_robust,
    "switch-DR": switch_doubly_robust,
    "DRos": shrunk_doubly_robust,
}
"""Every estimator by its usual name. Only the intervals of DR and SNDR hold what they promise with a wrong model."""


def gain_over_logged(log: LoggedDecisions, logged: Floats) -> Estimate:
    """How much more the judged policy earns per decision than the one that was logged: paired DR, in which the common
    part of both cancels.

    Args:
        log: with the judged policy as ``target``.
        logged: the logging policy's probability of every action, shape (decisions, actions).
    """
    ahead = log.target - logged
    return _mean(np.einsum("ij,ij->i", ahead, log.expected) + log.of_drawn(ahead) / log.propensity * log.residual)


def clustered_interval(
    value: float, influence: Floats, cluster: NDArray[Any], confidence: float = 0.95, *, one_sided: bool = False
) -> Interval:
    """``value`` with the bounds of a mean whose terms are independent between clusters only (Liang and Zeger 1986).

    Weighted rewards are skewed: few decisions stand for many and bring much. Student's bounds are moved by the skewness
    of the clusters' sums (Hall 1992, the cubic transformation).

    Args:
        one_sided: both bounds hold with ``confidence`` each, not together.
    """
    sums = _cluster_sums(influence, cluster)
    error, clusters = standard_error(influence, cluster)
    if not np.isfinite(error):
        return Interval(value, -np.inf, np.inf, confidence)
    if not error:
        return Interval(value, value, value, confidence)  # a policy against itself
    tail = 1 - confidence if one_sided else (1 - confidence) / 2
    reach = float(student.isf(tail, clusters - 1))
    skew = float(np.mean(sums**3) / np.mean(sums**2) ** 1.5 / np.sqrt(clusters))
    return Interval(value, value - error * _moved(reach, skew), value - error * _moved(-reach, skew), confidence)


def standard_error(influence: Floats, cluster: NDArray[Any]) -> tuple[float, int]:
    """Of a mean with these terms; infinite for a single cluster. And the number of clusters."""
    sums = _cluster_sums(influence, cluster)
    clusters = len(sums)
    if clusters < 2:
        return float("inf"), clusters
    return float(np.sqrt(clusters / (clusters - 1) * np.sum(sums**2)) / len(influence)), clusters


def _cluster_sums(influence: Floats, cluster: NDArray[Any]) -> Floats:
    _, place = np.unique(cluster, return_inverse=True)
    return np.bincount(place, weights=influence).astype(np.float64)


def _moved(quantile: float, skew: float) -> float:
    """The quantile of a mean in standard errors, given its terms' skewness over the root of their number."""
    if abs(skew) < 1e-6:
        return quantile
    return float(3 / skew * (np.cbrt(1 + skew * (quantile - skew / 6)) - 1))


def _mean(terms: Floats) -> Estimate:
    value = float(terms.mean())
    return Estimate(value, terms - value)


def _ratio(base: Floats, terms: Floats, weight: Floats) -> Estimate:
    """``mean(base) + sum(weight * terms) / sum(weight)``, with its linearised influence."""
    mean = float(weight.mean())
    if mean <= 0:
        raise DataError(
            "The policy to judge never takes an action that was drawn.",
            where="off-policy evaluation",
            fix="Judge a policy whose actions the logged one tried, or run a randomised pilot first.",
        )
    of_base, of_terms = float(base.mean()), float(np.mean(weight * terms)) / mean
    return Estimate(of_base + of_terms, base - of_base + weight * (terms - of_terms) / mean)


def _require(holds: bool, what: str, fix: str) -> None:
    if not holds:
        raise DataError(f"The logged decisions cannot be judged: {what}.", where="off-policy evaluation", fix=fix)
