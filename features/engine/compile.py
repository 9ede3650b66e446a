"""From definitions to one query: a row per customer, a column per feature."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce

import ibis
import ibis.expr.types as ir

from features.engine.definition import Feature, FeatureSet, View
from features.engine.scope import scoped_tables
from features.engine.views import view_rows


def feature_table(features: FeatureSet, attributes: dict[str, str]) -> ir.Table:
    """The Ibis expression over the scoped tables: ``customer_id`` and one column per feature, in order.

    Numbers are float64 (NULL where unknown), words are strings. The expression holds no moment in time; the scope
    does, so that one compilation serves every ``as_of``.
    """
    transactions, activities, customers = scoped_tables(attributes)
    wide = customers
    for (view, window), group in _grouped(features).items():
        rows = view_rows(view, window, transactions, activities)
        columns = {feature.name: feature.expression(rows) for feature in group}
        aggregated = rows.group_by("customer_id").agg(**columns)
        wide = wide.left_join(aggregated, "customer_id").drop("customer_id_right")
    wide = wide.mutate(**{f.name: f.expression(wide) for f in features if f.view is View.CUSTOMERS})
    wide = wide.mutate(**{f.name: _number(f, wide) for f in features if f.view is not View.FEATURES and not f.is_word})
    for feature in features:
        # Derived features may build on each other, in the order they are written.
        if feature.view is View.FEATURES:
            wide = wide.mutate(**{feature.name: feature.expression(wide)})
            wide = wide.mutate(**{feature.name: _number(feature, wide)})
    return wide.select("customer_id", *features.names)


@lru_cache(maxsize=32)
def compiled(features: FeatureSet, attributes: tuple[tuple[str, str], ...], dialect: str = "duckdb") -> str:
    """The same as SQL text, once per process and project."""
    return str(ibis.to_sql(feature_table(features, dict(attributes)), dialect=dialect))


def _grouped(features: Iterable[Feature]) -> dict[tuple[View, int | None], list[Feature]]:
    def put(
        groups: dict[tuple[View, int | None], list[Feature]], feature: Feature
    ) -> dict[tuple[View, int | None], list[Feature]]:
        groups.setdefault((feature.view, feature.window_days), []).append(feature)
        return groups

    rows = (feature for feature in features if feature.view not in (View.CUSTOMERS, View.FEATURES))
    return reduce(put, rows, {})


def _number(feature: Feature, wide: ir.Table) -> ir.Value:
    value = wide[feature.name].cast("float64")
    # A division by zero gives NaN or infinity on one engine and NULL on another: both mean "not known".
    known = ibis.cases((value.isnan() | value.isinf(), ibis.null("float64")), else_=value)
    return known if feature.when_unknown is None else known.fill_null(feature.when_unknown)
