"""Inputs of a model as the columns that straight lines are fitted on."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from kernel.linear_part import signed_log, standardised
from kernel.part import Floats, Part


class Encoding(Part):
    """Numbers in standard deviations of their signed logarithm, a flag where one is unknown, a flag for each word.

    Attributes:
        mean, deviation: of the signed logarithm of each input, among the rows of training that have it.
        flagged: positions of the inputs that were unknown in some row of training.
        categories: number of words of each input; 0 for a number.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    flagged: tuple[int, ...]
    categories: tuple[int, ...]

    @classmethod
    def of(cls, inputs: Floats, categories: tuple[int, ...]) -> Encoding:
        """Learn it from the inputs of training, shape (rows, inputs); NaN where unknown."""
        unknown = np.isnan(inputs)
        mean, deviation = moments(signed_log(inputs), unknown | (np.array(categories) > 0))
        flagged = tuple(int(i) for i in np.flatnonzero(unknown.any(axis=0)))
        return cls(mean=tuple(mean), deviation=tuple(deviation), flagged=flagged, categories=categories)

    def design(self, inputs: Floats) -> Floats:
        """The columns of each row, one for each number, flag and word: shape (rows, width)."""
        numbers = np.nan_to_num(standardised(inputs, *self._moments)[:, self._numbers], nan=0.0)
        unknown = np.isnan(inputs[:, list(self.flagged)])
        words = [inputs[:, [i]] == np.arange(self.categories[i]) for i in self._words]
        return np.hstack([numbers, unknown, *words])

    @cached_property
    def _moments(self) -> tuple[Floats, Floats]:
        return np.array(self.mean), np.array(self.deviation)

    @cached_property
    def _words(self) -> list[int]:
        return [i for i, count in enumerate(self.categories) if count]

    @cached_property
    def _numbers(self) -> list[int]:
        return [i for i, count in enumerate(self.categories) if not count]


def moments(values: Floats, left_out: np.ndarray) -> tuple[Floats, Floats]:
    """Mean and standard deviation of each column without what is left out; 0 and 1 where there is nothing to tell."""
    weight = (~left_out).astype(float)
    counts = np.maximum(weight.sum(axis=0), 1)
    given = np.where(left_out, 0.0, values)
    mean = given.sum(axis=0) / counts
    deviation = np.sqrt((weight * (given - mean) ** 2).sum(axis=0) / counts)
    return mean, np.where(deviation > 1e-9 * (1 + np.abs(mean)), deviation, 1.0)


def straight(design: Floats, weights: Floats) -> Floats:
    """``design @ weights``, shape (rows, outputs), with the same digits however many rows there are (a product of
    matrices has not).

    Args:
        weights: shape (width, outputs).
    """
    return np.stack([(design * column).sum(axis=1) for column in np.ascontiguousarray(weights.T)], axis=1)
