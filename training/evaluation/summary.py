"""Back-tests at several dates in a few rows: each model and baseline with its mean figures."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from training.backtest import BacktestResult

BASELINES = frozenset(
    {"logistic_regression", "p_alive", "recency_rule", "carry_forward", "formula", "rfm_cells", "cohort_curve"}
)
Subject = Literal["churn", "value"]


@dataclass(frozen=True, slots=True)
class SummaryRow:
    """One model or baseline over all dates.

    Attributes:
        subject: ``churn`` or ``value``.
        name: as in :class:`~training.backtest.BacktestResult`.
        dates: number of back-tests.
        means: mean of each figure over the dates that have it; money in the project's currency.
    """

    subject: Subject
    name: str
    dates: int
    means: dict[str, float]

    @property
    def is_baseline(self) -> bool:
        """Whether this is what a user would do without the model."""
        return self.name in BASELINES


def summary_rows(results: Sequence[BacktestResult]) -> list[SummaryRow]:
    """A row per model and baseline, churn before value, in the order of the back-test; empty without results."""
    return [*_rows("churn", results), *_rows("value", results)]


def _rows(subject: Subject, results: Sequence[BacktestResult]) -> list[SummaryRow]:
    tables = [result.churn if subject == "churn" else result.value for result in results]
    names = dict.fromkeys(name for table in tables for name in table)
    return [
        SummaryRow(subject, name, len(results), _means([table[name] for table in tables if name in table]))
        for name in names
    ]


def _means(parts: list[dict[str, float]]) -> dict[str, float]:
    metrics = dict.fromkeys(metric for part in parts for metric in part)
    known = {
        metric: [part[metric] for part in parts if metric in part and math.isfinite(part[metric])] for metric in metrics
    }
    return {metric: fmean(figures) for metric, figures in known.items() if figures}
