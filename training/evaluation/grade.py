"""A grade from A to C by the rules that Dynamics 365 Customer Insights publishes, and how sure it is.

A: right on at least half of all customers, and right about those who left at least 10 % more often than the baseline.
B: the same, but less than 10 % more often. C: otherwise. A model that flags more customers finds more of those who
leave; so that neither wins by that, the model flags as many customers as the baseline does, those at its highest risk.
Where the baseline is no rule but the churn rate, there is no such number: the model's own decisions count, those of a
probability of at least one half, and the baseline finds of those who left the share that the rate is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.artefacts import Floats
from training.evaluation.discrimination import Interval

GRADES = ("A", "B", "C")
BETTER = 0.1
REPLICATES = 1000
CONFIDENCE = 0.9
MONTH_DAYS = 31
_CHURNS = 0.5
Flags = NDArray[np.bool_]


@dataclass(frozen=True, slots=True)
class Grade:
    """A grade and what it rests on.

    Attributes:
        letter: A, B or C.
        right: share of all customers that the model's flags are right about, in [0, 1].
        found: share of those who left that the model flags.
        baseline: the rule it is compared with, in words.
        baseline_found: share of those who left that the rule flags.
        advantage: found / baseline_found - 1, with an interval from resampled customers.
        sureness: each letter -> share of the resampled customers that earn it; they sum to 1.
    """

    letter: str
    right: float
    found: float
    baseline: str
    baseline_found: float
    advantage: Interval
    sureness: Mapping[str, float]


def recency_rules(days_since: Floats, horizon_days: int) -> dict[str, Flags]:
    """The baselines of transaction churn: the horizon halved until it is at most a month; "no purchase in that time".

    Args:
        days_since: days since the last purchase, shape (customers,).
    """
    rules: dict[str, Flags] = {}
    days = float(horizon_days)
    while True:
        rules[f"no purchase in the last {days:.0f} days"] = days_since > days
        if days <= MONTH_DAYS:
            return rules
        days /= 2


def grade_churn(
    probability: Floats, happened: Floats, customers: pd.Index, rules: Mapping[str, Flags], *, seed: int = 0
) -> Grade | None:
    """Grade a model.

    Args:
        probability: shape (rows,); only its order counts.
        happened: 1.0 or 0.0, shape (rows,).
        customers: of each row; rows of one customer are resampled together.
        rules: whom each baseline flags; the best of them counts, by the mean of the shares of those who left and of
            those who stayed that it is right about. Without any, the baseline is the churn rate.

    Returns:
        None where only one outcome occurred.
    """
    if happened.min() == happened.max():
        return None
    useful = {name: flags for name, flags in rules.items() if flags.any() and not flags.all()}
    order = np.argsort(-probability, kind="stable")
    rows = _Rows(
        happened[order] > 0, {name: flags[order] for name, flags in useful.items()}, probability[order] >= _CHURNS
    )
    judged = rows.judged(np.ones(len(order)))
    codes = pd.factorize(customers)[0][order]
    random = np.random.default_rng(seed)
    again: list[_Judged] = []
    for _ in range(REPLICATES):
        times = np.bincount(random.integers(codes.max() + 1, size=codes.max() + 1), minlength=codes.max() + 1)
        found = rows.judged(times[codes].astype("float64"))
        if found is not None:
            again.append(found)
    if judged is None or not again:
        return None
    return Grade(
        judged.letter,
        judged.right,
        judged.found,
        judged.baseline,
        judged.baseline_found,
        resampled_interval(judged.advantage, [one.advantage for one in again]),
        sureness([one.letter for one in again]),
    )


def resampled_interval(estimate: float, again: Sequence[float]) -> Interval:
    """A figure, and where it lies among resampled customers."""
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(again, [tail, 1 - tail])
    return Interval(estimate, float(low), float(high), CONFIDENCE)


def sureness(letters: Sequence[str]) -> dict[str, float]:
    """Each letter -> the share of the resampled customers that earn it."""
    return {letter: letters.count(letter) / len(letters) for letter in GRADES}


@dataclass(frozen=True, slots=True)
class _Judged:
    right: float
    found: float
    baseline: str
    baseline_found: float

    @property
    def advantage(self) -> float:
        return self.found / self.baseline_found - 1 if self.baseline_found > 0 else float(self.found > 0)

    @property
    def letter(self) -> str:
        if self.right < 0.5 or self.advantage <= 0:
            return "C"
        return "A" if self.advantage >= BETTER else "B"


@dataclass(frozen=True, slots=True)
class _Rows:
    """Rows by falling risk: who left, whom each rule flags, whom the model itself calls a churner."""

    left: Flags
    rules: Mapping[str, Flags]
    called: Flags

    def judged(self, weight: Floats) -> _Judged | None:
        """Everything once, each row ``weight`` times; None where one outcome does not occur then."""
        leavers, total = float(weight[self.left].sum()), float(weight.sum())
        if leavers in (0.0, total):
            return None
        name, flagged, caught = self._baseline(weight, leavers, total)
        # The row at the edge is flagged in part, so that both flag exactly as many.
        part = np.clip(flagged - (np.cumsum(weight) - weight), 0, weight)
        found = float(part[self.left].sum())
        right = found + (total - leavers) - (flagged - found)
        return _Judged(right / total, found / leavers, name, caught / leavers)

    def _baseline(self, weight: Floats, leavers: float, total: float) -> tuple[str, float, float]:
        """Name, number flagged and number of leavers caught of the best rule."""
        if not self.rules:
            return "the churn rate", float(weight[self.called].sum()), leavers * leavers / total
        best = max(self.rules, key=lambda name: self._balanced(self.rules[name], weight, leavers, total))
        flags = self.rules[best]
        return best, float(weight[flags].sum()), float(weight[flags & self.left].sum())

    def _balanced(self, flags: Flags, weight: Floats, leavers: float, total: float) -> float:
        flagged, caught = float(weight[flags].sum()), float(weight[flags & self.left].sum())
        return caught / leavers + 1 - (flagged - caught) / (total - leavers)
