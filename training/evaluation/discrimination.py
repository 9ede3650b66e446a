"""Does the score put those who leave before those who stay?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, rankdata
from sklearn.metrics import average_precision_score, roc_auc_score

from kernel.artefacts import Floats


def ranking_metrics(score: Floats, happened: Floats) -> dict[str, float]:
    """Area under the ROC curve, average precision, lift at 5, 10 and 20 %; higher scores are expected to happen.

    Returns nothing where only one outcome occurred: no ranking can be judged then.
    """
    if happened.min() == happened.max():
        return {}
    return {
        "auc": float(roc_auc_score(happened, score)),
        "average_precision": float(average_precision_score(happened, score)),
        "lift_top_twentieth": lift(score, happened, 0.05),
        "lift_top_tenth": lift(score, happened, 0.1),
        "lift_top_fifth": lift(score, happened, 0.2),
    }


def lift(score: Floats, happened: Floats, share: float) -> float:
    """Rate of the outcome among the ``share`` with the highest scores, over the rate among all."""
    chosen = np.argsort(-score, kind="stable")[: max(1, round(share * len(score)))]
    return float(happened[chosen].mean() / happened.mean())


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with the bounds that hold it with the given confidence."""

    estimate: float
    low: float
    high: float
    confidence: float


def auc_interval(score: Floats, happened: Floats, confidence: float = 0.95) -> Interval | None:
    """Area under the ROC curve with DeLong's interval (DeLong et al. 1988, by midranks as in Sun and Xu 2014).

    Returns None where no interval can be told: fewer than two of an outcome, or outcomes separated without error.
    """
    if _rarest(happened) < 2:
        return None
    left, stayed = _placements(score, happened)
    return _normal_interval(float(left.mean()), _variance(left, stayed), confidence, lowest=0.0)


def auc_difference(score: Floats, other: Floats, happened: Floats, confidence: float = 0.95) -> Interval | None:
    """By how much the AUC of ``score`` lies above that of ``other`` on the same customers, with DeLong's interval.

    Returns None where no interval can be told: fewer than two of an outcome, or two scores of the same order.
    """
    if _rarest(happened) < 2:
        return None
    left, stayed = _placements(score, happened)
    other_left, other_stayed = _placements(other, happened)
    variance = _variance(left - other_left, stayed - other_stayed)
    return _normal_interval(float((left - other_left).mean()), variance, confidence, lowest=-1.0)


def gains_curve(score: Floats, happened: Floats) -> tuple[Floats, Floats]:
    """Share of customers taken, highest scores first, and share of the outcomes found among them; both rise from 0 to
    1 with a point per distinct score, so that the line between two points is what ties in random order give.

    Raises:
        ValueError: nothing happened, so there is nothing to find.
    """
    if not happened.any():
        raise ValueError("A gains curve needs at least one outcome.")
    order = np.argsort(-score, kind="stable")
    ordered = score[order]
    last_of_score = np.append(ordered[1:] != ordered[:-1], True)
    taken = np.arange(1, len(score) + 1)[last_of_score] / len(score)
    found = np.cumsum(happened[order])[last_of_score] / happened.sum()
    return np.append(0.0, taken), np.append(0.0, found)


def found_in_top(score: Floats, happened: Floats, customers: int) -> float:
    """Number of outcomes expected among the ``customers`` with the highest scores; ties stand in random order."""
    if not happened.any():
        return 0.0
    return float(np.interp(customers / len(score), *gains_curve(score, happened)) * happened.sum())


def _rarest(happened: Floats) -> int:
    return int(min(happened.sum(), len(happened) - happened.sum()))


def _placements(score: Floats, happened: Floats) -> tuple[Floats, Floats]:
    # For each customer the share of the other outcome that it is ordered rightly against, ties counting half.
    ranks, left = rankdata(score), happened > 0
    among_left, among_stayed = rankdata(score[left]), rankdata(score[~left])
    return (
        (ranks[left] - among_left) / np.sum(~left),
        1 - (ranks[~left] - among_stayed) / np.sum(left),
    )


def _variance(left: Floats, stayed: Floats) -> float:
    return float(left.var(ddof=1) / len(left) + stayed.var(ddof=1) / len(stayed))


def _normal_interval(estimate: float, variance: float, confidence: float, lowest: float) -> Interval | None:
    if variance < np.finfo(float).eps:
        return None
    half = float(norm.ppf((1 + confidence) / 2)) * variance**0.5
    return Interval(estimate, max(estimate - half, lowest), min(estimate + half, 1.0), confidence)
