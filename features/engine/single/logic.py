"""SQL's three-valued logic and its choices among values, once of scalars and once of columns."""

from __future__ import annotations

import math
from functools import partial
from typing import Any

import numpy as np

from features.engine.single.steps import Function
from features.engine.single.values import Array, Column, Scalar, exact, full

# Of scalars


def and_scalar(a: Scalar, b: Scalar) -> Scalar:
    """SQL's AND."""
    if a is False or b is False:
        return False
    return None if a is None or b is None else True


def or_scalar(a: Scalar, b: Scalar) -> Scalar:
    """SQL's OR."""
    if a is True or b is True:
        return True
    return None if a is None or b is None else False


def is_null_scalar(a: Scalar) -> Scalar:
    """IS NULL."""
    return a is None


def not_null_scalar(a: Scalar) -> Scalar:
    """IS NOT NULL."""
    return a is not None


def nullif_scalar(value: Scalar, a: Scalar, b: Scalar) -> Scalar:
    """NULL where ``a`` (the value, as it is compared) and ``b`` are equal."""
    return None if a == b else value


def coalesce_scalar(*args: Scalar) -> Scalar:
    """The first that is known."""
    return next((arg for arg in args if arg is not None), None)


def case_scalar(count: int, *args: Scalar) -> Scalar:
    """CASE with ``count`` branches: conditions, then results, then the default."""
    for i in range(count):
        if args[i]:
            return args[count + i]
    return args[-1]


def in_scalar(value: Scalar, *options: Scalar) -> Scalar:
    """IN of known options."""
    return None if value is None else value in options


def round_scalar(scale: int, target: int, up: bool, number: Scalar) -> Scalar:
    """Down or up to a whole number, of 10 ** -target; a scale below 0 is float64."""
    if number is None or (scale < 0 and not math.isfinite(number)):
        return None  # DuckDB refuses what is not finite; in a branch that is not taken it never looks
    if scale < 0:
        return (math.ceil(number) if up else math.floor(number)) * 10**target
    unit = 10**scale
    return (-(-number // unit) if up else number // unit) * 10**target


# Of columns, among which a scalar may stand


def _rows(args: tuple[Column | Scalar, ...]) -> int:
    return next(len(arg.values) for arg in args if isinstance(arg, Column))


def _truth(condition: Column | Scalar, rows: int) -> tuple[Array, Array]:
    """Where a condition is true, and where it is known."""
    if isinstance(condition, Column):
        return condition.passes(), ~condition.nulls()
    return np.full(rows, condition is True), np.full(rows, condition is not None)


def and_column(a: Column | Scalar, b: Column | Scalar) -> Column:
    """SQL's AND."""
    if isinstance(a, Column) and isinstance(b, Column) and a.known is None and b.known is None:
        return Column(a.values & b.values)
    (true_a, known_a), (true_b, known_b) = (_truth(arg, _rows((a, b))) for arg in (a, b))
    false = (known_a & ~true_a) | (known_b & ~true_b)
    return Column(true_a & true_b, (known_a & known_b) | false)


def or_column(a: Column | Scalar, b: Column | Scalar) -> Column:
    """SQL's OR."""
    if isinstance(a, Column) and isinstance(b, Column) and a.known is None and b.known is None:
        return Column(a.values | b.values)
    (true_a, known_a), (true_b, known_b) = (_truth(arg, _rows((a, b))) for arg in (a, b))
    either = true_a | true_b
    return Column(either, (known_a & known_b) | either)


def is_null_column(a: Column) -> Column:
    """IS NULL."""
    return Column(a.nulls())


def not_null_column(a: Column) -> Column:
    """IS NOT NULL."""
    return Column(~a.nulls())


def nullif_column(value: Column | Scalar, a: Column | Scalar, b: Column | Scalar) -> Column:
    """NULL where ``a`` (the value, as it is compared) and ``b`` are equal."""
    rows = _rows((value, a, b))
    kept, left, right = (_column(arg, rows) for arg in (value, a, b))
    equal = (left.values == right.values) & ~left.nulls() & ~right.nulls()
    return Column(kept.values, ~equal & ~kept.nulls(), kept.words)


def coalesce_column(*args: Column | Scalar) -> Column:
    """The first that is known."""
    rows = _rows(args)
    result: Column | None = None
    for arg in args:
        if arg is None:
            continue
        other = _column(arg, rows)
        result = other if result is None else _filled(result, other)
        if result.known is None:
            break
    return _column(None, rows) if result is None else result


def _filled(column: Column, other: Column) -> Column:
    if column.known is None:
        return column
    known = None if other.known is None else column.known | other.known
    return Column(np.where(column.known, column.values, other.values), known, column.words)


def case_column(count: int, *args: Column | Scalar) -> Column:
    """CASE with ``count`` branches: conditions, then results, then the default."""
    rows = _rows(args)
    result = None if args[-1] is None else _column(args[-1], rows)
    for i in reversed(range(count)):
        holds, _ = _truth(args[i], rows)
        result = _chosen(holds, args[count + i], result)
    return _column(None, rows) if result is None else result


def _chosen(holds: Array, branch: Column | Scalar, other: Column | None) -> Column | None:
    # A branch of NULL has no kind of its own: the values keep that of the others.
    if branch is None:
        return None if other is None else Column(other.values, ~holds & ~other.nulls(), other.words)
    column = _column(branch, len(holds))
    if other is None:
        return Column(column.values, holds & ~column.nulls(), column.words)
    known = None
    if column.known is not None or other.known is not None:
        known = np.where(holds, ~column.nulls(), ~other.nulls())
    return Column(np.where(holds, column.values, other.values), known, column.words)


def in_column(column: Column, *options: Scalar) -> Column:
    """IN of known options."""
    return Column(np.isin(column.values, options), column.known)


def round_column(scale: int, target: int, up: bool, column: Column) -> Column:
    """Down or up to a whole number, of 10 ** -target; a scale below 0 is float64."""
    numbers, known = column.values, column.known
    if scale < 0:
        finite = np.isfinite(numbers)
        if not finite.all():
            known = finite if known is None else known & finite
            numbers = np.where(finite, numbers, 0.0)
        whole = (np.ceil(numbers) if up else np.floor(numbers)).astype(np.int64)
    else:
        unit = 10**scale
        whole = -(-numbers // unit) if up else numbers // unit
    return Column(whole * 10**target, known)


def kept_exact(function: Function) -> Function:
    """A sum or difference of whole numbers, of which a further sum fits as well."""
    return partial(_kept_exact, function)


def _kept_exact(function: Function, *args: Any) -> Column:
    result: Column = function(*args)
    return result._replace(values=exact(result.values))


def _column(value: Column | Scalar, rows: int) -> Column:
    if isinstance(value, Column):
        return value
    if value is None:
        return Column(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))
    return Column(full(rows, value))
