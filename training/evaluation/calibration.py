"""Does a probability of 20 % come true one time in five?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import norm

from kernel.artefacts import Floats

BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Customers with similar probabilities: how many, what was predicted, what came, and the 95 % bounds of the rate
    that may lie behind it (Wilson 1927)."""

    customers: int
    predicted: float
    observed: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class BrierParts:
    """The Brier score over the bins of :func:`reliability` = reliability - resolution + uncertainty (Murphy 1973), up
    to what differs within a bin: the distance of predicted from observed rates (lower is better), how far these lie
    from the base rate (higher is better), and what the base rate alone would leave."""

    reliability: float
    resolution: float
    uncertainty: float


def calibration_metrics(probability: Floats, happened: Floats) -> dict[str, float]:
    """Expected calibration error over ten equal-width bins (Naeini et al. 2015), Brier score, and both means."""
    return {
        "ece": expected_calibration_error(probability, happened),
        "brier": float(np.mean((probability - happened) ** 2)),
        "mean_prediction": float(probability.mean()),
        "base_rate": float(happened.mean()),
    }


def brier_parts(probability: Floats, happened: Floats) -> BrierParts:
    """The Brier score taken apart."""
    bins, rate = reliability(probability, happened), float(happened.mean())
    share = np.array([one.customers for one in bins]) / len(happened)
    observed = np.array([one.observed for one in bins])
    predicted = np.array([one.predicted for one in bins])
    return BrierParts(
        float(share @ (predicted - observed) ** 2), float(share @ (observed - rate) ** 2), rate * (1 - rate)
    )


def expected_calibration_error(probability: Floats, happened: Floats) -> float:
    """Mean distance of predicted and observed rate over ten equal-width bins, weighted by customers."""
    bins = np.minimum((probability * BINS).astype(int), BINS - 1)
    gaps = [
        np.sum(bins == k) * abs(probability[bins == k].mean() - happened[bins == k].mean())
        for k in range(BINS)
        if np.any(bins == k)
    ]
    return float(sum(gaps) / len(probability))


def reliability(probability: Floats, happened: Floats) -> list[ReliabilityBin]:
    """Ten bins with equally many customers each, probabilities rising."""
    parts = np.array_split(np.argsort(probability, kind="stable"), BINS)
    return [
        ReliabilityBin(
            len(part), float(probability[part].mean()), rate := float(happened[part].mean()), *wilson(rate, len(part))
        )
        for part in parts
        if len(part)
    ]


def wilson(rate: float, n: float, confidence: float = 0.95) -> tuple[float, float]:
    """Bounds of the rate behind an observed one of ``n`` independent outcomes (Wilson 1927)."""
    z = float(norm.ppf((1 + confidence) / 2))
    centre = (rate + z**2 / (2 * n)) / (1 + z**2 / n)
    half = z * np.sqrt(rate * (1 - rate) / n + z**2 / (4 * n**2)) / (1 + z**2 / n)
    return max(float(centre - half), 0.0), min(float(centre + half), 1.0)
