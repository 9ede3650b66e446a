"""Columns of a few rows, and SQL's meaning of NULL, decimals and rounding on them, to the bit as DuckDB has it.

A scalar is a Python value, None where SQL has NULL. Decimals are whole numbers of their smallest unit (``Scale``).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]
Scalar = Any
_EXACT = 2**53  # whole numbers up to here are float64 without rounding


class Column(NamedTuple):
    """Values of rows. ``known``: where not NULL (None: everywhere). ``words``: word -> code, of a column of words."""

    values: Array
    known: Array | None = None
    words: dict[str, int] | None = None

    def take(self, rows: Array) -> Column:
        """The column at these rows."""
        return Column(self.values[rows], None if self.known is None else self.known[rows], self.words)

    def nulls(self) -> Array:
        """Where the value is NULL, shape (rows,)."""
        return np.zeros(len(self.values), dtype=bool) if self.known is None else ~self.known

    def passes(self) -> Array:
        """Where a condition is true: neither false nor NULL."""
        return self.values if self.known is None else self.values & self.known


def both_known(*columns: Column) -> Array | None:
    """Where all are known; None for everywhere."""
    masks = [column.known for column in columns if column.known is not None]
    if not masks:
        return None
    return masks[0] if len(masks) == 1 else np.logical_and.reduce(masks)


def words(texts: Sequence[str | None]) -> Column:
    """A column of words; codes rise as the words do."""
    codes = {text: code for code, text in enumerate(sorted({text for text in texts if text is not None}))}
    values = np.fromiter((-1 if text is None else codes[text] for text in texts), dtype=np.int64, count=len(texts))
    known = values >= 0
    return Column(values, None if known.all() else known, codes)


def spread_out(value: Scalar, beside: Column) -> Column:
    """A scalar as a column with a row for each of another's."""
    rows = len(beside.values)
    if value is None:
        return Column(np.zeros(rows), np.zeros(rows, dtype=bool))
    return Column(np.full(rows, value))


def decimals(numbers: Array, scale: int) -> Array:
    """float64 to whole numbers of 10 ** -scale, ties away from zero, as DuckDB casts."""
    scaled = numbers * 10.0**scale
    rounded = np.rint(scaled)
    whole = np.trunc(scaled)
    ties = np.abs(scaled - whole) == 0.5
    if ties.any():
        rounded = np.where(ties, whole + np.sign(scaled), rounded)
    return exact(rounded.astype(np.int64) if _fits(rounded) else np.array([int(x) for x in rounded], dtype=object))


def _fits(numbers: Array) -> bool:
    return not len(numbers) or float(np.abs(numbers).max()) < 2.0**62


def exact(numbers: Array) -> Array:
    """The same numbers, as Python's where a sum of them might not fit 64 bits."""
    if numbers.dtype == object or not len(numbers):
        return numbers
    return numbers if int(np.abs(numbers).max()) < 2**62 // len(numbers) else numbers.astype(object)


def decimal_to_float(number: int, scale: int) -> float:
    """A decimal as float64, as DuckDB casts it."""
    power = 10**scale
    if scale == 0 or -_EXACT <= number <= _EXACT:
        return number / float(power)
    whole, part = divmod(abs(number), power)
    value = float(whole) + float(part) / float(power)
    return value if number >= 0 else -value


def decimals_to_floats(numbers: Array, scale: int) -> Array:
    """The same for a column."""
    if numbers.dtype != object:
        return numbers / 10.0**scale
    return np.array([decimal_to_float(number, scale) for number in numbers], dtype=np.float64)
