"""The total of many customers: its interval is not the sum of theirs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import gamma

from kernel.artefacts import SumSpread
from kernel.part import Floats


@dataclass(frozen=True, slots=True)
class SegmentValue:
    """Expected total spend of so many customers, and where the actual one lies with ``confidence``."""

    customers: int
    expected: float
    low: float
    high: float
    confidence: float


def segment_value(expected: Floats, spread: SumSpread) -> SegmentValue:
    """What chance leaves open of each customer evens out over many; that the level of all is off does not.

    A gamma distribution of that mean and variance: a total cannot fall as far as it can rise.

    Args:
        expected: spend of each customer of the segment, shape (customers,).
    """
    total = float(expected.sum())
    if total <= 0:
        return SegmentValue(len(expected), total, total, total, spread.confidence)
    variance = spread.scale * float(np.sum(expected**spread.power)) + (spread.level * total) ** 2
    tail = (1 - spread.confidence) / 2
    low, high = gamma.ppf([tail, 1 - tail], total**2 / variance, scale=variance / total)
    return SegmentValue(len(expected), total, float(low), float(high), spread.confidence)
