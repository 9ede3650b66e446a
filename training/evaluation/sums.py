"""How far the actual total of a segment lies from the expected one."""

from __future__ import annotations

import numpy as np

from kernel.artefacts import Floats, SumSpread
from training.evaluation.similar import CONFIDENCE

LEVEL = 0.035
"""By how much the level of all is off beside what two estimates of it disagree: see docs/adr/0014-lifetime-value.md."""
_GROUPS = 20
_FEWEST = 10 * _GROUPS


def sum_spread(expected: Floats, actual: Floats, doubt: float) -> SumSpread:
    """The variance of one customer's spend as a power of the expectation (Taylor 1961), and the level's.

    Args:
        expected, actual: spend of customers that the model had not seen, shape (rows,).
        doubt: standard deviation of the level, as far as two estimates of it disagree.
    """
    scale, power = _variance(expected, actual) if len(expected) >= _FEWEST else (0.0, 1.0)
    return SumSpread(
        method="variance as a power of the expectation, out of customer, and the doubt of the level",
        confidence=CONFIDENCE,
        scale=scale,
        power=power,
        level=float(np.hypot(LEVEL, doubt)),
    )


def _variance(expected: Floats, actual: Floats) -> tuple[float, float]:
    groups = np.array_split(np.argsort(expected, kind="stable"), _GROUPS)
    mean = np.array([expected[group].mean() for group in groups])
    squared = np.array([((actual[group] - expected[group]) ** 2).mean() for group in groups])
    usable = squared > 0
    if usable.sum() < 2 or np.ptp(mean[usable]) == 0:
        return float(squared.mean() / mean.mean()), 1.0
    power = float(np.clip(np.polyfit(np.log(mean[usable]), np.log(squared[usable]), 1)[0], 1.0, 2.0))
    # The largest expectations make the total: the scale is that of all squared errors together.
    return float(((actual - expected) ** 2).sum() / (expected**power).sum()), power
