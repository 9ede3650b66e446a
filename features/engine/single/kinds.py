"""Kinds of numbers, as DuckDB has them for the SQL that Ibis writes, whatever type Ibis itself says.

A number is a whole number, a decimal (a whole number of 10 ** -scale), or float64. A literal with a point is a decimal
in SQL: ``3 * 0.1`` is 0.3 there, and no float64 just above it.
"""

from __future__ import annotations

from collections.abc import Iterable
from decimal import Decimal
from functools import partial

import ibis.expr.operations as ops
import numpy as np

from features.engine.single.steps import NotCompiledError, Op, Register, Steps, has_rows, source
from features.engine.single.values import (
    Column,
    Scalar,
    decimal_of,
    decimal_to_float,
    decimals_of,
    decimals_to_floats,
    scaled,
)

FLOAT = -1
"""The kind of float64; any other kind is a scale, 0 that of whole numbers (and of what is no number)."""
_TO_FLOAT = ops.Divide | ops.Sqrt | ops.Exp | ops.Ln
_SAME = ops.Sum | ops.Max | ops.Min | ops.ArgMax | ops.ArgMin | ops.Negate | ops.Abs | ops.NullIf | ops.Alias


def kind(steps: Steps, op: Op) -> int:
    """FLOAT, or the scale of a whole number or decimal."""
    if op not in steps.kinds:
        steps.kinds[op] = _kind(steps, op)
    return steps.kinds[op]


def _kind(steps: Steps, op: Op) -> int:
    match op:
        case ops.Literal():
            return _kind_of_literal(op)
        case ops.Field() if not isinstance(op.rel, ops.UnboundTable):
            return kind(steps, source(op))
        case ops.Field() | ops.Cast() | ops.Floor() | ops.Ceil():
            return _kind_of_type(op.dtype)
        case _ if isinstance(op, _TO_FLOAT):
            return FLOAT
        case _ if isinstance(op, _SAME):
            return kind(steps, op.args[0])
        case ops.WindowFunction():
            return kind(steps, op.func.args[0]) if op.func.args else 0
        case ops.Multiply():
            kinds = [kind(steps, arg) for arg in op.args]
            return FLOAT if FLOAT in kinds else sum(kinds)
        case ops.Add() | ops.Subtract():
            return common(steps, op.args)
        case ops.Coalesce():
            return common(steps, op.arg)
        case ops.IfElse():
            return common(steps, (op.true_expr, op.false_null_expr))
        case ops.SearchedCase():
            return common(steps, (*op.results, op.default))
        case _:
            return 0


def common(steps: Steps, operands: Iterable[Op]) -> int:
    """The kind that can hold all of them."""
    kinds = [kind(steps, operand) for operand in operands if not operand.dtype.is_null()]
    return FLOAT if FLOAT in kinds else max(kinds, default=0)


def _kind_of_type(dtype: Op) -> int:
    if dtype.is_floating():
        return FLOAT
    if not dtype.is_decimal():
        return 0
    if dtype.scale is None:
        raise NotCompiledError("a decimal without a scale")
    return int(dtype.scale)


def _kind_of_literal(op: Op) -> int:
    if op.value is None or not op.dtype.is_floating():
        return _kind_of_type(op.dtype)
    written = repr(float(op.value))
    return len(written.partition(".")[2]) if _has_point(written) else FLOAT


def _has_point(written: str) -> bool:
    return "." in written and "e" not in written


def literal(steps: Steps, op: Op) -> Scalar:
    """A constant of a definition, in its kind.

    Raises:
        NotCompiledError: neither a number nor a word.
    """
    if op.value is None:
        return None
    if op.dtype.is_floating():
        scale = kind(steps, op)
        return float(op.value) if scale == FLOAT else int(Decimal(repr(float(op.value))).scaleb(scale))
    if isinstance(op.value, bool | int | str):
        return op.value
    raise NotCompiledError(f"a literal of {op.dtype}")


# Into another kind


def as_float(steps: Steps, op: Op) -> Register:
    """The register of a value as float64."""
    register, scale = steps.value(op), kind(steps, op)
    if scale == FLOAT or op.dtype.is_null():
        return register
    one, many = partial(_float_of, scale), partial(_floats_of, scale)
    return steps.once((register, "float"), lambda: steps.either(op, one, many, [register]))


def _float_of(scale: int, number: Scalar) -> Scalar:
    return None if number is None else decimal_to_float(int(number), scale)


def _floats_of(scale: int, column: Column) -> Column:
    return Column(decimals_to_floats(column.values, scale), column.known)


def as_scale(steps: Steps, op: Op, scale: int) -> Register:
    """The register of a whole number or decimal as a whole number of 10 ** -scale; the scale never falls."""
    register, factor = steps.value(op), 10 ** (scale - kind(steps, op))
    if factor == 1 or op.dtype.is_null():
        return register
    one, many = partial(_times, factor), partial(_all_times, factor)
    return steps.once((register, factor), lambda: steps.either(op, one, many, [register]))


def _times(factor: int, number: Scalar) -> Scalar:
    return None if number is None else int(number) * factor


def _all_times(factor: int, column: Column) -> Column:
    return Column(scaled(column.values, factor), column.known)


def alike(steps: Steps, operands: Iterable[Op], *others: Op) -> list[Register]:
    """The registers of values in the kind that can hold all of them, and ``others`` besides."""
    operands = list(operands)
    shared = common(steps, (*operands, *others))
    return [as_float(steps, o) if shared == FLOAT else as_scale(steps, o, shared) for o in operands]


def factors(steps: Steps, operands: Iterable[Op]) -> list[Register]:
    """The registers of what is multiplied."""
    operands = list(operands)
    kinds = [kind(steps, operand) for operand in operands]
    if FLOAT in kinds:
        return [as_float(steps, operand) for operand in operands]
    registers = [steps.value(operand) for operand in operands]
    if not any(kinds):
        return registers
    # The product of two decimals may need more than 64 bits: Python's numbers have them.
    return [steps.step(_unbounded, r) if has_rows(o) else r for o, r in zip(operands, registers, strict=True)]


def _unbounded(column: Column) -> Column:
    return Column(column.values.astype(object), column.known)


def compile_cast(steps: Steps, op: Op) -> Register:
    """The register of a value in another type.

    Raises:
        NotCompiledError: a cast that is not known here.
    """
    target, dtype = op.to, op.arg.dtype
    number = dtype.is_numeric() or dtype.is_boolean() or dtype.is_null()
    if target.is_floating() and number:
        return as_float(steps, op.arg)
    if target.is_decimal() and number:
        return _to_decimal(steps, op)
    if target.is_integer() and dtype.is_boolean():
        return steps.either(op, _int_of, _ints_of, [steps.value(op.arg)])
    same = target == dtype or (target.is_integer() and dtype.is_integer()) or dtype.is_null()
    if same and kind(steps, op.arg) == 0:
        return steps.value(op.arg)
    raise NotCompiledError(f"a cast of {dtype} to {target}")


def _to_decimal(steps: Steps, op: Op) -> Register:
    scale, given = kind(steps, op), kind(steps, op.arg)
    if given == FLOAT:
        return steps.either(op, partial(decimal_of, scale), partial(decimals_of, scale), [steps.value(op.arg)])
    if given > scale:
        raise NotCompiledError("a cast to a decimal with fewer digits")
    return as_scale(steps, op.arg, scale)


def _int_of(flag: Scalar) -> Scalar:
    return None if flag is None else int(flag)


def _ints_of(column: Column) -> Column:
    return Column(column.values.astype(np.int64), column.known)
