"""What each operation of a definition does, once to scalars and once to columns.

Numbers come in three kinds: whole numbers, float64, and decimals (whole numbers of a smallest unit).
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import ibis.expr.operations as ops
import numpy as np

from features.engine.single.values import Array, Column, Scalar, both_known

Operation = Callable[..., Any]


def _divided(a: float, b: float) -> float:
    if b == 0:
        return math.nan if a == 0 or math.isnan(a) else math.copysign(math.inf, a) * math.copysign(1.0, b)
    return a / b


def _exp(x: float) -> float:
    try:
        return math.exp(x)
    except OverflowError:
        return math.inf


def _ln(x: float) -> float:
    return math.log(x) if x > 0 else math.nan


def _sqrt(x: float) -> float:
    return math.sqrt(x) if x >= 0 else math.nan


def _each(function: Callable[[float], float]) -> Callable[[Array], Array]:
    # NumPy's own exp and log differ from the C library's in the last bit; the engines use the C library's.
    return lambda values: np.fromiter(map(function, values.tolist()), dtype=np.float64, count=len(values))


def _np_divide(a: Array, b: Array) -> Array:
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.divide(a, b)


def _whole(a: Array) -> Array:
    # Where a value is NULL, what stands there may be no number at all.
    return np.where(np.isfinite(a), a, 0.0).astype(np.int64)


# operation -> (of scalars, of NumPy values); NULL in, NULL out
STRICT: dict[type[ops.Value], tuple[Operation, Operation]] = {
    ops.Add: (lambda a, b: a + b, lambda a, b: a + b),
    ops.Subtract: (lambda a, b: a - b, lambda a, b: a - b),
    ops.Multiply: (lambda a, b: a * b, lambda a, b: a * b),
    ops.Divide: (_divided, _np_divide),
    ops.Negate: (lambda a: -a, lambda a: -a),
    ops.Abs: (abs, np.abs),
    ops.Sqrt: (_sqrt, _each(_sqrt)),
    ops.Exp: (_exp, _each(_exp)),
    ops.Ln: (_ln, _each(_ln)),
    ops.Floor: (math.floor, lambda a: _whole(np.floor(a))),
    ops.Ceil: (math.ceil, lambda a: _whole(np.ceil(a))),
    ops.Equals: (lambda a, b: a == b, lambda a, b: a == b),
    ops.NotEquals: (lambda a, b: a != b, lambda a, b: a != b),
    ops.Greater: (lambda a, b: a > b, lambda a, b: a > b),
    ops.GreaterEqual: (lambda a, b: a >= b, lambda a, b: a >= b),
    ops.Less: (lambda a, b: a < b, lambda a, b: a < b),
    ops.LessEqual: (lambda a, b: a <= b, lambda a, b: a <= b),
    ops.Between: (lambda a, low, high: low <= a <= high, lambda a, low, high: (a >= low) & (a <= high)),
    ops.Not: (lambda a: not a, np.logical_not),
    ops.IsNan: (math.isnan, np.isnan),
    ops.IsInf: (math.isinf, np.isinf),
}
NUMBERS_ALIKE = (
    ops.Add,
    ops.Subtract,
    ops.Equals,
    ops.NotEquals,
    ops.Greater,
    ops.GreaterEqual,
    ops.Less,
    ops.LessEqual,
    ops.Between,
)
"""Operations whose numbers must be of one kind first."""
TO_FLOAT = (ops.Divide, ops.Sqrt, ops.Exp, ops.Ln, ops.Floor, ops.Ceil, ops.IsNan, ops.IsInf)
"""Operations on float64, whatever the kind of their numbers."""


def strict_scalar(function: Operation) -> Operation:
    """NULL where any argument is."""

    def one(a: Scalar) -> Scalar:
        return None if a is None else function(a)

    def two(a: Scalar, b: Scalar) -> Scalar:
        return None if a is None or b is None else function(a, b)

    def more(*args: Scalar) -> Scalar:
        return None if None in args else function(*args)

    return {1: one, 2: two}.get(function.__code__.co_argcount if hasattr(function, "__code__") else 1, more)


def strict_column(function: Operation) -> Operation:
    """The same for columns, among which a scalar may stand."""

    def run(*args: Column | Scalar) -> Column:
        columns = [a for a in args if isinstance(a, Column)]
        if None in [a for a in args if not isinstance(a, Column)]:
            rows = len(columns[0].values)
            return Column(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))
        values = function(*(a.values if isinstance(a, Column) else a for a in args))
        return Column(values, both_known(*columns))

    return run


# Three-valued logic and choice, of scalars


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


def coalesce_scalar(*args: Scalar) -> Scalar:
    """The first that is known."""
    return next((a for a in args if a is not None), None)


def case_scalar(count: int) -> Operation:
    """CASE with ``count`` branches: conditions, then results, then the default."""

    def run(*args: Scalar) -> Scalar:
        for i in range(count):
            if args[i]:
                return args[count + i]
        return args[-1]

    return run


# ... and of columns


def _column(value: Column | Scalar, rows: int) -> Column:
    if isinstance(value, Column):
        return value
    if value is None:
        return Column(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))
    return Column(np.full(rows, value))


def _rows(args: tuple[Column | Scalar, ...]) -> int:
    return next(len(a.values) for a in args if isinstance(a, Column))


def and_column(*args: Column | Scalar) -> Column:
    """SQL's AND."""
    a, b = (_column(arg, _rows(args)) for arg in args)
    if a.known is None and b.known is None:
        return Column(a.values & b.values)
    known = ~(a.nulls() | b.nulls()) | (~a.nulls() & ~a.values) | (~b.nulls() & ~b.values)
    return Column(a.passes() & b.passes(), known)


def or_column(*args: Column | Scalar) -> Column:
    """SQL's OR."""
    a, b = (_column(arg, _rows(args)) for arg in args)
    if a.known is None and b.known is None:
        return Column(a.values | b.values)
    either = a.passes() | b.passes()
    return Column(either, ~(a.nulls() | b.nulls()) | either)


def coalesce_column(*args: Column | Scalar) -> Column:
    """The first that is known."""
    result = _column(args[0], _rows(args))
    for arg in args[1:]:
        if result.known is None:
            break
        other = _column(arg, len(result.values))
        known = None if other.known is None else result.known | other.known
        result = Column(np.where(result.known, result.values, other.values), known, result.words)
    return result


def case_column(count: int) -> Operation:
    """CASE with ``count`` branches: conditions, then results, then the default."""

    def run(*args: Column | Scalar) -> Column:
        rows = _rows(args)
        result = _column(args[-1], rows)
        for i in reversed(range(count)):
            holds = _column(args[i], rows).passes()
            branch = _column(args[count + i], rows)
            known = None
            if branch.known is not None or result.known is not None:
                known = np.where(holds, ~branch.nulls(), ~result.nulls())
            result = Column(np.where(holds, branch.values, result.values), known)
        return result

    return run


def is_null_column(a: Column) -> Column:
    """IS NULL."""
    return Column(a.nulls())


def nullif_column(a: Column, b: Column | Scalar) -> Column:
    """NULL where the two are equal."""
    other = _column(b, len(a.values))
    equal = (a.values == other.values) & ~other.nulls()
    return Column(a.values, ~equal if a.known is None else a.known & ~equal, a.words)
