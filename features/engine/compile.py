"""From definitions to one query: a row per customer, a column per feature."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache, reduce

import ibis
from ibis.common.exceptions import IbisTypeError

from features.engine.definition import Feature, FeatureSet, Rows, Value, View
from features.engine.scope import scoped_tables
from features.engine.views import GROUPED, key_of, view_rows


def feature_table(features: FeatureSet, attributes: dict[str, str]) -> Rows:
    """The Ibis expression over the scoped tables: ``customer_id`` and one column per feature, in order.

    Numbers are float64 (NULL where unknown), words are strings. The expression holds no moment in time; the scope
    does, so that one compilation serves every ``as_of``.
    """
    scoped = scoped_tables(attributes)
    wide = scoped.customers
    keys: list[str] = []
    for (view, window), group in _grouped(features).items():
        rows = view_rows(view, window, scoped)
        if window is not None and view not in GROUPED:
            rows = rows.filter(rows.days_ago <= window)
        key = f"customer_of_{len(keys)}"
        aggregated = rows.group_by(key_of(view)).agg(**{feature.name: feature.expression(rows) for feature in group})
        wide = wide.left_join(aggregated.rename({key: key_of(view)}), [(key_of(view), key)])
        keys.append(key)
    wide = wide.drop(*keys)
    # The statement is kept short, one level for all features that need no other: planning it is what a request costs.
    wide = wide.mutate(**{f.name: _known(f, wide) for f in features if f.view is not View.FEATURES})
    derived = [feature for feature in features if feature.view is View.FEATURES]
    while derived:
        ready = [feature for feature in derived if _can_see(feature, wide)] or derived[:1]
        wide = wide.mutate(**{feature.name: _known(feature, wide) for feature in ready})
        derived = [feature for feature in derived if feature not in ready]
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


def _can_see(feature: Feature, wide: Rows) -> bool:
    try:
        feature.expression(wide)
    except (AttributeError, IbisTypeError):
        return False  # it builds on a derived feature that is not there yet, or names a column that never will be
    return True


def _known(feature: Feature, wide: Rows) -> Value:
    aggregated = feature.view not in (View.CUSTOMERS, View.FEATURES)
    value = wide[feature.name] if aggregated else feature.expression(wide)
    if feature.is_word:
        return value
    # A division by zero gives NaN or infinity on one engine and NULL on another: both mean "not known".
    if value.type().is_floating():
        value = ibis.cases((value.isnan() | value.isinf(), ibis.null("float64")), else_=value)
    number: Value = value.cast("float64")
    return number if feature.when_unknown is None else number.fill_null(feature.when_unknown)
