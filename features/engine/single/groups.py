"""Rows put together by the values of columns, and what can be said of each group or of all rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from features.engine.single.values import Array, Column, Scalar

Reducer = Callable[[Array], Scalar]


@dataclass(frozen=True, slots=True)
class Groups:
    """Which group each row belongs to, one row of each group, and the rows group by group."""

    of_row: Array
    first: Array
    order: Array

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.first)


def codes(keys: list[Column]) -> Array:
    """A number for each row, the same where all columns are; NULL is a value of its own."""
    found = _codes(keys[0])
    for key in keys[1:]:
        code = _codes(key)
        # Numbered anew each time: the product of many columns' numbers would not fit 64 bits.
        _, found = np.unique(found * (int(code.max(initial=0)) + 1) + code, return_inverse=True)
    return found


def _codes(key: Column) -> Array:
    code = key.values if key.words is not None else np.unique(key.values, return_inverse=True)[1]
    return code + 1 if key.known is None else np.where(key.known, code + 1, 0)


def group_by(keys: list[Column]) -> Groups:
    """Group rows by the values of columns."""
    _, first, of_row = np.unique(codes(keys), return_index=True, return_inverse=True)
    return Groups(of_row, first, np.argsort(of_row, kind="stable"))


def chosen(arg: Column, where: Column | None) -> Array | None:
    """The rows that an aggregate sees: where the condition holds and the value is known; None for all."""
    mask = arg.known
    if where is not None:
        holds = where.passes()
        mask = holds if mask is None else mask & holds
    return mask


def whole(reduce: Reducer, arg: Column, where: Column | None) -> Scalar:
    """One aggregate of all rows; None without any."""
    mask = chosen(arg, where)
    values = arg.values if mask is None else arg.values[mask]
    return reduce(values) if len(values) else None


def sum_per_group(arg: Column, where: Column | None, groups: Groups) -> Column:
    """The sum of each group."""
    if arg.values.dtype != np.float64:
        numbers = arg.values.astype(np.int64) if arg.values.dtype == np.bool_ else arg.values
        return per_group(np.add, Column(numbers, arg.known), where, groups)
    # One after the other in the order of rows: NumPy's own sums go in pairs.
    mask = chosen(arg, where)
    of_row, values = (groups.of_row, arg.values) if mask is None else (groups.of_row[mask], arg.values[mask])
    rows = np.bincount(of_row, minlength=groups.count)
    sums = np.bincount(of_row, weights=values, minlength=groups.count)
    return Column(sums, None if rows.all() else rows > 0)


def per_group(ufunc: np.ufunc, arg: Column, where: Column | None, groups: Groups) -> Column:
    """One aggregate of each group, by a ufunc that can be reduced; NULL for a group without any value."""
    mask = chosen(arg, where)
    order = groups.order if mask is None else groups.order[mask[groups.order]]
    values = arg.values[order]
    result = np.zeros(groups.count, dtype=values.dtype)
    if not len(values):
        return Column(result, np.zeros(groups.count, dtype=bool), arg.words)
    sorted_groups = groups.of_row[order]
    starts = np.concatenate(([0], np.flatnonzero(sorted_groups[1:] != sorted_groups[:-1]) + 1))
    found = sorted_groups[starts]
    result[found] = ufunc.reduceat(values, starts)
    if len(found) == groups.count:
        return Column(result, None, arg.words)
    known = np.zeros(groups.count, dtype=bool)
    known[found] = True
    return Column(result, known, arg.words)


def count_per_group(mask: Array | None, groups: Groups) -> Column:
    """The rows of each group for which the mask holds."""
    rows = groups.of_row if mask is None else groups.of_row[mask]
    return Column(np.bincount(rows, minlength=groups.count))


def distinct_per_group(arg: Column, where: Column | None, groups: Groups) -> Column:
    """The different values of each group."""
    mask = chosen(arg, where)
    rows = np.arange(len(arg.values)) if mask is None else np.flatnonzero(mask)
    _, code = np.unique(arg.values[rows], return_inverse=True)
    each = int(code.max(initial=0)) + 1
    pairs = np.unique(groups.of_row[rows] * each + code)
    return Column(np.bincount(pairs // each, minlength=groups.count))


def at_extreme(arg: Column, key: Column, where: Column | None, *, largest: bool) -> Scalar:
    """The value of ``arg`` where ``key`` is largest (or smallest), over all rows; None without any.

    Where several rows tie, the first of them; NaN is the largest number.
    """
    mask = chosen(Column(key.values, key.known), where)
    rows = np.arange(len(key.values)) if mask is None else np.flatnonzero(mask)
    if arg.known is not None:
        rows = rows[arg.known[rows]]
    if not len(rows):
        return None
    keys = key.values[rows]
    if largest:
        return arg.values[rows[keys.argmax()]]
    if keys.dtype == np.float64:
        keys = np.where(np.isnan(keys), np.inf, keys)
    return arg.values[rows[keys.argmin()]]
