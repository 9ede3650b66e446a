"""What a model has seen: a profile that lies outside it gets no number of its own."""

from __future__ import annotations

import math
from functools import cached_property

import numpy as np

from kernel.part import Floats, Part

_BEYOND = 0.5
"""Of the range that was seen: so far beyond it an input is still taken for the same kind."""
_TAIL = 0.001
_MOST = 0.1
"""Of the inputs may lie outside, at least: those that grow with the calendar do, of every customer."""


class TrainedRange(Part):
    """The range of each input among the rows of training.

    Attributes:
        low, high: bounds of a number; None where there are none, as of a word.
        needed: whether no row of training lacked the input.
        most_outside: the share of inputs outside their bounds, or lacking though needed, that a profile may have.
    """

    low: tuple[float | None, ...]
    high: tuple[float | None, ...]
    needed: tuple[bool, ...]
    most_outside: float

    def is_outside(self, inputs: Floats) -> np.ndarray:
        """Whether each profile lies outside what was trained on, bool, shape (rows,)."""
        return self.outside_share(inputs) > self.most_outside

    def outside_share(self, inputs: Floats) -> Floats:
        """The share of inputs outside their bounds, or lacking though needed, shape (rows,)."""
        low, high, needed = self._bounds
        with np.errstate(invalid="ignore"):
            outside = (inputs < low) | (inputs > high) | (np.isnan(inputs) & needed)
        return outside.mean(axis=1)

    @cached_property
    def _bounds(self) -> tuple[Floats, Floats, np.ndarray]:
        low = np.array([-math.inf if bound is None else bound for bound in self.low])
        high = np.array([math.inf if bound is None else bound for bound in self.high])
        return low, high, np.array(self.needed)


def trained_range(inputs: Floats, is_word: np.ndarray) -> TrainedRange:
    """The range of the rows of training.

    Args:
        inputs: shape (rows, columns), NaN where unknown.
        is_word: whether each column holds positions of words, shape (columns,).
    """
    unknown = np.isnan(inputs)
    bounds = [_bounds(inputs[~unknown[:, i], i]) if not is_word[i] else (None, None) for i in range(inputs.shape[1])]
    low, high = zip(*bounds, strict=True)
    seen = TrainedRange(
        low=low,
        high=high,
        needed=tuple(bool(unknown[:, i].sum() == 0) for i in range(inputs.shape[1])),
        most_outside=1.0,
    )
    usual = float(np.quantile(seen.outside_share(inputs), 1 - _TAIL))
    return TrainedRange(low=low, high=high, needed=seen.needed, most_outside=max(_MOST, 2 * usual))


def _bounds(values: Floats) -> tuple[float | None, float | None]:
    if not len(values):
        return None, None
    low, high = np.quantile(values, [_TAIL, 1 - _TAIL])
    slack = _BEYOND * (high - low)
    return float(low - slack), float(high + slack)
