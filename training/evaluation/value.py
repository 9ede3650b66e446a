"""How far is the expected spend from the actual one, for a customer, for the order of customers, for the total?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm, spearmanr

from kernel.artefacts import Floats
from training.evaluation.discrimination import gains_curve

DECILES = 10


@dataclass(frozen=True, slots=True)
class DecileBin:
    """Customers with similar expected spend: how many, the mean of what was expected, the mean of what came, and the
    95 % bounds of the latter (normal approximation; NaN for one customer). All but the number in currency."""

    customers: int
    expected: float
    actual: float
    low: float
    high: float


def value_metrics(expected: Floats, actual: Floats) -> dict[str, float]:
    """Mean absolute error (currency), Spearman correlation, normalised Gini, and total expected over total actual."""
    total = float(actual.sum())
    return {
        "mae": float(np.mean(np.abs(expected - actual))),
        "spearman": _rank_correlation(expected, actual),
        "gini": gini(expected, actual) / gini(actual, actual),
        "total_ratio": float(expected.sum()) / total if total else float("nan"),
    }


def _rank_correlation(expected: Floats, actual: Floats) -> float:
    if np.ptp(expected) == 0 or np.ptp(actual) == 0:
        return float("nan")
    return float(np.asarray(spearmanr(expected, actual))[0])


def gini(order_by: Floats, actual: Floats) -> float:
    """Gini of the actual spend when customers stand in the order of ``order_by``, highest first; ties share alike."""
    _, place, count = np.unique(order_by, return_inverse=True, return_counts=True)
    shared = (np.bincount(place, weights=actual) / count)[place]
    ordered = shared[np.argsort(-order_by, kind="stable")]
    share = np.cumsum(ordered) / ordered.sum()
    return float(share.sum() / len(ordered) - (len(ordered) + 1) / (2 * len(ordered)))


def deciles(expected: Floats, actual: Floats) -> list[DecileBin]:
    """Ten groups with equally many customers each, expected spend falling; fewer groups of fewer than ten customers."""
    parts = np.array_split(np.argsort(-expected, kind="stable"), DECILES)
    return [
        DecileBin(len(part), float(expected[part].mean()), float(actual[part].mean()), *_mean_bounds(actual[part]))
        for part in parts
        if len(part)
    ]


def lorenz(order_by: Floats, actual: Floats) -> tuple[Floats, Floats]:
    """Share of customers taken, highest ``order_by`` first, and share of the total actual spend that is theirs.

    Both go from 0 to 1 with a point per distinct ``order_by``, as in :func:`gains_curve`. Where some returned more than
    they bought, the second can lie above 1 before the end. Where the total is not positive there are no shares of it:
    two points, whose spend is NaN.
    """
    if actual.sum() <= 0:
        return np.array([0.0, 1.0]), np.full(2, np.nan)
    return gains_curve(order_by, actual)


def _mean_bounds(values: Floats, confidence: float = 0.95) -> tuple[float, float]:
    if len(values) < 2:
        return float("nan"), float("nan")
    half = float(norm.ppf((1 + confidence) / 2) * values.std(ddof=1) / len(values) ** 0.5)
    return float(values.mean()) - half, float(values.mean()) + half
