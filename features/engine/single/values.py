"""Columns of a few rows, and SQL's meaning of NULL, decimals and rounding on them, to the bit as DuckDB has it.

A scalar is a Python value, None where SQL has NULL. Decimals are whole numbers of their smallest unit (``Scale``).
"""

from __future__ import annotations

import math
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
        # A condition that is NULL in every row has no values of its own kind.
        values = self.values if self.values.dtype == np.bool_ else self.values.astype(bool)
        return values if self.known is None else values & self.known


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


def full(rows: int, value: Scalar) -> Array:
    """The same number in every row."""
    if isinstance(value, int) and not isinstance(value, bool):
        # Left to itself, NumPy takes numbers just beyond 63 bits for another type, without a sign.
        return exact(np.full(rows, value, dtype=np.int64 if abs(value) < 2**62 else object))
    return np.full(rows, value)


def spread_out(value: Scalar, beside: Column) -> Column:
    """A scalar as a column with a row for each of another's."""
    rows = len(beside.values)
    if value is None:
        return Column(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))
    if isinstance(value, str):
        return Column(np.zeros(rows, dtype=np.int64), None, {value: 0})
    return Column(full(rows, value))


def decimals(numbers: Array, scale: int) -> Array:
    """Finite float64 to whole numbers of 10 ** -scale, ties away from zero, as DuckDB casts."""
    scaled_up = numbers * 10.0**scale
    rounded = np.rint(scaled_up)
    whole = np.trunc(scaled_up)
    ties = np.abs(scaled_up - whole) == 0.5
    if ties.any():
        rounded = np.where(ties, whole + np.sign(scaled_up), rounded)
    return exact(rounded.astype(np.int64) if _fits(rounded) else np.array([int(x) for x in rounded], dtype=object))


def decimal_of(scale: int, number: Scalar) -> Scalar:
    """A float as a decimal. What is not finite becomes NULL: DuckDB refuses it, where it looks at all."""
    if number is None or not math.isfinite(number):
        return None
    return int(decimals(np.array([number]), scale)[0])


def decimals_of(scale: int, column: Column) -> Column:
    """The same for a column."""
    given = ~column.nulls() & np.isfinite(column.values)
    return Column(decimals(np.where(given, column.values, 0.0), scale), None if given.all() else given)


def _fits(numbers: Array) -> bool:
    return not len(numbers) or float(np.abs(numbers).max()) < 2.0**62


def exact(numbers: Array) -> Array:
    """The same whole numbers, as Python's where a sum of them might not fit 64 bits."""
    return scaled(numbers, 1)


def scaled(numbers: Array, factor: int) -> Array:
    """Whole numbers times another, as Python's where a sum of them might not fit 64 bits."""
    if numbers.dtype == object or not len(numbers):
        return numbers * factor
    if numbers.dtype == np.bool_:
        numbers = numbers.astype(np.int64)
    if int(np.abs(numbers).max()) * factor < 2**62 // len(numbers):
        return numbers if factor == 1 else numbers * factor
    return numbers.astype(object) * factor


def decimal_to_float(number: int, scale: int) -> float:
    """A decimal as float64, as DuckDB casts it."""
    power = 10**scale
    if scale == 0 or -_EXACT <= number <= _EXACT:
        return float(number) / float(power)
    whole, part = divmod(abs(number), power)
    value = float(whole) + float(part) / float(power)
    return value if number >= 0 else -value


def decimals_to_floats(numbers: Array, scale: int) -> Array:
    """The same for a column."""
    if numbers.dtype != object and (scale == 0 or not len(numbers) or int(np.abs(numbers).max()) <= _EXACT):
        return numbers / 10.0**scale
    return np.array([decimal_to_float(number, scale) for number in numbers.tolist()], dtype=np.float64)
