"""The window of a feature, put into every aggregate of its expression, so that one GROUP BY serves all windows.

A row of a view lies in a window of ``w`` days when its own ``days_ago`` is at most ``w``. What a definition writes as
``orders.amount.sum()`` with a window of 30 days becomes ``sum(amount) where days_ago <= 30``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

import ibis.expr.operations as ops

from features.engine.definition import Feature, Rows, Value, View
from features.engine.scope import ScopedTables
from features.engine.views import GROUPED, key_of, view_rows

Op = Any  # a node of an Ibis expression
# Views whose rows are many: their distinct counts come from one row per value (see _Block.distinct).
_MANY = frozenset({View.LINES, View.ACTIVITIES})
_NULL_OF_NOTHING = (ops.Sum, ops.Mean, ops.Min, ops.Max, ops.Variance, ops.StandardDev)
_STRICT = (ops.Add, ops.Subtract, ops.Multiply, ops.Divide, ops.Cast)
"""NULL as soon as one of their arguments is."""


@dataclass(frozen=True, slots=True)
class Part:
    """A feature's expression, with its aggregates taken out.

    Attributes:
        expression: as the definition wrote it, over the view's rows.
        columns: each aggregate of it -> the column that holds it.
        distinct: those columns that count values: no row means 0.
        rows: the column that counts the rows in the window, without any of which the feature is unknown; None where
            the expression says that by itself.
    """

    expression: Value
    columns: dict[Op, str]
    distinct: frozenset[str]
    rows: str | None


@dataclass
class _Block:
    """One GROUP BY over the rows of a view."""

    name: str
    rows: Rows
    key: str
    columns: dict[Op, str] = field(default_factory=dict[Op, str])

    def column(self, aggregate: Op) -> str:
        """The column of an aggregate; the same aggregate is computed once."""
        return self.columns.setdefault(aggregate, f"{self.name}__{len(self.columns)}")

    def table(self) -> Rows:
        """One row per key that has rows."""
        named = {name: aggregate.to_expr() for aggregate, name in self.columns.items()}
        return self.rows.group_by(self.key).agg(**named)


class Aggregates:
    """The aggregates of many features, in as few groupings as there are kinds of rows."""

    def __init__(self, scoped: ScopedTables, features: Iterable[Feature]) -> None:
        """``features``: all that will be put, so that older rows than any of their windows need not be looked at."""
        self._scoped = scoped
        self._blocks: dict[object, _Block] = {}
        self._longest: dict[object, float] = {}
        features = list(features)
        for feature in features:
            self._look_back(_key_of(feature), feature)
        for feature in features:
            if feature.view in _MANY:
                block = self._block_of(feature)
                for aggregate in _reductions(feature.expression(block.rows)):
                    if isinstance(aggregate, ops.CountDistinct):
                        self._look_back(_values_of(block, aggregate), feature)

    def put(self, feature: Feature) -> Part:
        """Take the aggregates of a feature in.

        Raises:
            AttributeError: the expression names a column that its view does not have.
        """
        block = self._block_of(feature)
        expression = feature.expression(block.rows)
        days = None if feature.view in GROUPED else feature.window_days
        columns: dict[Op, str] = {}
        distinct: set[str] = set()
        for aggregate in _reductions(expression):
            if isinstance(aggregate, ops.CountDistinct) and feature.view in _MANY:
                values = self._values(block, aggregate)
                columns[aggregate] = values.column(_within(_count(values.rows), values.rows, days))
                distinct.add(columns[aggregate])
            else:
                columns[aggregate] = block.column(_within(aggregate, block.rows, days))
        if _tells_unknown(expression.op(), feature.when_unknown):
            return Part(expression, columns, frozenset(distinct), None)
        rows = block.column(_within(_count(block.rows), block.rows, days))
        return Part(expression, columns, frozenset(distinct), rows)

    def value(self, part: Part, wide: Rows) -> Value:
        """The feature's expression over the columns of its aggregates; NULL for a customer without rows."""
        found = {
            aggregate: (wide[name].fill_null(0) if name in part.distinct else wide[name]).op()
            for aggregate, name in part.columns.items()
        }
        value: Value = part.expression.op().replace(found, filter=ops.Value).to_expr()
        return value if part.rows is None else (wide[part.rows] > 0).ifelse(value, None)

    def blocks(self) -> Iterator[tuple[str, str, Rows]]:
        """Name, key and table of every grouping: the key and the columns of its aggregates."""
        for block in self._blocks.values():
            if block.columns:
                yield block.name, block.key, block.table()

    def _values(self, block: _Block, aggregate: Op) -> _Block:
        # A value is in the window when its newest row is: one row per value answers every window, where a distinct
        # count per window would keep one set of values each.
        of = _values_of(block, aggregate)
        longest = self._longest[of]

        def newest() -> Rows:
            rows, value = block.rows, aggregate.arg.to_expr()
            known = value.notnull() if aggregate.where is None else value.notnull() & aggregate.where.to_expr()
            kept = _younger(rows.mutate(value=value).filter(known), longest)
            return kept.group_by("customer_id", "value").agg(days_ago=kept.days_ago.min())

        return self._block(of, "values", "customer_id", newest)

    def _block_of(self, feature: Feature) -> _Block:
        key, view = _key_of(feature), feature.view

        def rows() -> Rows:
            made = view_rows(view, feature.window_days, self._scoped)
            return made if view in GROUPED else _younger(made, self._longest[key])

        return self._block(key, view.replace(" ", "_"), key_of(view), rows)

    def _look_back(self, key: object, feature: Feature) -> None:
        days = math.inf if feature.window_days is None else feature.window_days
        self._longest[key] = max(days, self._longest.get(key, 0))

    def _block(self, key: object, name: str, of: str, rows: Callable[[], Rows]) -> _Block:
        if key not in self._blocks:
            self._blocks[key] = _Block(f"{name}{len(self._blocks)}", rows(), of)
        return self._blocks[key]


def _key_of(feature: Feature) -> object:
    return (feature.view, feature.window_days if feature.view in GROUPED else None)


def _younger(rows: Rows, days: float) -> Rows:
    return rows if days == math.inf else rows.filter(rows.days_ago <= days)


def _reductions(expression: Value) -> Iterable[Op]:
    return expression.op().find(ops.Reduction, filter=ops.Value)


def _values_of(block: _Block, aggregate: Op) -> object:
    return (block.name, aggregate.arg, aggregate.where)


def _tells_unknown(op: Op, when_unknown: float | None) -> bool:
    """Whether the expression of no rows is the value of "unknown", so that nobody needs to count the rows."""
    if isinstance(op, ops.Count | ops.CountDistinct | ops.CountStar):
        return when_unknown == 0
    return _is_null_of_nothing(op)


def _is_null_of_nothing(op: Op) -> bool:
    if isinstance(op, ops.Reduction):
        return isinstance(op, _NULL_OF_NOTHING)
    return isinstance(op, _STRICT) and any(_is_null_of_nothing(arg) for arg in op.args if isinstance(arg, ops.Value))


def _count(rows: Rows) -> Op:
    return rows.count().op()


def _within(aggregate: Op, rows: Rows, days: int | None) -> Op:
    if days is None:
        return aggregate
    young = (rows.days_ago <= days).op()
    arguments = dict(zip(aggregate.argnames, aggregate.args, strict=True))
    own = arguments["where"]
    return type(aggregate)(**{**arguments, "where": young if own is None else ops.And(young, own)})
