"""From definitions to one query: a row per customer, a column per feature.

The aggregates that features name are collected first, each once, one GROUP BY for all windows of a view; then every
feature is plain arithmetic over them. ``features/engine/windows.py`` puts the window into each aggregate.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache

import ibis
from ibis.common.exceptions import IbisTypeError

from features.engine.definition import Feature, FeatureSet, Rows, Value, View
from features.engine.scope import scoped_tables
from features.engine.windows import Aggregates

_PLAIN = (View.CUSTOMERS, View.FEATURES)


def feature_table(
    features: FeatureSet, attributes: Mapping[str, str], *, orders: bool = False, accounts: bool = False
) -> Rows:
    """The Ibis expression over the scoped tables: ``customer_id`` and one column per feature, in order.

    Numbers are float64 (NULL where unknown), words are strings. The expression holds no moment in time; the scope
    does, so that one compilation serves every ``as_of``.
    """
    scoped = scoped_tables(attributes, orders=orders, accounts=accounts)
    aggregated = [f for f in features if f.view not in _PLAIN]
    aggregates = Aggregates(scoped, aggregated)
    parts = {f.name: aggregates.put(f) for f in aggregated}
    wide, keys = scoped.customers, []
    for name, of, block in aggregates.blocks():
        key = f"{name}__of"
        wide = wide.left_join(block.rename({key: of}), [(of, key)])
        keys.append(key)
    wide = wide.drop(*keys)
    # The statement is kept short, one level for all features that need no other: planning it has its price.
    wide = wide.mutate(
        **{
            f.name: _known(f, f.expression(wide) if f.view is View.CUSTOMERS else aggregates.value(parts[f.name], wide))
            for f in features
            if f.view is not View.FEATURES
        }
    )
    return _derived(features, wide)


def derived_table(features: FeatureSet, attributes: Mapping[str, str]) -> str | None:
    """The SQL of the derived features from the table ``carried``, which has customer_id and every other one.

    None where there are no derived ones.
    """
    derived = [f.name for f in features if f.view is View.FEATURES]
    if not derived:
        return None
    given = {f.name: "string" if f.is_word else "float64" for f in features if f.view is not View.FEATURES}
    wide = ibis.table({"customer_id": "string", **attributes, **given}, name="carried")
    return str(ibis.to_sql(_derived(features, wide).select(*derived), dialect="duckdb"))


def _derived(features: FeatureSet, wide: Rows) -> Rows:
    derived = [feature for feature in features if feature.view is View.FEATURES]
    while derived:
        ready = [feature for feature in derived if _can_see(feature, wide)] or derived[:1]
        wide = wide.mutate(**{feature.name: _known(feature, feature.expression(wide)) for feature in ready})
        derived = [feature for feature in derived if feature not in ready]
    return wide.select("customer_id", *features.names)


@lru_cache(maxsize=32)
def compiled(features: FeatureSet, attributes: tuple[tuple[str, str], ...], dialect: str = "duckdb") -> str:
    """The same as SQL text, once per process and project."""
    table = feature_table(features, dict(attributes), orders=dialect == "duckdb", accounts=dialect == "duckdb")
    return str(ibis.to_sql(table, dialect=dialect))


def _can_see(feature: Feature, wide: Rows) -> bool:
    try:
        feature.expression(wide)
    except (AttributeError, IbisTypeError):
        return False  # it builds on a derived feature that is not there yet, or names a column that never will be
    return True


def _known(feature: Feature, value: Value) -> Value:
    if feature.is_word:
        return value
    # A division by zero gives NaN or infinity on one engine and NULL on another: both mean "not known".
    if value.type().is_floating():
        value = ibis.cases((value.isnan() | value.isinf(), ibis.null("float64")), else_=value)
    number: Value = value.cast("float64")
    return number if feature.when_unknown is None else number.fill_null(feature.when_unknown)
