"""A feature table, compiled once into a list of steps that run on the rows of one customer.

The steps are those of the Ibis expression, each distinct part once. A relation with at most one row (the customer,
and whatever is aggregated per customer) has scalars for columns; the others have NumPy columns.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import ibis.expr.operations as ops
import numpy as np

from features.engine.definition import Rows
from features.engine.single import arithmetic as do
from features.engine.single import groups as by
from features.engine.single.values import (
    Column,
    Scalar,
    both_known,
    decimal_to_float,
    decimals,
    decimals_to_floats,
    exact,
    spread_out,
)

Table = Mapping[str, Column]
Register = int
Step = tuple[Callable[..., Any], Register, tuple[Register, ...]]
_CUSTOMER = "customer_id"
_ONE = frozenset({_CUSTOMER, "account_id"})
"""Keys of which the rows of one customer have one value."""


class NotCompiledError(Exception):
    """An operation that these steps do not know: the feature is left to DuckDB."""


class Program:
    """Runs a feature table on one customer's rows.

    Raises:
        NotCompiledError: the table uses an operation that is not known here.
    """

    def __init__(self, table: Rows) -> None:
        compiler = _Compiler()
        relation = table.op()
        self.names = [name for name in relation.schema.names if name != _CUSTOMER]
        self._outputs = [compiler.column(relation, name) for name in self.names]
        self._inputs = compiler.inputs
        self._run = _assembled(compiler, self._outputs)

    def run(self, tables: Mapping[str, Table], customer: Mapping[str, Scalar]) -> list[Scalar]:
        """The features' values, in order; None where unknown.

        Args:
            tables: name of a scoped table -> its columns, one row per event.
            customer: the columns of ``scoped_customers``, one value each.
        """
        return self._run(
            *(customer[name] if table == "scoped_customers" else tables[table][name] for _, table, name in self._inputs)
        )


def _assembled(compiler: _Compiler, outputs: list[Register]) -> Callable[..., list[Scalar]]:
    """The steps as one Python function: a loop over them would cost as much again as the steps do.

    Its text is made of register numbers only; functions and constants are handed in beside it.
    """
    parameters = ", ".join(f"v{register}" for register, _, _ in compiler.inputs)
    lines = [f"def run({parameters}):"]
    lines += [
        f"    v{out} = f{i}({', '.join(f'v{a}' for a in args)})" for i, (_, out, args) in enumerate(compiler.steps)
    ]
    lines.append(f"    return [{', '.join(f'v{register}' for register in outputs)}]")
    names: dict[str, Any] = {f"v{register}": value for register, value in enumerate(compiler.constants)}
    names |= {f"f{i}": function for i, (function, _, _) in enumerate(compiler.steps)}
    exec("\n".join(lines), names)
    return names["run"]


class _Compiler:
    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.inputs: list[tuple[Register, str, str]] = []
        self.constants: list[Any] = []
        self._known: dict[Any, Register] = {}
        self._floats: dict[Register, Register] = {}

    # Registers

    def _new(self, value: Any = None) -> Register:
        self.constants.append(value)
        return len(self.constants) - 1

    def _step(self, function: Callable[..., Any], *args: Register) -> Register:
        out = self._new()
        self.steps.append((function, out, args))
        return out

    def _once(self, key: Any, make: Callable[[], Register]) -> Register:
        if key not in self._known:
            self._known[key] = make()
        return self._known[key]

    # Relations

    def _single(self, relation: ops.Relation) -> bool:
        if isinstance(relation, ops.UnboundTable):
            return relation.name == "scoped_customers"
        if isinstance(relation, ops.Aggregate):
            return _ONE.issuperset(relation.groups)
        if isinstance(relation, ops.JoinChain):
            return self._single(relation.first.parent)
        return self._single(relation.parent)

    def column(self, relation: ops.Relation, name: str) -> Register:
        """The register of a relation's column."""
        return self._once((relation, name), lambda: self._column(relation, name))

    def _column(self, relation: ops.Relation, name: str) -> Register:
        match relation:
            case ops.UnboundTable():
                register = self._new()
                self.inputs.append((register, relation.name, name))
                return register
            case ops.JoinReference() | ops.DropColumns() | ops.Sort():
                return self.column(relation.parent, name)
            case ops.Project():
                return self.value(relation.values[name])
            case ops.JoinChain():
                return self._joined(relation, name)
            case ops.Filter():
                return self._step(Column.take, self.column(relation.parent, name), self._filtered(relation))
            case ops.Aggregate():
                return self._aggregated(relation, name)
            case _:
                raise NotCompiledError(type(relation).__name__)

    def _joined(self, relation: ops.JoinChain, name: str) -> Register:
        if any(link.how != "left" for link in relation.rest):
            raise NotCompiledError("a join that is no left join")
        value = relation.values[name]
        if self._single(relation) or self._has_rows(value):
            return self.value(value)
        # What there is once per customer, beside each of the rows.
        return self._step(spread_out, self.value(value), self._any_column(relation.first))

    def _filtered(self, relation: ops.Filter) -> Register:
        if self._single(relation):
            raise NotCompiledError("Filter of customers")

        def rows(*conditions: Column) -> Any:
            return np.flatnonzero(np.logical_and.reduce([condition.passes() for condition in conditions]))

        return self._once((relation, "rows"), lambda: self._step(rows, *(self.value(p) for p in relation.predicates)))

    def _aggregated(self, relation: ops.Aggregate, name: str) -> Register:
        keys = [key for group, key in relation.groups.items() if group not in _ONE]
        if name in relation.metrics:
            return self._reduced(relation.metrics[name], relation, keys)
        if name in _ONE:
            raise NotCompiledError("the customer's id within a definition")
        key = self.value(relation.groups[name])
        return self._step(lambda column, groups: column.take(groups.first), key, self._groups(relation, keys))

    def _groups(self, relation: ops.Aggregate, keys: list[ops.Value]) -> Register:
        return self._once(
            (relation, "groups"),
            lambda: self._step(lambda *columns: by.group_by(list(columns)), *(self.value(key) for key in keys)),
        )

    # Aggregates

    def _reduced(self, metric: ops.Value, relation: ops.Aggregate, keys: list[ops.Value]) -> Register:
        if not isinstance(metric, ops.Reduction):
            raise NotCompiledError("an aggregate of aggregates in one grouping")
        if isinstance(metric, ops.CountStar):
            # Any column tells how many rows there are; the first one the relation has.
            arg = self._any_column(relation.parent)
        else:
            arg = self.value(metric.args[0])
        where = self._new() if metric.where is None else self.value(metric.where)
        if isinstance(metric, ops.ArgMax | ops.ArgMin):
            if keys:
                raise NotCompiledError("argmax by group")
            largest = isinstance(metric, ops.ArgMax)

            def extreme(value: Column, key: Column, condition: Column | None) -> Scalar:
                found = by.at_extreme(value, key, condition, largest=largest)
                return _plain(found)

            return self._step(extreme, arg, self.value(metric.key), where)
        if keys:
            return self._step(_GROUPED[type(metric)], arg, where, self._groups(relation, keys))
        try:
            return self._step(_WHOLE[type(metric)], arg, where)
        except KeyError as error:
            raise NotCompiledError(type(metric).__name__) from error

    def _any_column(self, relation: ops.Relation) -> Register:
        names = [name for name in relation.schema.names if name != _CUSTOMER]
        # days_ago is in every view and, unlike others, costs nothing more to have.
        return self.column(relation, "days_ago" if "days_ago" in names else names[-1])

    # Values

    def value(self, op: ops.Value) -> Register:
        """The register of a value."""
        if isinstance(op, ops.Field):
            return self.column(op.rel, op.name)
        return self._once(op, lambda: self._value(op))

    def _value(self, op: ops.Value) -> Register:
        match op:
            case ops.Literal():
                return self._new(_literal(op))
            case ops.Alias():
                return self.value(op.arg)
            case ops.Cast():
                return self._cast(op)
            case ops.WindowFunction():
                return self._window(op)
            case ops.And() | ops.Or():
                scalar, column = (
                    (do.and_scalar, do.and_column) if isinstance(op, ops.And) else (do.or_scalar, do.or_column)
                )
                return self._either(op, scalar, column, [self.value(a) for a in op.args])
            case ops.IsNull():
                return self._either(op, lambda a: a is None, do.is_null_column, [self.value(op.arg)])
            case ops.NotNull():
                present = lambda a: Column(~a.nulls())  # noqa: E731
                return self._either(op, lambda a: a is not None, present, [self.value(op.arg)])
            case ops.NullIf():
                pair = self._alike([op.arg, op.null_if_expr])
                return self._either(op, lambda a, b: None if a == b else a, do.nullif_column, pair)
            case ops.Coalesce():
                return self._either(op, do.coalesce_scalar, do.coalesce_column, self._alike(op.arg))
            case ops.IfElse():
                return self._case(op, [op.bool_expr], [op.true_expr], op.false_null_expr)
            case ops.SearchedCase():
                return self._case(op, op.cases, op.results, op.default)
            case ops.InValues():
                return self._in(op)
            case _:
                return self._strict(op)

    def _either(
        self, op: ops.Value, scalar: Callable[..., Any], column: Callable[..., Any], args: list[Register]
    ) -> Register:
        return self._step(column if self._has_rows(op) else scalar, *args)

    def _has_rows(self, op: ops.Node) -> bool:
        """Whether the value is a column with a row per event."""
        if isinstance(op, ops.Field):
            return not self._single(op.rel)
        if isinstance(op, ops.Reduction):
            return False
        return any(self._has_rows(child) for child in op.__children__ if isinstance(child, ops.Value))

    def _strict(self, op: ops.Value) -> Register:
        if type(op) not in do.STRICT:
            raise NotCompiledError(type(op).__name__)
        scalar, column = do.STRICT[type(op)]
        operands: list[ops.Value] = [arg for arg in op.args if isinstance(arg, ops.Value)]
        if any(operand.dtype.is_string() for operand in operands):
            return self._words(op, operands)
        if isinstance(op, do.TO_FLOAT):
            args = [self._float(operand) for operand in operands]
        elif isinstance(op, do.NUMBERS_ALIKE):
            args = self._alike(operands)
        elif isinstance(op, ops.Multiply):
            args = self._factors(operands)
        else:
            args = [self.value(operand) for operand in operands]
        return self._either(op, do.strict_scalar(scalar), do.strict_column(column), args)

    def _words(self, op: ops.Value, operands: list[ops.Value]) -> Register:
        """A column of words compared with a word."""
        if not isinstance(op, ops.Equals | ops.NotEquals):
            raise NotCompiledError(f"{type(op).__name__} of words")
        same = isinstance(op, ops.Equals)

        def compare(a: Column, b: Column | str) -> Column:
            assert a.words is not None
            if isinstance(b, Column):
                equal, known = a.values == _same_codes(a, b), both_known(a, b)
            else:
                equal, known = a.values == a.words.get(b, -2), a.known
            return Column(equal if same else ~equal, known)

        scalar = lambda a, b: None if a is None or b is None else (a == b) is same  # noqa: E731
        return self._either(op, scalar, compare, [self.value(operand) for operand in operands])

    def _in(self, op: ops.InValues) -> Register:
        if not all(isinstance(option, ops.Literal) for option in op.options):
            raise NotCompiledError("IN of something computed")
        options = [_literal(option) for option in op.options]

        def member(column: Column) -> Column:
            wanted = options if column.words is None else [column.words.get(option, -2) for option in options]
            return Column(np.isin(column.values, wanted), column.known)

        return self._either(op, lambda a: None if a is None else a in options, member, [self.value(op.value)])

    def _case(self, op: ops.Value, cases: Any, results: Any, default: ops.Value) -> Register:
        branches = self._alike([*results, default])
        args = [*(self.value(case) for case in cases), *branches]
        return self._either(op, do.case_scalar(len(results)), do.case_column(len(results)), args)

    # Kinds of numbers: every decimal is a whole number of 10 ** -scale

    def scale(self, op: ops.Value) -> int | None:
        """The scale of a decimal as computed here; None for other kinds."""
        if not op.dtype.is_decimal():
            return None
        match op:
            case ops.Multiply():
                return sum(self.scale(arg) or 0 for arg in op.args)
            case ops.Field() if isinstance(op.rel, ops.UnboundTable):
                return op.dtype.scale
            case ops.Field():
                return self.scale(_source(op))
            case ops.Cast():
                return op.dtype.scale
            case ops.Literal():
                raise NotCompiledError("a decimal literal")
            case ops.Sum() | ops.Max() | ops.Min() | ops.ArgMax() | ops.ArgMin():
                return self.scale(op.args[0])
            case ops.WindowFunction():
                return self.scale(op.func.args[0])
            case _:
                scales = [self.scale(child) for child in _numbers(op)]
                return max(scale for scale in scales if scale is not None)

    def _float(self, op: ops.Value) -> Register:
        register, scale = self.value(op), self.scale(op)
        if scale is None and op.dtype.is_floating():
            return register

        def make() -> Register:
            if scale is None:
                return self._either(op, _to_float, _column_to_float, [register])
            to_float = lambda a: None if a is None else decimal_to_float(int(a), scale)  # noqa: E731
            columns = lambda c: Column(decimals_to_floats(c.values, scale), c.known)  # noqa: E731
            return self._either(op, to_float, columns, [register])

        return self._once((register, "float"), make)

    def _scaled(self, op: ops.Value, scale: int) -> Register:
        factor = 10 ** (scale - (self.scale(op) or 0))
        if factor == 1:
            return self.value(op)
        whole = lambda a: None if a is None else int(a) * factor  # noqa: E731
        columns = lambda c: Column(exact(c.values * factor), c.known)  # noqa: E731
        return self._once((self.value(op), factor), lambda: self._either(op, whole, columns, [self.value(op)]))

    def _alike(self, operands: Any) -> list[Register]:
        numbers = [operand for operand in operands if not operand.dtype.is_null()]
        if any(operand.dtype.is_floating() for operand in numbers):
            return [self.value(o) if o.dtype.is_null() else self._float(o) for o in operands]
        scales = [scale for scale in map(self.scale, numbers) if scale is not None]
        if not scales:
            return [self.value(operand) for operand in operands]
        return [self.value(o) if o.dtype.is_null() else self._scaled(o, max(scales)) for o in operands]

    def _factors(self, operands: list[ops.Value]) -> list[Register]:
        if any(operand.dtype.is_floating() for operand in operands):
            return [self._float(operand) for operand in operands]
        if all(self.scale(operand) is None for operand in operands):
            return [self.value(operand) for operand in operands]
        # The product of two decimals may need more than 64 bits: Python's numbers have them.
        objects = lambda c: Column(c.values.astype(object), c.known)  # noqa: E731
        return [
            self._step(objects, self.value(operand)) if self._has_rows(operand) else self.value(operand)
            for operand in operands
        ]

    def _cast(self, op: ops.Cast) -> Register:
        target, source = op.to, op.arg.dtype
        if target.is_floating():
            return self._float(op.arg)
        if target == source or (target.is_integer() and source.is_integer()):
            return self.value(op.arg)
        if target.is_integer() and source.is_boolean():
            return self._either(op, lambda a: None if a is None else int(a), _column_to_int, [self.value(op.arg)])
        if target.is_decimal() and source.is_floating():
            scale = target.scale
            one = lambda a: None if a is None else int(decimals(np.array([a]), scale)[0])  # noqa: E731
            many = lambda c: Column(decimals(np.where(c.nulls(), 0.0, c.values), scale), c.known)  # noqa: E731
            return self._either(op, one, many, [self.value(op.arg)])
        if target.is_decimal() and (source.is_integer() or (self.scale(op.arg) or 0) <= target.scale):
            return self._scaled(op.arg, target.scale)
        raise NotCompiledError(f"Cast {source} to {target}")

    # Windows over a customer's rows

    def _window(self, op: ops.WindowFunction) -> Register:
        if op.start is not None or op.end is not None:
            raise NotCompiledError("a window frame")
        keys = [key for key in op.group_by if not (isinstance(key, ops.Field) and key.name == _CUSTOMER)]
        order = [self.value(key.arg) for key in op.order_by]
        if not order or not all(key.ascending for key in op.order_by):
            raise NotCompiledError("a window without a rising order")
        ranks = [*(self.value(key) for key in keys), *order]
        order_of = self._once(("order", *ranks), lambda: self._step(_sorted_rows, *ranks))
        same = self._once(
            ("same", order_of, len(keys)),
            lambda: self._step(_same_partition, order_of, *(self.value(key) for key in keys)),
        )
        match op.func:
            case ops.RowNumber():
                return self._step(_row_numbers, order_of, same)
            case ops.Lead() | ops.Lag() if op.func.offset is None and op.func.default is None:
                step = 1 if isinstance(op.func, ops.Lead) else -1
                shift = lambda column, rows, same_as_before: _shifted(column, rows, same_as_before, step)  # noqa: E731
                return self._step(shift, self.value(op.func.arg), order_of, same)
            case _:
                raise NotCompiledError(type(op.func).__name__)


def _same_codes(a: Column, b: Column) -> Any:
    """The values of ``b`` in the codes of ``a``."""
    assert a.words is not None and b.words is not None
    if a.words is b.words or not len(b.values):
        return b.values
    return np.array([*(a.words.get(word, -2) for word in b.words), -2])[b.values]


def _source(op: ops.Field) -> ops.Value:
    relation: Any = op.rel
    while isinstance(relation, ops.JoinReference | ops.DropColumns | ops.Filter | ops.Sort):
        relation = relation.parent
    if isinstance(relation, ops.UnboundTable):
        return ops.Field(relation, op.name)
    if isinstance(relation, ops.Aggregate):
        return relation.metrics[op.name] if op.name in relation.metrics else relation.groups[op.name]
    return relation.values[op.name]


def _numbers(op: ops.Value) -> list[ops.Value]:
    found: list[ops.Value] = []
    for child in op.__children__:
        if isinstance(child, ops.Value) and (child.dtype.is_decimal() or child.dtype.is_integer()):
            found.append(child)
    return found


def _literal(op: ops.Literal) -> Scalar:
    if op.value is None or isinstance(op.value, bool | int | float | str):
        return float(op.value) if op.dtype.is_floating() and op.value is not None else op.value
    raise NotCompiledError(f"a literal of {op.dtype}")


def _plain(value: Scalar) -> Scalar:
    return value.item() if isinstance(value, np.generic) else value


def _to_float(value: Scalar) -> Scalar:
    return None if value is None else float(value)


def _column_to_float(column: Column) -> Column:
    return Column(column.values.astype(np.float64), column.known)


def _column_to_int(column: Column) -> Column:
    return Column(column.values.astype(np.int64), column.known)


def _sorted_rows(*ranks: Column) -> Any:
    return np.lexsort([rank.values for rank in reversed(ranks)])


def _same_partition(rows: Any, *keys: Column) -> Any:
    """For each row in order but the first: whether it belongs to the partition of the one before."""
    same = np.ones(max(len(rows) - 1, 0), dtype=bool)
    for key in keys:
        ordered = key.values[rows]
        same &= ordered[1:] == ordered[:-1]
    return same


def _row_numbers(rows: Any, same: Any) -> Column:
    places = np.arange(len(rows))
    starts = np.r_[0, np.flatnonzero(~same) + 1] if len(rows) else np.zeros(0, dtype=np.int64)
    start_of = starts[np.searchsorted(starts, places, side="right") - 1] if len(rows) else starts
    numbers = np.empty(len(rows), dtype=np.int64)
    numbers[rows] = places - start_of
    return Column(numbers)


def _shifted(column: Column, rows: Any, same: Any, step: int) -> Column:
    values, known = np.zeros_like(column.values), np.zeros(len(rows), dtype=bool)
    present = ~column.nulls()
    at, of = (rows[:-1], rows[1:]) if step == 1 else (rows[1:], rows[:-1])
    values[at[same]] = column.values[of[same]]
    known[at[same]] = present[of[same]]
    return Column(values, known, column.words)


def _summed(values: Any) -> Scalar:
    # float64 in the order of rows, as an engine with one thread does; whole numbers exactly.
    return sum(values.tolist()) if values.dtype == np.float64 else int(values.sum())


def _scalar(reduce: Callable[[Any], Any]) -> Callable[[Column, Column | None], Scalar]:
    return lambda arg, where: _plain(by.whole(reduce, arg, where))


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


_WHOLE: dict[type[ops.Value], Callable[[Column, Column | None], Scalar]] = {
    ops.Sum: _scalar(_summed),
    ops.Max: _scalar(lambda values: values.max()),
    ops.Min: _scalar(lambda values: values.min()),
    ops.Count: _count,
    ops.CountStar: _count_rows,
    ops.CountDistinct: _count_distinct,
}
_GROUPED: dict[type[ops.Value], Callable[[Column, Column | None, by.Groups], Column]] = {
    ops.Sum: lambda arg, where, groups: by.per_group(np.add, arg, where, groups),
    ops.Max: lambda arg, where, groups: by.per_group(np.maximum, arg, where, groups),
    ops.Min: lambda arg, where, groups: by.per_group(np.minimum, arg, where, groups),
    ops.Count: lambda arg, where, groups: by.count_per_group(by.chosen(arg, where), groups),
    ops.CountStar: lambda arg, where, groups: by.count_per_group(by.chosen(Column(arg.values), where), groups),
    ops.CountDistinct: by.distinct_per_group,
}
__all__ = ["NotCompiledError", "Program"]
