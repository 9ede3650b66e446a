"""Windows over a customer's rows: the row before, the row after, the number of a row."""

from __future__ import annotations

from functools import partial

import ibis.expr.operations as ops
import numpy as np

from features.engine.single.groups import codes
from features.engine.single.steps import NotCompiledError, Op, Register, Steps, is_key
from features.engine.single.values import Array, Column


def compile_window(steps: Steps, op: Op) -> Register:
    """The register of a window function.

    Raises:
        NotCompiledError: a frame, a falling order, rows of more than one customer, or another function.
    """
    if op.start is not None or op.end is not None:
        raise NotCompiledError("a window frame")
    if not any(is_key(key) for key in op.group_by):
        raise NotCompiledError("a window over all customers")
    if not op.order_by or not all(key.ascending and not key.nulls_first for key in op.order_by):
        raise NotCompiledError("a window without a rising order")
    keys = tuple(steps.value(key) for key in op.group_by if not is_key(key))
    order = tuple(steps.value(key.arg) for key in op.order_by)
    partition = steps.once(("partition", keys), lambda: steps.step(_partition, *keys))
    rows = steps.once(("order", partition, order), lambda: steps.step(_in_order, partition, *order))
    same = steps.once(("same", rows), lambda: steps.step(_same_as_before, partition, rows))
    match op.func:
        case ops.RowNumber():
            return steps.step(_row_numbers, rows, same)
        case ops.Lead() | ops.Lag() if op.func.offset is None and op.func.default is None:
            places = 1 if isinstance(op.func, ops.Lead) else -1
            return steps.step(partial(_shifted, places), steps.value(op.func.arg), rows, same)
        case _:
            raise NotCompiledError(type(op.func).__name__)


def _partition(*keys: Column) -> Array | None:
    """The number of each row's partition; None where there is one."""
    return codes(list(keys)) if keys else None


def _in_order(partition: Array | None, *order: Column) -> Array:
    """Rows by partition, then by the order's columns, NULL last."""
    ranks: list[Array] = [] if partition is None else [partition]
    for column in order:
        ranks += [column.values] if column.known is None else [~column.known, column.values]
    return np.lexsort(ranks[::-1])


def _same_as_before(partition: Array | None, rows: Array) -> Array:
    """For each row in order but the first: whether it belongs to the partition of the one before."""
    if partition is None:
        return np.ones(max(len(rows) - 1, 0), dtype=bool)
    ordered = partition[rows]
    return ordered[1:] == ordered[:-1]


def _row_numbers(rows: Array, same: Array) -> Column:
    numbers = np.empty(len(rows), dtype=np.int64)
    if len(rows):
        places = np.arange(len(rows))
        starts = np.r_[0, np.flatnonzero(~same) + 1]
        numbers[rows] = places - starts[np.searchsorted(starts, places, side="right") - 1]
    return Column(numbers)


def _shifted(places: int, column: Column, rows: Array, same: Array) -> Column:
    values, known = np.zeros_like(column.values), np.zeros(len(rows), dtype=bool)
    present = ~column.nulls()
    at, of = (rows[:-1], rows[1:]) if places == 1 else (rows[1:], rows[:-1])
    values[at[same]] = column.values[of[same]]
    known[at[same]] = present[of[same]]
    return Column(values, known, column.words)
