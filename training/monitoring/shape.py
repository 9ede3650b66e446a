"""How a column is distributed, in a few counts, and how far another population lies from it: PSI with its interval."""

from __future__ import annotations

from dataclasses import dataclass
from typing import cast

import numpy as np
import pandas as pd
from scipy.optimize import brentq
from scipy.stats import ncx2

from kernel.part import Floats, Part

BINS = 10
_HALF = 0.5  # added to every count, so that an empty bin has a share (Jeffreys)


class Shape(Part):
    """A column of a population. Its bins: numbers by ``edges``, words one by one, then the rest.

    Attributes:
        edges: upper bounds of the bins but the last, rising; a bound belongs to the bin below it. None for words.
        words: each a bin of its own, then one for all other words; None for numbers.
        counts: customers of each bin, the last of which holds those whose value is not known.
        mean, deviation: of the known numbers; None for words, or where nobody's is known.
    """

    edges: tuple[float, ...] | None = None
    words: tuple[str, ...] | None = None
    counts: tuple[int, ...]
    mean: float | None = None
    deviation: float | None = None

    @property
    def customers(self) -> int:
        """All, whether their value is known or not."""
        return sum(self.counts)

    @property
    def missing(self) -> float:
        """Share of customers whose value is not known."""
        return self.counts[-1] / max(1, self.customers)

    @property
    def other_words(self) -> float:
        """Share of customers with a word that has no bin of its own; 0 for numbers."""
        return 0.0 if self.words is None else self.counts[-2] / max(1, self.customers)

    def of(self, values: pd.Series) -> Shape:
        """Another population in the bins of this one."""
        if self.words is not None:
            codes = pd.Index(self.words, dtype="object").get_indexer(values.to_numpy(dtype="object"))
            codes = np.where(codes < 0, len(self.words), codes)
            return self.model_copy(update={"counts": _counts(codes, values.isna().to_numpy(), len(self.words) + 1)})
        assert self.edges is not None
        numbers = values.to_numpy(dtype="float64", na_value=np.nan)
        codes = np.searchsorted(np.array(self.edges), numbers, side="left")
        counts = _counts(codes, np.isnan(numbers), len(self.edges) + 1)
        return self.model_copy(update={"counts": counts} | _moments(numbers))


def number_shape(numbers: Floats) -> Shape:
    """Ten bins with about equally many customers each, fewer where many share a value; NaN is not known."""
    known = numbers[~np.isnan(numbers)]
    # Values that occur: between two of them no bin would hold anybody.
    cuts = np.arange(1, BINS) / BINS
    edges: Floats = np.unique(np.quantile(known, cuts, method="inverted_cdf")) if len(known) else np.empty(0)
    return Shape(edges=tuple(map(float, edges)), counts=(0,)).of(pd.Series(numbers, dtype="float64"))


def word_shape(values: pd.Series, words: tuple[str, ...]) -> Shape:
    """A bin for each of ``words``."""
    return Shape(words=words, counts=(0,)).of(values)


@dataclass(frozen=True, slots=True)
class Psi:
    """Population stability index: sum over the bins of (p - q) ln(p / q).

    Attributes:
        value: as it is computed from the two samples; above 0 by chance alone.
        by_chance: what is expected of it where nothing changed, (bins - 1) (1/n + 1/m).
        low, high: of the index of the populations behind the samples.
        confidence: that both hold it.
    """

    value: float
    by_chance: float
    low: float
    high: float
    confidence: float

    @property
    def beyond_chance(self) -> float:
        """The value without what chance adds; 0 at least."""
        return max(self.value - self.by_chance, 0.0)


def psi(then: Shape, now: Shape, confidence: float = 0.95) -> Psi:
    """How far ``now`` lies from ``then``, which has the same bins; bins that are empty in both do not count.

    PSI / (1/n + 1/m) has a chi-square distribution with bins - 1 degrees of freedom where nothing changed (Yurdakul
    and Naranjo 2020), and about the noncentral one with the index of the populations over (1/n + 1/m) where something
    did: from that the bounds are read. Where a few customers of a rare bin make most of it, it scatters more, and the
    scale is widened to the variance by the delta method.
    """
    first, second = np.array(then.counts, dtype=float), np.array(now.counts, dtype=float)
    used = first + second > 0
    first, second = first[used], second[used]
    bins, n, m = len(first), float(first.sum()), float(second.sum())
    if bins < 2 or not n or not m:
        return Psi(0.0, 0.0, 0.0, 0.0, confidence)
    p = (first + _HALF) / (first + _HALF).sum()
    q = (second + _HALF) / (second + _HALF).sum()
    value, chance = float((p - q) @ np.log(p / q)), 1 / n + 1 / m
    scale = chance * max(1.0, _variance(p, q, n, m) / (4 * chance * value)) if value else chance
    tail = (1 - confidence) / 2
    low, high = (_noncentrality(value / scale, bins - 1, at) * scale for at in (1 - tail, tail))
    return Psi(value, (bins - 1) * chance, low, high, confidence)


def _variance(p: Floats, q: Floats, n: float, m: float) -> float:
    log = np.log(p / q)
    return _of(p, log - q / p) / n + _of(q, -log - p / q) / m


def _of(share: Floats, value: Floats) -> float:
    return float(share @ value**2 - (share @ value) ** 2)


def _noncentrality(found: float, degrees: int, probability: float) -> float:
    """The noncentrality with which at most ``found`` is seen with this probability; 0 where none is so small."""

    def above(noncentrality: float) -> float:
        return float(ncx2.cdf(found, degrees, noncentrality)) - probability

    if above(1e-9) <= 0:
        return 0.0
    top = found + degrees + 50.0
    while above(top) > 0:
        top *= 2
    return cast(float, brentq(above, 1e-9, top))


def _counts(codes: np.ndarray, missing: np.ndarray, bins: int) -> tuple[int, ...]:
    return (*map(int, np.bincount(codes[~missing], minlength=bins)), int(missing.sum()))


def _moments(numbers: Floats) -> dict[str, float | None]:
    known = numbers[~np.isnan(numbers)]
    if not len(known):
        return {"mean": None, "deviation": None}
    return {"mean": float(known.mean()), "deviation": float(known.std())}
