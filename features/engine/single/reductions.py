"""Aggregates: of all rows of the customer (scalars), or by a key (columns with a row per group)."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ibis.expr.operations as ops
import numpy as np

from features.engine.single import groups as by
from features.engine.single.steps import NotCompiledError, Op, Register, Relation, Steps
from features.engine.single.values import Array, Column, Scalar


def compile_reduction(steps: Steps, metric: Op, relation: Relation, groups: Callable[[], Register] | None) -> Register:
    """The register of one aggregate.

    Args:
        steps: where it is put.
        metric: the aggregate.
        relation: whose rows it reduces.
        groups: makes the register of their groups; None where all rows are one group.

    Raises:
        NotCompiledError: an aggregate that is not known here.
    """
    if not isinstance(metric, ops.Reduction):
        raise NotCompiledError("an aggregate of aggregates in one grouping")
    functions = _WHOLE if groups is None else _GROUPED
    if type(metric) not in functions:
        raise NotCompiledError(type(metric).__name__)
    of: Op = metric
    # Any column tells how many rows there are.
    counts_rows = isinstance(metric, ops.CountStar)
    arg = steps.any_column(relation) if counts_rows else steps.rows_of(of.args[0], relation)
    where = steps.constant() if of.where is None else steps.rows_of(of.where, relation)
    if isinstance(of, ops.ArgMax | ops.ArgMin):
        return steps.step(_WHOLE[type(of)], arg, steps.rows_of(of.key, relation), where)
    if groups is None:
        return steps.step(_WHOLE[type(of)], arg, where)
    return steps.step(_GROUPED[type(of)], arg, where, groups())


def _plain(value: Scalar, of: Column) -> Scalar:
    if value is None:
        return None
    if of.words is not None:
        return list(of.words)[value]
    return value.item() if isinstance(value, np.generic) else value


def _sum(arg: Column, where: Column | None) -> Scalar:
    return by.whole(_summed, arg, where)


def _summed(values: Array) -> Scalar:
    # float64 in the order of rows, as an engine with one thread does; whole numbers exactly.
    return float(np.cumsum(values)[-1]) + 0.0 if values.dtype == np.float64 else int(values.sum())


def _max(arg: Column, where: Column | None) -> Scalar:
    return _plain(by.whole(np.max, arg, where), arg)


def _min(arg: Column, where: Column | None) -> Scalar:
    return _plain(by.whole(np.fmin.reduce, arg, where), arg)


def _extreme(arg: Column, key: Column, where: Column | None, *, largest: bool) -> Scalar:
    return _plain(by.at_extreme(arg, key, where, largest=largest), arg)


def _count(arg: Column, where: Column | None) -> Scalar:
    if not len(arg.values):
        return None  # no row, no group
    mask = by.chosen(arg, where)
    return len(arg.values) if mask is None else int(np.count_nonzero(mask))


def _count_rows(arg: Column, where: Column | None) -> Scalar:
    return _count(Column(arg.values), where)


def _count_distinct(arg: Column, where: Column | None) -> Scalar:
    if not len(arg.values):
        return None
    mask = by.chosen(arg, where)
    return len(np.unique(arg.values if mask is None else arg.values[mask]))


def _sum_per_group(arg: Column, where: Column | None, groups: by.Groups) -> Column:
    return by.sum_per_group(arg, where, groups)


def _max_per_group(arg: Column, where: Column | None, groups: by.Groups) -> Column:
    return by.per_group(np.maximum, arg, where, groups)


def _min_per_group(arg: Column, where: Column | None, groups: by.Groups) -> Column:
    return by.per_group(np.fmin, arg, where, groups)


def _count_per_group(arg: Column, where: Column | None, groups: by.Groups) -> Column:
    return by.count_per_group(by.chosen(arg, where), groups)


def _rows_per_group(arg: Column, where: Column | None, groups: by.Groups) -> Column:
    return by.count_per_group(by.chosen(Column(arg.values), where), groups)


# max and min: DuckDB takes NaN for the largest number.
_WHOLE: dict[type[ops.Node], Callable[..., Scalar]] = {
    ops.Sum: _sum,
    ops.Max: _max,
    ops.Min: _min,
    ops.Count: _count,
    ops.CountStar: _count_rows,
    ops.CountDistinct: _count_distinct,
    ops.ArgMax: partial(_extreme, largest=True),
    ops.ArgMin: partial(_extreme, largest=False),
}
_GROUPED: dict[type[ops.Node], Callable[..., Column]] = {
    ops.Sum: _sum_per_group,
    ops.Max: _max_per_group,
    ops.Min: _min_per_group,
    ops.Count: _count_per_group,
    ops.CountStar: _rows_per_group,
    ops.CountDistinct: by.distinct_per_group,
}
