"""Values: what each operation of a definition becomes."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import ibis.expr.operations as ops

from features.engine.single import logic
from features.engine.single.arithmetic import STRICT, strict_column, strict_scalar
from features.engine.single.kinds import alike, as_float, common, compile_cast, factors, kind, literal
from features.engine.single.partitions import compile_window
from features.engine.single.steps import Function, NotCompiledError, Op, Register, Steps
from features.engine.single.wording import of_words

_ALIKE = (
    ops.Add
    | ops.Subtract
    | ops.Equals
    | ops.NotEquals
    | ops.Greater
    | ops.GreaterEqual
    | ops.Less
    | ops.LessEqual
    | ops.Between
)
_OF_FLOATS = ops.Divide | ops.Sqrt | ops.Exp | ops.Ln | ops.IsNan | ops.IsInf


def compile_value(steps: Steps, op: Op) -> Register:
    """The register of a value that is no column of a relation.

    Raises:
        NotCompiledError: an operation that these steps do not know.
    """
    for kinds, compile_one in _COMPILERS:
        if isinstance(op, kinds):
            return compile_one(steps, op)
    return _strict(steps, op)


def _literal(steps: Steps, op: Op) -> Register:
    return steps.constant(literal(steps, op))


def _alias(steps: Steps, op: Op) -> Register:
    return steps.value(op.arg)


def _and(steps: Steps, op: Op) -> Register:
    return steps.either(op, logic.and_scalar, logic.and_column, [steps.value(arg) for arg in op.args])


def _or(steps: Steps, op: Op) -> Register:
    return steps.either(op, logic.or_scalar, logic.or_column, [steps.value(arg) for arg in op.args])


def _is_null(steps: Steps, op: Op) -> Register:
    return steps.either(op, logic.is_null_scalar, logic.is_null_column, [steps.value(op.arg)])


def _not_null(steps: Steps, op: Op) -> Register:
    return steps.either(op, logic.not_null_scalar, logic.not_null_column, [steps.value(op.arg)])


def _nullif(steps: Steps, op: Op) -> Register:
    # The result keeps the kind of the first, whatever kind the two are compared in.
    pair = alike(steps, [op.arg, op.null_if_expr])
    args = [steps.value(op.arg), *pair]
    return steps.either(op, logic.nullif_scalar, _wording(op, logic.nullif_column), args)


def _coalesce(steps: Steps, op: Op) -> Register:
    column = _wording(op, logic.coalesce_column)
    return steps.either(op, logic.coalesce_scalar, column, alike(steps, op.arg))


def _if(steps: Steps, op: Op) -> Register:
    return _cases(steps, op, [op.bool_expr], [op.true_expr], op.false_null_expr)


def _case(steps: Steps, op: Op) -> Register:
    return _cases(steps, op, list(op.cases), list(op.results), op.default)


def _cases(steps: Steps, op: Op, cases: list[Op], results: list[Op], default: Op) -> Register:
    args = [*(steps.value(case) for case in cases), *alike(steps, [*results, default])]
    column = partial(logic.case_column, len(cases))
    return steps.either(op, partial(logic.case_scalar, len(cases)), _wording(op, column, len(cases)), args)


def _in(steps: Steps, op: Op) -> Register:
    if any(not isinstance(option, ops.Literal) or option.value is None for option in op.options):
        raise NotCompiledError("IN of something computed, or of NULL")
    words = op.value.dtype.is_string()
    column = of_words(logic.in_column) if words else logic.in_column
    return steps.either(op, logic.in_scalar, column, alike(steps, [op.value, *op.options]))


def _wording(op: Op, function: Function, conditions: int = 0) -> Function:
    return of_words(function, conditions) if op.dtype.is_string() else function


def _rounded(steps: Steps, op: Op) -> Register:
    """Down, or up: decimals without a detour through float64."""
    scale, target = kind(steps, op.arg), kind(steps, op)
    up = isinstance(op, ops.Ceil)
    scalar, column = partial(logic.round_scalar, scale, target, up), partial(logic.round_column, scale, target, up)
    return steps.either(op, scalar, column, [steps.value(op.arg)])


def _strict(steps: Steps, op: Op) -> Register:
    if type(op) not in STRICT:
        raise NotCompiledError(type(op).__name__)
    arity, scalar, column = STRICT[type(op)]
    operands = [arg for arg in op.args if isinstance(arg, ops.Value)]
    words = any(operand.dtype.is_string() for operand in operands)
    if words and not isinstance(op, ops.Equals | ops.NotEquals):
        raise NotCompiledError(f"{type(op).__name__} of words")
    run = strict_column(column)
    if isinstance(op, _OF_FLOATS):
        args = [as_float(steps, operand) for operand in operands]
    elif isinstance(op, ops.Multiply):
        args = factors(steps, operands)
    elif isinstance(op, _ALIKE):
        args = alike(steps, operands)
        run = of_words(run) if words else run
        if isinstance(op, ops.Add | ops.Subtract) and common(steps, operands) >= 0:
            run = logic.kept_exact(run)
    else:
        args = [steps.value(operand) for operand in operands]
    return steps.either(op, strict_scalar(scalar, arity), run, args)


_COMPILERS: tuple[tuple[type[ops.Node], Callable[[Steps, Op], Register]], ...] = (
    (ops.Literal, _literal),
    (ops.Alias, _alias),
    (ops.Cast, compile_cast),
    (ops.WindowFunction, compile_window),
    (ops.And, _and),
    (ops.Or, _or),
    (ops.IsNull, _is_null),
    (ops.NotNull, _not_null),
    (ops.NullIf, _nullif),
    (ops.Coalesce, _coalesce),
    (ops.IfElse, _if),
    (ops.SearchedCase, _case),
    (ops.InValues, _in),
    (ops.Floor, _rounded),
    (ops.Ceil, _rounded),
)
