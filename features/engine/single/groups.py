"""Aggregates over rows: of all rows of the customer (a scalar), or by a key (a column with a row per group)."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

from features.engine.single.values import Array, Column, Scalar

Reducer = Callable[[Array], Scalar]


class Groups(NamedTuple):
    """Which group each row belongs to, and one row of each group."""

    of_row: Array
    first: Array

    @property
    def count(self) -> int:
        """Number of groups."""
        return len(self.first)


def group_by(keys: list[Column]) -> Groups:
    """Group rows by the values of columns; NULL is a value of its own."""
    codes = np.zeros(len(keys[0].values), dtype=np.int64)
    for key in keys:
        _, code = np.unique(key.values, return_inverse=True)
        if key.known is not None:
            code = np.where(key.known, code + 1, 0)
        codes = codes * (int(code.max(initial=0)) + 1) + code
    _, first, of_row = np.unique(codes, return_index=True, return_inverse=True)
    return Groups(of_row, first)


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


def per_group(ufunc: np.ufunc, arg: Column, where: Column | None, groups: Groups) -> Column:
    """One aggregate of each group, by a ufunc that can be reduced; NULL for a group without any value."""
    mask = chosen(arg, where)
    of_row = groups.of_row if mask is None else groups.of_row[mask]
    values = arg.values if mask is None else arg.values[mask]
    result = np.zeros(groups.count, dtype=values.dtype)
    if not len(values):
        return Column(result, np.zeros(groups.count, dtype=bool), arg.words)
    order = np.argsort(of_row, kind="stable")
    sorted_groups = of_row[order]
    starts = np.flatnonzero(np.r_[True, sorted_groups[1:] != sorted_groups[:-1]])
    found = sorted_groups[starts]
    result[found] = ufunc.reduceat(values[order], starts)
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
    pairs = np.unique(groups.of_row[rows] * (int(code.max(initial=0)) + 1) + code)
    return Column(np.bincount(pairs // (int(code.max(initial=0)) + 1), minlength=groups.count))


def at_extreme(arg: Column, key: Column, where: Column | None, *, largest: bool) -> Scalar:
    """The value of ``arg`` where ``key`` is largest (or smallest), over all rows; None without any."""
    mask = chosen(Column(key.values, key.known), where)
    rows = np.arange(len(key.values)) if mask is None else np.flatnonzero(mask)
    if arg.known is not None:
        rows = rows[arg.known[rows]]
    if not len(rows):
        return None
    keys = key.values[rows]
    return arg.values[rows[keys.argmax() if largest else keys.argmin()]]
