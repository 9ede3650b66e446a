"""A straight line in the inputs' logarithms: a part of a model whose every input has its own, exact effect."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kernel.part import Floats, Part

FURTHEST = 4.0
"""Standard deviations from the mean beyond which an input counts no further: nobody has seen how it goes on there."""


class LinearPart(Part):
    """Log-odds = ``intercept`` + an effect of each input; every tuple has a value per model column.

    Attributes:
        mean, deviation: of sign(x) log(1 + abs(x)) among the rows of training that have the input.
        weight: effect of one standard deviation.
        known, missing: what is added where the input is known, and the whole effect where it is not.
        words: effects of the categories, in their order; empty for a number.
    """

    intercept: float
    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    weight: tuple[float, ...]
    known: tuple[float, ...]
    missing: tuple[float, ...]
    words: tuple[tuple[float, ...], ...]

    def effects(self, inputs: Floats) -> Floats:
        """The effect of each input on the log-odds, shape (rows, columns); over the rows of training they average 0."""
        mean, deviation, weight, known, missing = self._numbers
        found = standardised(inputs, mean, deviation) * weight + known
        for i, effects in self._words.items():
            there = ~np.isnan(inputs[:, i])
            found[there, i] = effects[inputs[there, i].astype(int)]
        return np.where(np.isnan(inputs), missing, found)

    def log_odds(self, inputs: Floats, effects: Floats | None = None) -> Floats:
        """Shape (rows,); ``effects``: of the inputs, where they are known already."""
        return (self.effects(inputs) if effects is None else effects).sum(axis=1) + self.intercept

    # As arrays, once: for a single customer, making them costs more than using them.
    @cached_property
    def _numbers(self) -> Floats:
        return np.array([self.mean, self.deviation, self.weight, self.known, self.missing])

    @cached_property
    def _words(self) -> dict[int, Floats]:
        return {i: np.array(effects) for i, effects in enumerate(self.words) if effects}


def standardised(inputs: Floats, mean: Floats, deviation: Floats) -> Floats:
    """Signed logarithms of the inputs in standard deviations from their mean, within ``FURTHEST``; NaN stays NaN."""
    return np.clip((signed_log(inputs) - mean) / deviation, -FURTHEST, FURTHEST)


def signed_log(inputs: Floats) -> Floats:
    """sign(x) log(1 + abs(x)): counts and money are skewed, and may be negative."""
    return np.copysign(np.log1p(np.abs(inputs)), inputs)
