"""What a build leaves out, since nobody would see it."""

from __future__ import annotations

import pandas as pd
import pytest

from features.definitions import feature_set
from features.engine.build import build_features
from features.engine.chosen import order_columns
from features.engine.compile import compiled
from features.engine.definition import Expression, Feature, FeatureSet, Unit, View
from kernel.clock import parse_as_of
from tests.projects import CUSTOMERS, TinyProject


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


def _own(expression: Expression, when_unknown: float | None = None) -> FeatureSet:
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


@pytest.mark.parametrize("amount", ["12.5", "60000000000000"])
def test_an_order_may_be_of_more_money_than_a_line_can_hold(project: TinyProject, amount: str) -> None:
    lines = "".join(f"anna,r1,2024-01-05 10:00:00,{amount}\n" for _ in range(3))
    project.write("customers.csv", CUSTOMERS)
    project.write("sales.csv", "id,receipt,at,paid\n" + lines)
    with project.profiles() as profiles:
        built = build_features(profiles, _only("spend_30d", "max_order_30d"), parse_as_of("2024-01-06"))
    expected = pd.Series({"spend_30d": 3 * float(amount), "max_order_30d": 3 * float(amount)}, name="anna")
    pd.testing.assert_series_equal(built.loc["anna"], expected)
