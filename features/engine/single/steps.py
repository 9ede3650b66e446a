"""What every part of the compiler shares: registers, steps, each made once, and what is a row per event."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Hashable
from typing import Any

import ibis.expr.operations as ops

from features.engine.single.values import spread_out

# Ibis builds its nodes' attributes at run time: statically every one of them would be refused.
Op = Any
Relation = Any
Function = Callable[..., Any]
Register = int
Step = tuple[Function, Register, tuple[Register, ...]]
CUSTOMER = "customer_id"
ONE = frozenset({CUSTOMER, "account_id"})
"""Keys of which the rows of one customer have one value."""


class NotCompiledError(Exception):
    """An operation that these steps do not know: the feature is left to DuckDB."""


class Steps(ABC):
    """The steps so far. A register holds a scalar, a column, or something that only steps know (groups, an order).

    Attributes:
        steps: in an order in which they can run.
        inputs: register, scoped table and column of what is handed in.
        constants: what each register holds before any step; None for those that a step fills.
        kinds: see :func:`features.engine.single.kinds.kind`.
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.inputs: list[tuple[Register, str, str]] = []
        self.constants: list[Any] = []
        self.kinds: dict[Op, int] = {}
        self._made: dict[Hashable, Register] = {}

    @abstractmethod
    def value(self, op: Op) -> Register:
        """The register of a value."""

    @abstractmethod
    def column(self, relation: Relation, name: str) -> Register:
        """The register of a relation's column."""

    def constant(self, value: Any = None) -> Register:
        """A register that holds a value."""
        self.constants.append(value)
        return len(self.constants) - 1

    def handed_in(self, table: str, name: str) -> Register:
        """The register of a scoped table's column."""
        register = self.constant()
        self.inputs.append((register, table, name))
        return register

    def step(self, function: Function, *args: Register) -> Register:
        """The register of what a function makes of others."""
        out = self.constant()
        self.steps.append((function, out, args))
        return out

    def once(self, key: Hashable, make: Callable[[], Register]) -> Register:
        """What was made under this key before, or is made now."""
        if key not in self._made:
            self._made[key] = make()
        return self._made[key]

    def either(self, op: Op, scalar: Function, column: Function, args: list[Register]) -> Register:
        """A step by the function that fits: of rows, or of scalars alone."""
        return self.step(column if has_rows(op) else scalar, *args)

    def rows_of(self, op: Op, relation: Relation) -> Register:
        """A value with a row for each of the relation's, be it the same one in all."""
        if has_rows(op):
            return self.value(op)
        return self.step(spread_out, self.value(op), self.any_column(relation))

    def any_column(self, relation: Relation) -> Register:
        """A column of the relation, for its number of rows."""
        names = [name for name in relation.schema.names if name not in ONE]
        if not names:
            raise NotCompiledError("rows that have nothing but the customer's id")
        # days_ago is in every view and, unlike others, costs nothing more to have.
        return self.column(relation, "days_ago" if "days_ago" in names else names[-1])


def is_single(relation: Relation) -> bool:
    """Whether a relation has at most one row, so that its columns are scalars."""
    match relation:
        case ops.UnboundTable():
            return relation.name == "scoped_customers"
        case ops.Aggregate():
            return bool(relation.groups) and ONE.issuperset(relation.groups)
        case ops.JoinChain():
            return is_single(relation.first)
        case ops.JoinReference() | ops.DropColumns() | ops.Sort() | ops.Project() | ops.Filter():
            return is_single(relation.parent)
        case _:
            raise NotCompiledError(type(relation).__name__)


def has_rows(op: Op) -> bool:
    """Whether the value is a column with a row per event."""
    if isinstance(op, ops.Field):
        return not is_single(op.rel)
    if isinstance(op, ops.Reduction):
        return False
    return any(has_rows(child) for child in op.__children__ if isinstance(child, ops.Value))


def source(op: Op) -> Op:
    """What a relation's column is made from: a value, or a column of a table."""
    relation = op.rel
    while isinstance(relation, ops.JoinReference | ops.DropColumns | ops.Filter | ops.Sort):
        relation = relation.parent
    match relation:
        case ops.UnboundTable():
            return ops.Field(relation, op.name)
        case ops.Aggregate():
            return relation.metrics[op.name] if op.name in relation.metrics else relation.groups[op.name]
        case ops.JoinChain() | ops.Project():
            return relation.values[op.name]
        case _:
            raise NotCompiledError(type(relation).__name__)


def is_key(op: Op) -> bool:
    """Whether a value is one of the keys of which one customer has one value."""
    while isinstance(op, ops.Field):
        if isinstance(op.rel, ops.UnboundTable):
            return op.name in ONE
        op = source(op)
    return False
