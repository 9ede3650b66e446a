"""Whether the intervals of totals hold the totals of segments."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kernel.part import Floats
from kernel.value_predictor import ValuePredictor

SIZES = (50, 500)
_DRAWS = 400


@dataclass(frozen=True, slots=True)
class SegmentCoverage:
    """Share of segments whose actual total lay in its interval, by number of customers.

    Attributes:
        random: customers drawn by chance.
        alike: customers with similar expectations, as in a segment of the best.
    """

    random: dict[int, float]
    alike: dict[int, float]


def segment_coverage(model: ValuePredictor, expected: Floats, spend: Floats, *, seed: int = 0) -> SegmentCoverage:
    """Look at segments of each size; sizes beyond the customers are left out.

    Args:
        expected, spend: of customers whom the model had not seen, shape (customers,).
    """
    sizes = [size for size in SIZES if size <= len(expected)]
    random, order = np.random.default_rng(seed), np.argsort(expected, kind="stable")

    def held(rows: np.ndarray) -> bool:
        total = model.total(expected[rows])
        return total.low <= spend[rows].sum() <= total.high

    def by_chance(size: int) -> float:
        draws = (random.choice(len(expected), size, replace=False) for _ in range(_DRAWS))
        return float(np.mean([held(rows) for rows in draws]))

    def alike(size: int) -> float:
        starts = np.linspace(0, len(expected) - size, 2 * len(expected) // size).astype(int)
        return float(np.mean([held(order[start : start + size]) for start in starts]))

    return SegmentCoverage({size: by_chance(size) for size in sizes}, {size: alike(size) for size in sizes})
