"""Does a probability of 20 % come true one time in five?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernel.artefacts import Floats

BINS = 10


@dataclass(frozen=True, slots=True)
class ReliabilityBin:
    """Customers with similar probabilities: how many, what was predicted, what came."""

    customers: int
    predicted: float
    observed: float


def calibration_metrics(probability: Floats, happened: Floats) -> dict[str, float]:
    """Expected calibration error over ten equal-width bins (Naeini et al. 2015), Brier score, and both means."""
    return {
        "ece": expected_calibration_error(probability, happened),
        "brier": float(np.mean((probability - happened) ** 2)),
        "mean_prediction": float(probability.mean()),
        "base_rate": float(happened.mean()),
    }


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
        ReliabilityBin(len(part), float(probability[part].mean()), float(happened[part].mean()))
        for part in parts
        if len(part)
    ]
