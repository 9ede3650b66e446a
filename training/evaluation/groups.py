"""Intervals of the churn rate among similar customers, as wide as what came to be strayed from what was predicted."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernel.artefacts import Floats, GroupInterval

CONFIDENCE = 0.9
CUSTOMERS = 100
_FEWEST_GROUPS = 10


def group_interval(prediction: Floats, happened: Floats, cutoff: NDArray[np.datetime64]) -> GroupInterval:
    """Conformal interval of the rate among 100 similar customers (split conformal: Vovk et al. 2005).

    The rows of each cut-off are put into groups of 100 neighbours by prediction; how far the rates of nine in ten
    groups lay from their prediction is the width. What it holds therefore is the chance of 100 outcomes, what the
    model misses, and how much the times between cut-offs differ.

    Args:
        prediction: of customers that the model did not see, shape (rows,).
        happened: 1.0 or 0.0, shape (rows,).
        cutoff: of each row; groups are made within one.
    """
    size = int(np.clip(len(prediction) // _FEWEST_GROUPS, 1, CUSTOMERS))
    strayed = _strayed(prediction, happened, cutoff, size)
    # The usual correction of a quantile for n values, so that it also holds for the next one.
    share = min(CONFIDENCE * (1 + 1 / len(strayed)), 1.0)
    # Smaller groups stray further, by the root of their size.
    width = float(np.quantile(strayed, share)) * (size / CUSTOMERS) ** 0.5
    return GroupInterval(
        method="split conformal over groups of similar customers, out of customer",
        confidence=CONFIDENCE,
        customers=CUSTOMERS,
        half_width=width,
        groups=len(strayed),
    )


def coverage(prediction: Floats, happened: Floats, interval: GroupInterval) -> Floats:
    """Whether the rate of each group of similar customers at one cut-off lies in its interval, by rising prediction.

    Returns:
        1.0 or 0.0, shape (groups,); empty where there are fewer customers than one group takes.
    """
    groups = _groups(prediction, interval.customers)
    if len(prediction) < interval.customers:
        return np.empty(0)
    low, high = interval.bounds(np.array([prediction[rows].mean() for rows in groups]))
    rates = np.array([happened[rows].mean() for rows in groups])
    return ((rates >= low) & (rates <= high)).astype(float)


def _strayed(prediction: Floats, happened: Floats, cutoff: NDArray[np.datetime64], size: int) -> Floats:
    found: list[float] = []
    for moment in np.unique(cutoff):
        here = cutoff == moment
        for rows in _groups(prediction[here], size):
            rate, mean = happened[here][rows].mean(), prediction[here][rows].mean()
            found.append(abs(float(np.arcsin(np.sqrt(rate)) - np.arcsin(np.sqrt(mean)))))
    return np.array(found)


def _groups(prediction: Floats, size: int) -> list[NDArray[np.intp]]:
    return np.array_split(np.argsort(prediction, kind="stable"), max(1, round(len(prediction) / size)))
