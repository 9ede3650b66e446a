"""The gate a challenger must pass before it answers customers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy.stats import norm
from sklearn.metrics import roc_auc_score

from kernel.part import Floats
from training.evaluation.discrimination import Interval, auc_difference

Kind = Literal["churn", "value"]
CONFIDENCE = 0.9

# A challenger may be worse by chance, but not by so much: in ranking by .02 of the AUC, in the squared error of
# probabilities and in the error of spend by three parts in a hundred.
AUC_TOLERANCE = 0.02
ERROR_TOLERANCE = 0.03
_LABELS = {"auc": "AUC", "brier": "Brier score", "mae": "mean absolute error"}


@dataclass(frozen=True, slots=True)
class Gain:
    """By how much the challenger is better in one figure, on customers whom both predict; with a 90 % interval.

    Attributes:
        metric: ``auc``, ``brier`` or ``mae``.
        challenger, champion: the figure of each.
        gain: above 0 where the challenger is better, in the figure's own unit.
        tolerance: how much worse is still no worse.
    """

    metric: str
    challenger: float
    champion: float
    gain: Interval
    tolerance: float

    @property
    def is_not_worse(self) -> bool:
        """Whether it is sure, at 95 % to one side, that the challenger is not worse by more than the tolerance."""
        return self.gain.low >= -self.tolerance

    def __str__(self) -> str:
        return (
            f"{_LABELS[self.metric]} {self.challenger:.4g} against the champion's {self.champion:.4g} "
            f"({self.gain.estimate:+.3g}, 90 % interval {self.gain.low:+.3g} to {self.gain.high:+.3g}; "
            f"{-self.tolerance:+.2g} is let pass)"
        )


@dataclass(frozen=True, slots=True)
class Verdict:
    """Whether the challenger becomes champion, and why, as a sentence; ``gains`` are empty where there was nothing to
    compare with."""

    promote: bool
    reason: str
    gains: tuple[Gain, ...] = ()


def judge(gains: tuple[Gain, ...], note: str = "") -> Verdict:
    """The challenger is promoted unless it may be worse in one of the figures.

    Args:
        note: what a reader must know of the comparison.
    """
    failed = [gain for gain in gains if not gain.is_not_worse]
    said = "; ".join(map(str, failed or gains))
    return Verdict(not failed, f"{said}{note}", gains)


def churn_gains(challenger: Floats, champion: Floats, churned: Floats) -> tuple[Gain, ...]:
    """Ranking and probabilities of both on the same customers.

    Args:
        challenger, champion: probabilities, shape (customers,).
        churned: 1.0 or 0.0, shape (customers,).
    """
    if churned.min() == churned.max():
        return (_error_gain("brier", (challenger - churned) ** 2, (champion - churned) ** 2),)
    auc, before = float(roc_auc_score(churned, challenger)), float(roc_auc_score(churned, champion))
    # None: the two rank alike, and there is nothing to be unsure of.
    gain = auc_difference(challenger, champion, churned, CONFIDENCE) or Interval(auc - before, 0.0, 0.0, CONFIDENCE)
    return (
        Gain("auc", auc, before, gain, AUC_TOLERANCE),
        _error_gain("brier", (challenger - churned) ** 2, (champion - churned) ** 2),
    )


def value_gains(challenger: Floats, champion: Floats, spend: Floats) -> tuple[Gain, ...]:
    """Errors of expected spend of both on the same customers, each shape (customers,)."""
    return (_error_gain("mae", np.abs(challenger - spend), np.abs(champion - spend)),)


def _error_gain(metric: str, challenger: Floats, champion: Floats) -> Gain:
    gains = champion - challenger
    half = float(norm.ppf((1 + CONFIDENCE) / 2)) * float(gains.std(ddof=1)) / len(gains) ** 0.5
    mean = float(gains.mean())
    before = float(champion.mean())
    interval = Interval(mean, mean - half, mean + half, CONFIDENCE)
    return Gain(metric, float(challenger.mean()), before, interval, ERROR_TOLERANCE * before)
