"""What a build leaves out, since nobody would see it."""

from __future__ import annotations

import pytest

from features.definitions import feature_set
from features.engine.chosen import order_columns
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet, Unit, Value, View


def _only(*names: str) -> FeatureSet:
    return feature_set({}).only(names)


@pytest.mark.parametrize(
    ("names", "columns"),
    [
        (("spend_30d", "orders_90d"), {"amount"}),
        (("spend_30d", "morning_share_90d"), {"amount", "hour"}),
        (("products_30d", "frequency"), set[str]()),
    ],
)
def test_orders_are_put_together_of_the_columns_that_are_read(names: tuple[str, ...], columns: set[str]) -> None:
    read = order_columns(_only(*names))
    assert {name for name in read if name != "days_ago"} == columns


def _own(expression: Value, when_unknown: float | None = None) -> FeatureSet:
    feature = Feature(
        "own", "own", View.ORDERS, expression, "own", Unit.COUNT, window_days=30, when_unknown=when_unknown
    )
    return FeatureSet([feature])


@pytest.mark.parametrize(
    ("features", "counted"),
    [
        (_own(lambda orders: orders.amount.sum()), False),
        (_own(lambda orders: orders.amount.sum().cast("float64") / orders.count().nullif(0)), False),
        (_own(lambda orders: orders.count(), when_unknown=0), False),
        (_own(lambda orders: orders.count()), True),
        (_own(lambda orders: orders.count(), when_unknown=1), True),
        (_own(lambda orders: orders.amount.sum().fill_null(0)), True),
        (_own(lambda orders: orders.count() + 1, when_unknown=0), True),
    ],
)
def test_rows_are_counted_only_where_null_does_not_say_that_there_are_none(features: FeatureSet, counted: bool) -> None:
    sql = compiled(features, ())
    assert (" > 0" in sql) == counted
