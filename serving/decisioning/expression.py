"""Boolean expressions over columns, evaluated with SQL's three-valued logic.

Every node answers twice: for a column of rows in numpy, and for one row in plain values, since numpy takes longer to
begin than a rule takes on a few customers. For one row a node becomes a function once, and the commonest conditions
have functions of their own: to walk the tree takes longer than to compare. Both answers are DuckDB's (with
``ieee_floating_point_ops = false``, so that a division by zero is NULL and not infinity), which the tests take as the
oracle.
"""

from __future__ import annotations

import math
import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from serving.decisioning.columns import Bools, Cell, Columns, Ints, Kind, Row, Vector, spread

CellOf = Callable[[Row], Cell]  # one row's value of an expression
FUNCTIONS = ("abs", "coalesce", "greatest", "least", "lower", "upper")


class KindError(Exception):
    """An operator met a type that it does not take; the message says which."""


class Expression(ABC):
    """A node of a parsed rule."""

    @property
    def children(self) -> tuple[Expression, ...]:
        """The nodes below, in the order in which they were written."""
        return ()

    @abstractmethod
    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """The type of the result when the columns have the types in ``fields`` (absent: unknown).

        Raises:
            KindError: the types do not fit.
        """

    @abstractmethod
    def evaluate(self, columns: Columns) -> Vector:
        """The value in each row; shape (rows,), or () for a constant."""

    @cached_property
    def cell(self) -> CellOf:
        """The value in one row of :attr:`Columns.cells`, the same as ``evaluate`` has there; None for NULL."""
        return self._cell()

    @abstractmethod
    def _cell(self) -> CellOf:
        """What :attr:`cell` keeps, built from the children's."""


@dataclass(frozen=True, slots=True)
class Literal(Expression):
    """A number, a text, TRUE or FALSE."""

    value: float | str | bool

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """The literal's own type."""
        if isinstance(self.value, bool):
            return Kind.BOOLEAN
        return Kind.TEXT if isinstance(self.value, str) else Kind.NUMBER

    def evaluate(self, columns: Columns) -> Vector:
        """A constant of shape ()."""
        kind = self.kind({})
        return Vector(kind, np.array(self.value, dtype=object if kind is Kind.TEXT else None), np.array(False))

    def _cell(self) -> CellOf:
        value = self.value
        return lambda _: value


@dataclass(frozen=True, slots=True)
class Field(Expression):
    """A column."""

    name: str

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """The column's type."""
        return fields.get(self.name, Kind.UNKNOWN)

    def evaluate(self, columns: Columns) -> Vector:
        """The column."""
        return columns.vector(self.name)

    def _cell(self) -> CellOf:
        return operator.itemgetter(self.name)


_ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": np.true_divide,
}
_CELL_ARITHMETIC = _ARITHMETIC | {"/": operator.truediv}


@dataclass(frozen=True, slots=True)
class Arithmetic(Expression):
    """``left operator right``; a result that is no finite number (division by zero, overflow) is NULL."""

    operator: str
    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """Both operands."""
        return (self.left, self.right)

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A number, of numbers."""
        for child in self.children:
            _require(child, Kind.NUMBER, fields, f"'{self.operator}'")
        return Kind.NUMBER

    def evaluate(self, columns: Columns) -> Vector:
        """Float64 arithmetic."""
        left, right = self.left.evaluate(columns), self.right.evaluate(columns)
        with np.errstate(all="ignore"):
            values = np.asarray(_ARITHMETIC[self.operator](left.values, right.values), dtype=np.float64)
        finite = np.isfinite(values)
        return Vector(Kind.NUMBER, np.where(finite, values, 0.0), np.asarray(left.null | right.null | ~finite))

    def _cell(self) -> CellOf:
        left_of, right_of, compute = self.left.cell, self.right.cell, _CELL_ARITHMETIC[self.operator]
        divides = self.operator == "/"

        def computed(row: Row) -> Cell:
            left, right = left_of(row), right_of(row)
            if left is None or right is None or (divides and right == 0):
                return None
            value = compute(left, right)
            return value if math.isfinite(value) else None

        return computed


_COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


@dataclass(frozen=True, slots=True)
class Comparison(Expression):
    """``left operator right``; texts compare by code point, as UTF-8 bytes do."""

    operator: str
    left: Expression
    right: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """Both operands."""
        return (self.left, self.right)

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A boolean, of two values of one type; booleans are only equal or not."""
        common = _common_kind(self.children, fields, f"'{self.operator}'")
        if common is Kind.BOOLEAN and self.operator not in ("=", "<>"):
            raise KindError(f"'{self.operator}' orders numbers or texts, not booleans")
        return Kind.BOOLEAN

    def evaluate(self, columns: Columns) -> Vector:
        """NULL where either side is."""
        left, right = self.left.evaluate(columns), self.right.evaluate(columns)
        null = np.asarray(left.null | right.null)
        if Kind.UNKNOWN in (left.kind, right.kind):
            return Vector(Kind.BOOLEAN, np.zeros(null.shape, dtype=np.bool_), null)
        return Vector(
            Kind.BOOLEAN, np.asarray(_COMPARISONS[self.operator](left.values, right.values), dtype=np.bool_), null
        )

    def _cell(self) -> CellOf:
        compare, left_of, right_of = _COMPARISONS[self.operator], self.left.cell, self.right.cell
        if isinstance(self.left, Field) and isinstance(self.right, Literal):
            name, limit = self.left.name, self.right.value
            if self.operator in ("=", "<>"):
                return _among(name, (limit,), wanted=self.operator == "=")

            def beside(row: Row) -> Cell:
                value = row[name]
                return None if value is None else compare(value, limit)

            return beside

        def compared(row: Row) -> Cell:
            left, right = left_of(row), right_of(row)
            return None if left is None or right is None else compare(left, right)

        return compared


@dataclass(frozen=True, slots=True)
class AllOf(Expression):
    """AND: false as soon as one part is false, whatever the others are."""

    parts: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The parts."""
        return self.parts

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A boolean, of booleans."""
        return _all_boolean(self.parts, fields, "AND")

    def evaluate(self, columns: Columns) -> Vector:
        """NULL where no part is false and some part is NULL."""
        return _decided_by(False, [part.evaluate(columns) for part in self.parts])

    def _cell(self) -> CellOf:
        return _cell_decided_by(False, [part.cell for part in self.parts])


@dataclass(frozen=True, slots=True)
class AnyOf(Expression):
    """OR: true as soon as one part is true, whatever the others are."""

    parts: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The parts."""
        return self.parts

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A boolean, of booleans."""
        return _all_boolean(self.parts, fields, "OR")

    def evaluate(self, columns: Columns) -> Vector:
        """NULL where no part is true and some part is NULL."""
        return _decided_by(True, [part.evaluate(columns) for part in self.parts])

    def _cell(self) -> CellOf:
        equal = [part for part in self.parts if isinstance(part, Comparison) and part.operator == "="]
        fields = {part.left for part in equal if isinstance(part.left, Field)}
        values = [part.right.value for part in equal if part.left in fields and isinstance(part.right, Literal)]
        if len(fields) == 1 and len(values) == len(self.parts):
            return _among(fields.pop().name, values, wanted=True)
        return _cell_decided_by(True, [part.cell for part in self.parts])


@dataclass(frozen=True, slots=True)
class Not(Expression):
    """NOT: NULL stays NULL."""

    part: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The part."""
        return (self.part,)

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A boolean, of a boolean."""
        return _all_boolean(self.children, fields, "NOT")

    def evaluate(self, columns: Columns) -> Vector:
        """The opposite."""
        part = self.part.evaluate(columns)
        return Vector(Kind.BOOLEAN, ~part.values.astype(np.bool_), part.null)

    def _cell(self) -> CellOf:
        part_of = self.part.cell

        def opposite(row: Row) -> Cell:
            part = part_of(row)
            return None if part is None else not part

        return opposite


@dataclass(frozen=True, slots=True)
class IsNull(Expression):
    """IS NULL: never NULL itself."""

    part: Expression

    @property
    def children(self) -> tuple[Expression, ...]:
        """The part."""
        return (self.part,)

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """A boolean, of anything sound."""
        self.part.kind(fields)
        return Kind.BOOLEAN

    def evaluate(self, columns: Columns) -> Vector:
        """True where the part is NULL."""
        null = self.part.evaluate(columns).null
        return Vector(Kind.BOOLEAN, null, np.zeros(null.shape, dtype=np.bool_))

    def _cell(self) -> CellOf:
        part_of = self.part.cell
        return lambda row: part_of(row) is None


_CELL_FUNCTIONS: dict[str, Callable[[Any], Any]] = {
    "abs": abs,
    "lower": str.lower,
    "upper": str.upper,
    "least": min,
    "greatest": max,
    "coalesce": operator.itemgetter(0),
}


@dataclass(frozen=True, slots=True)
class Call(Expression):
    """One of ``FUNCTIONS``. ``least`` and ``greatest`` pass over NULLs, as in DuckDB and PostgreSQL."""

    name: str
    arguments: tuple[Expression, ...]

    @property
    def children(self) -> tuple[Expression, ...]:
        """The arguments."""
        return self.arguments

    def kind(self, fields: Mapping[str, Kind]) -> Kind:
        """The type that the function gives."""
        if self.name == "abs":
            _require(self.arguments[0], Kind.NUMBER, fields, self.name)
            return Kind.NUMBER
        if self.name in ("lower", "upper"):
            _require(self.arguments[0], Kind.TEXT, fields, self.name)
            return Kind.TEXT
        common = _common_kind(self.arguments, fields, self.name)
        if common is Kind.BOOLEAN and self.name != "coalesce":
            raise KindError(f"{self.name} takes numbers or texts, not booleans")
        return common

    def evaluate(self, columns: Columns) -> Vector:
        """The function, row by row."""
        vectors = [argument.evaluate(columns) for argument in self.arguments]
        first = vectors[0]
        if self.name == "abs":
            return Vector(Kind.NUMBER, np.abs(first.values), first.null)
        if self.name in ("lower", "upper"):
            if first.kind is Kind.UNKNOWN:
                return first
            change = np.frompyfunc(getattr(str, self.name), 1, 1)
            return Vector(Kind.TEXT, np.asarray(change(first.values), dtype=object), first.null)
        result = first
        for vector in vectors[1:]:
            result = self._either(result, vector)
        return result

    def _cell(self) -> CellOf:
        arguments, call = [argument.cell for argument in self.arguments], _CELL_FUNCTIONS[self.name]
        only = arguments[0]

        def of_one(row: Row) -> Cell:
            cell = only(row)
            return None if cell is None else call(cell)

        def of_known(row: Row) -> Cell:
            known = [cell for argument in arguments if (cell := argument(row)) is not None]
            return call(known) if known else None

        return of_one if self.name in ("abs", "lower", "upper") else of_known

    def _either(self, left: Vector, right: Vector) -> Vector:
        null = np.asarray(left.null & right.null)
        if left.kind is Kind.UNKNOWN or right.kind is Kind.UNKNOWN:
            known = left if right.kind is Kind.UNKNOWN else right
            return Vector(known.kind, spread(known.values, null.shape), null)
        if self.name == "coalesce":
            take_right = left.null
        else:
            beats = right.values < left.values if self.name == "least" else right.values > left.values
            take_right = left.null | (~right.null & np.asarray(beats, dtype=np.bool_))
        return Vector(left.kind, np.asarray(np.where(take_right, right.values, left.values)), null)


def first_missing_field(expression: Expression, columns: Columns, fields: tuple[str, ...]) -> Ints:
    """In each row where ``expression`` is NULL, the position in ``fields`` of the first column that makes it so; -1
    where it is not NULL, or NULL without a NULL column (a division by zero). Shape (rows,)."""
    pending = _rows(expression.evaluate(columns).null, columns.rows)
    if isinstance(expression, Field):
        return np.where(pending, fields.index(expression.name), -1).astype(np.int64)
    found = np.full(columns.rows, -1, dtype=np.int64)
    if isinstance(expression, IsNull):
        return found
    for child in expression.children:
        blamed = pending & _rows(child.evaluate(columns).null, columns.rows)
        if blamed.any():
            found = np.where(blamed, first_missing_field(child, columns, fields), found)
            pending = pending & ~blamed
    return found


def first_missing_cell(expression: Expression, row: Row, fields: tuple[str, ...]) -> int:
    """What :func:`first_missing_field` says of one row."""
    blamed: Expression | None = expression if expression.cell(row) is None else None
    while blamed is not None:
        if isinstance(blamed, Field):
            return fields.index(blamed.name)
        blamed = next((child for child in blamed.children if child.cell(row) is None), None)
    return -1


def _rows(values: npt.NDArray[Any], rows: int) -> Bools:
    return spread(values, (rows,))


def _decided_by(decisive: bool, parts: list[Vector]) -> Vector:
    decided = np.array(False)
    null = np.array(False)
    for part in parts:
        decided = decided | (~part.null & (part.values.astype(np.bool_) == decisive))
        null = null | part.null
    decided = np.asarray(decided)
    return Vector(Kind.BOOLEAN, decided if decisive else ~decided, np.asarray(null & ~decided))


def _cell_decided_by(decisive: bool, parts: Sequence[CellOf]) -> CellOf:
    if len(parts) == 2:
        first, second = parts

        def decided_by_two(row: Row) -> Cell:
            one = first(row)
            if one is decisive:
                return decisive
            other = second(row)
            if other is decisive:
                return decisive
            return None if one is None or other is None else not decisive

        return decided_by_two

    def decided(row: Row) -> Cell:
        unknown = False
        for part in parts:
            cell = part(row)
            if cell is decisive:
                return decisive
            unknown = unknown or cell is None
        return None if unknown else not decisive

    return decided


def _among(name: str, values: Iterable[Cell], *, wanted: bool) -> CellOf:
    """Whether a column has one of some values, or where not ``wanted`` none of them."""
    listed = frozenset(values)

    def among(row: Row) -> Cell:
        value = row[name]
        return None if value is None else (value in listed) is wanted

    return among


def _require(expression: Expression, wanted: Kind, fields: Mapping[str, Kind], by: str) -> None:
    found = expression.kind(fields)
    if found not in (wanted, Kind.UNKNOWN):
        named = f"the {found} '{expression.name}'" if isinstance(expression, Field) else f"a {found}"
        raise KindError(f"{by} takes a {wanted}, not {named}")


def _all_boolean(parts: tuple[Expression, ...], fields: Mapping[str, Kind], by: str) -> Kind:
    for part in parts:
        _require(part, Kind.BOOLEAN, fields, by)
    return Kind.BOOLEAN


def _common_kind(parts: tuple[Expression, ...], fields: Mapping[str, Kind], by: str) -> Kind:
    common = Kind.UNKNOWN
    for part in parts:
        if common is Kind.UNKNOWN:
            common = part.kind(fields)
        else:
            _require(part, common, fields, by)
    return common
