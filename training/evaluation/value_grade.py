"""A grade of lifetime value by the rule that Dynamics 365 Customer Insights publishes, and how sure it is.

The truly high-value customers are the top share by what they spent, the model's the same share by what it expected.
A: the model catches at least 5 % more of the true ones than the baseline does. B: up to 5 % more. C: fewer.
Who spent nothing is never of high value, even where the top share would reach down to them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kernel.artefacts import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.grade import REPLICATES, resampled_interval, sureness

BETTER = 0.05
FEWEST_HIGH_VALUE = 10
Counts = NDArray[np.int64]
Order = NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class ValueGrade:
    """A grade and what it rests on.

    Attributes:
        letter: A, B or C.
        high_value: number of truly high-value customers.
        found: share of them that is among the model's own, in [0, 1].
        baseline_found: share of them that is among the baseline's.
        advantage: found / baseline_found - 1, with an interval from resampled customers.
        sureness: each letter -> share of the resampled customers that earn it; they sum to 1.
    """

    letter: str
    high_value: int
    found: float
    baseline_found: float
    advantage: Interval
    sureness: Mapping[str, float]


def grade_value(expected: Floats, spend: Floats, baseline: Floats, *, share: float, seed: int = 0) -> ValueGrade | None:
    """Grade a model; of equal values the first count as the higher ones.

    Args:
        expected: the model's expected spend of each customer, shape (customers,); only its order counts.
        spend: what they did spend, net of returns, shape (customers,).
        baseline: the baseline's expected spend, shape (customers,); only its order counts.
        share: of all customers that are called high-value, in (0, 1).

    Returns:
        None where nobody spent anything, or fewer than 10 customers are of high value.
    """
    customers = _Customers(_falling(spend), _falling(expected), _falling(baseline), spend > 0, share)
    judged = customers.judged(np.ones(len(spend), dtype=np.int64))
    if judged.high_value < FEWEST_HIGH_VALUE:
        return None
    again = _resampled(customers, len(spend), seed)
    return ValueGrade(
        judged.letter,
        judged.high_value,
        judged.caught / judged.high_value,
        judged.baseline_caught / judged.high_value,
        resampled_interval(judged.advantage, [one.advantage for one in again]),
        sureness([one.letter for one in again]),
    )


@dataclass(frozen=True, slots=True)
class _Judged:
    high_value: int
    caught: int
    baseline_caught: int

    @property
    def advantage(self) -> float:
        return self.caught / self.baseline_caught - 1 if self.baseline_caught else float(self.caught > 0)

    @property
    def letter(self) -> str:
        # Nobody caught is no merit, even where the baseline catches nobody either.
        if self.advantage < 0 or not self.caught:
            return "C"
        return "A" if self.advantage >= BETTER else "B"


@dataclass(frozen=True, slots=True)
class _Customers:
    """The places of the customers by falling spend, expected spend and baseline, and who spent anything."""

    by_spend: Order
    by_model: Order
    by_baseline: Order
    spent: NDArray[np.bool_]
    share: float

    def judged(self, times: Counts) -> _Judged:
        """Everything once, each customer ``times`` times, shape (customers,)."""
        true = self._top(self.by_spend, times) * self.spent
        # The copies of one customer stand beside each other in each order, so both tops hold the first of them.
        model, baseline = (np.minimum(true, self._top(order, times)) for order in (self.by_model, self.by_baseline))
        return _Judged(int(true.sum()), int(model.sum()), int(baseline.sum()))

    def _top(self, order: Order, times: Counts) -> Counts:
        """How many copies of each customer are among the first ``share`` of all, shape (customers,)."""
        ordered = times[order]
        total = np.cumsum(ordered)
        top = np.empty_like(times)
        top[order] = np.clip(round(self.share * int(total[-1])) - (total - ordered), 0, ordered)
        return top


def _falling(values: Floats) -> Order:
    return np.argsort(-values, kind="stable")


def _resampled(customers: _Customers, size: int, seed: int) -> list[_Judged]:
    """The same of as many customers drawn with replacement, again and again; without those of no high value."""
    random = np.random.default_rng(seed)
    draws = (random.integers(size, size=size) for _ in range(REPLICATES))
    again = (customers.judged(np.bincount(drawn, minlength=size)) for drawn in draws)
    return [one for one in again if one.high_value]
