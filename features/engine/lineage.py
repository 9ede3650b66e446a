"""Which columns of the contract a feature is made from: read off its expression."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import ibis
import ibis.expr.operations as ops

from features.contract.tables import TABLES
from features.engine.definition import Feature, FeatureSet, View
from features.engine.scope import ScopedTables, scoped_tables
from features.engine.views import key_of, view_rows

Source = tuple[str, str]
"""A semantic table and one of its columns."""
_RENAMED = {"created_days_ago": "created_at", "start_days_ago": "start_date", "ends_in_days": "end_date"}
_MADE = frozenset({"days_ago", "day_ago", "weekday", "hour"})  # of event_time


def sources(feature: Feature, scoped: ScopedTables) -> frozenset[Source]:
    """The columns that an aggregated feature, or one of CUSTOMERS, is made from."""
    if feature.view is View.CUSTOMERS:
        return _of(feature.expression(scoped.customers).op(), {})
    rows = view_rows(feature.view, feature.window_days, scoped)
    seen: dict[Any, frozenset[Source]] = {}
    # What chooses and joins the rows counts as well, even for a feature that only counts them.
    return _of(feature.expression(rows).op(), seen) | _of(rows[key_of(feature.view)].op(), seen)


def only_mapped(features: FeatureSet, attributes: Mapping[str, str], mapped: Mapping[str, Iterable[str]]) -> FeatureSet:
    """The features whose columns a project has; a feature of others would be the same for everybody.

    Args:
        mapped: semantic table -> the columns that the project mapped.
    """
    scoped = scoped_tables(attributes)
    own = set(attributes)

    def has(source: Source) -> bool:
        table, column = source
        if table == "customers" and column in own:
            return True
        if table not in mapped:
            return False
        return column in mapped[table] or TABLES[table].column(column).required

    given = {f.name for f in features if f.view is not View.FEATURES and all(map(has, sources(f, scoped)))}
    wide = ibis.table({f.name: "string" if f.is_word else "float64" for f in features}, name="wide")
    derived = {
        f.name: {field.name for field in f.expression(wide).op().find(ops.Field)}
        for f in features
        if f.view is View.FEATURES
    }
    while ready := {name for name, needs in derived.items() if name not in given and needs <= given}:
        given |= ready
    return FeatureSet(f for f in features if f.name in given)


def _of(op: Any, seen: dict[Any, frozenset[Source]]) -> frozenset[Source]:
    if op not in seen:
        seen[op] = _field(op, seen) if isinstance(op, ops.Field) else _union(op.__children__, seen)
    return seen[op]


def _field(op: ops.Field, seen: dict[Any, frozenset[Source]]) -> frozenset[Source]:
    relation: Any = op.rel
    match relation:
        case ops.UnboundTable():
            table, name = str(relation.name).removeprefix("scoped_"), str(op.name)
            return frozenset({(table, "event_time" if name in _MADE else _RENAMED.get(name, name))})
        case ops.Filter():
            return _of(ops.Field(relation.parent, op.name), seen) | _union(relation.predicates, seen)
        case ops.Aggregate():
            made = relation.metrics[op.name] if op.name in relation.metrics else relation.groups[op.name]
            return _union((made, *relation.groups.values()), seen)
        case ops.JoinChain():
            tests = (predicate for link in relation.rest for predicate in link.predicates)
            return _union((relation.values[op.name], *tests), seen)
        case ops.Project():
            return _of(relation.values[op.name], seen)
        case _:  # a table under another name, or without some columns
            return _of(ops.Field(relation.parent, op.name), seen)


def _union(parts: Iterable[Any], seen: dict[Any, frozenset[Source]]) -> frozenset[Source]:
    # A count of rows names its relation, whose columns nobody looks at.
    values = (part for part in parts if isinstance(part, ops.Value))
    return frozenset().union(*(_of(value, seen) for value in values))
