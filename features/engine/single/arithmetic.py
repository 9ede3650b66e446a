"""Operations that know nothing when an argument is unknown, once of scalars and once of NumPy values."""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from functools import partial
from typing import Any

import ibis.expr.operations as ops
import numpy as np

from features.engine.single.steps import Function
from features.engine.single.values import Array, Column, Scalar, both_known

Numbers = Any  # an array, or a scalar beside one


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


def _each(function: Callable[[float], float], values: Array) -> Array:
    # NumPy's own exp and log differ from the C library's in the last bit; the engines use the C library's.
    return np.fromiter(map(function, values.tolist()), dtype=np.float64, count=len(values))


# Comparisons: NaN equals itself and is larger than every other number


def _equal(a: Scalar, b: Scalar) -> bool:
    return a == b or (a != a and b != b)


def _unequal(a: Scalar, b: Scalar) -> bool:
    return not _equal(a, b)


def _greater(a: Scalar, b: Scalar) -> bool:
    return a > b or (a != a and b == b)


def _at_least(a: Scalar, b: Scalar) -> bool:
    return a >= b or a != a


def _less(a: Scalar, b: Scalar) -> bool:
    return _greater(b, a)


def _at_most(a: Scalar, b: Scalar) -> bool:
    return a <= b or b != b


def _between(a: Scalar, low: Scalar, high: Scalar) -> bool:
    return _at_least(a, low) and _at_most(a, high)


def _nans(numbers: Numbers) -> Any:
    """Where there is NaN: an array, or one answer; False where there cannot be any."""
    if isinstance(numbers, np.ndarray):
        found = np.isnan(numbers) if numbers.dtype == np.float64 else None
        return False if found is None or not found.any() else found
    return numbers != numbers


def _np_equal(a: Numbers, b: Numbers) -> Array:
    of_a = _nans(a)
    return a == b if of_a is False else (a == b) | (of_a & _nans(b))


def _np_unequal(a: Numbers, b: Numbers) -> Array:
    return ~_np_equal(a, b)


def _np_greater(a: Numbers, b: Numbers) -> Array:
    of_a = _nans(a)
    return a > b if of_a is False else (a > b) | (of_a & np.logical_not(_nans(b)))


def _np_at_least(a: Numbers, b: Numbers) -> Array:
    of_a = _nans(a)
    return a >= b if of_a is False else (a >= b) | of_a


def _np_less(a: Numbers, b: Numbers) -> Array:
    return _np_greater(b, a)


def _np_at_most(a: Numbers, b: Numbers) -> Array:
    return _np_at_least(b, a)


def _np_between(a: Numbers, low: Numbers, high: Numbers) -> Array:
    return _np_at_least(a, low) & _np_at_most(a, high)


# operation -> number of arguments, of scalars, of NumPy values
STRICT: dict[type[ops.Node], tuple[int, Function, Function]] = {
    ops.Add: (2, operator.add, operator.add),
    ops.Subtract: (2, operator.sub, operator.sub),
    ops.Multiply: (2, operator.mul, operator.mul),
    ops.Divide: (2, _divided, np.divide),
    ops.Negate: (1, operator.neg, operator.neg),
    ops.Abs: (1, abs, np.abs),
    ops.Sqrt: (1, _sqrt, partial(_each, _sqrt)),
    ops.Exp: (1, _exp, partial(_each, _exp)),
    ops.Ln: (1, _ln, partial(_each, _ln)),
    ops.Equals: (2, _equal, _np_equal),
    ops.NotEquals: (2, _unequal, _np_unequal),
    ops.Greater: (2, _greater, _np_greater),
    ops.GreaterEqual: (2, _at_least, _np_at_least),
    ops.Less: (2, _less, _np_less),
    ops.LessEqual: (2, _at_most, _np_at_most),
    ops.Between: (3, _between, _np_between),
    ops.Not: (1, operator.not_, np.logical_not),
    ops.IsNan: (1, math.isnan, np.isnan),
    ops.IsInf: (1, math.isinf, np.isinf),
}


def strict_scalar(function: Function, arity: int) -> Function:
    """NULL where any argument is."""

    def one(a: Scalar) -> Scalar:
        return None if a is None else function(a)

    def two(a: Scalar, b: Scalar) -> Scalar:
        return None if a is None or b is None else function(a, b)

    def more(*args: Scalar) -> Scalar:
        return None if any(arg is None for arg in args) else function(*args)

    # A request makes thousands of these calls: those of one and two arguments are spared the loop.
    return {1: one, 2: two}.get(arity, more)


def strict_column(function: Function) -> Function:
    """The same for columns, among which a scalar may stand."""

    def run(*args: Column | Scalar) -> Column:
        columns = [arg for arg in args if isinstance(arg, Column)]
        if any(arg is None for arg in args):
            rows = len(columns[0].values)
            return Column(np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=bool))
        values = function(*(arg.values if isinstance(arg, Column) else arg for arg in args))
        return Column(values, both_known(*columns))

    return run
