"""What days alone do to a feature, and which columns it is made from: read off the definitions."""

from __future__ import annotations

import pytest

from features.definitions import feature_set
from features.engine.ageing import Ageing, Course, ageing
from features.engine.definition import Feature, Unit, View
from features.engine.lineage import only_mapped, sources
from features.engine.scope import scoped_tables

FEATURES = feature_set({"city": "string"})
SCOPED = scoped_tables({"city": "string"})
KEY = ("transactions", "customer_id")
ORDER = {KEY, ("transactions", "transaction_id")}
AMOUNT, MOMENT = ("transactions", "amount"), ("transactions", "event_time")


@pytest.mark.parametrize(
    ("name", "course", "edges"),
    [
        ("spend_30d", Course.STILL, (30.0,)),
        ("products_90d", Course.STILL, (90.0,)),
        ("frequency", Course.STILL, ()),
        ("monetary_value", Course.STILL, ()),
        ("recency_days", Course.STILL, ()),
        ("spend_coming_30d_last_year", Course.STILL, (335.0, 365.0)),
        ("days_since_last_purchase", Course.GROWS, ()),
        ("T_days", Course.GROWS_BY_DAY, ()),
        ("decayed_spend_14d", Course.AGAIN, ()),
        ("spend_slope_84d", Course.AGAIN, ()),
        ("active_subscriptions", Course.AGAIN, ()),
        ("account_spend_30d", Course.AGAIN, ()),
        ("days_since_created", Course.AGAIN, ()),
        ("gap_variation", Course.AGAIN, ()),
    ],
)
def test_the_course_of_a_feature(name: str, course: Course, edges: tuple[float, ...]) -> None:
    assert ageing(FEATURES.named(name), SCOPED) == Ageing(course, edges)


def test_an_age_inside_a_condition_is_an_edge_and_a_calendar_day_is_not_followed() -> None:
    def own(expression) -> Feature:  # type: ignore[no-untyped-def]
        return Feature("own", "x", View.LINES, expression, "own", Unit.COUNT, window_days=60)

    inside = own(lambda lines: lines.count(where=(lines.days_ago > 7) & (lines.amount > 5)))
    assert ageing(inside, SCOPED) == Ageing(Course.STILL, (7.0, 60.0))
    assert ageing(own(lambda lines: lines.count(where=lines.day_ago > 7)), SCOPED).course is Course.AGAIN
    assert ageing(own(lambda lines: lines.days_ago.sum()), SCOPED).course is Course.AGAIN


@pytest.mark.parametrize(
    ("name", "made_from"),
    [
        ("net_spend", {KEY, AMOUNT}),
        ("orders_30d", {*ORDER, AMOUNT}),
        ("products_30d", {KEY, ("transactions", "product_id")}),
        ("top_category_share_90d", {KEY, AMOUNT, ("transactions", "category"), MOMENT}),
        ("days_since_last_purchase", {KEY, AMOUNT, MOMENT}),
        ("days_since_created", {("customers", "created_at")}),
        ("city", {("customers", "city")}),
        ("visits_7d", {("activities", "customer_id"), ("activities", "kind")}),
    ],
)
def test_the_columns_of_a_feature(name: str, made_from: set[tuple[str, str]]) -> None:
    assert sources(FEATURES.named(name), SCOPED) == made_from


def test_features_of_columns_that_nobody_mapped_are_left_out_with_what_follows_from_them() -> None:
    bare = {"customers": {"customer_id"}, "transactions": {"customer_id", "transaction_id", "event_time", "amount"}}
    kept = set(only_mapped(FEATURES, {"city": "string"}, bare).names)
    assert {"net_spend", "orders_30d", "overdue_ratio", "weekend_share_90d", "city"} <= kept
    assert kept.isdisjoint(
        {"products_30d", "discount_share_90d", "days_since_created", "visits_7d", "redemptions_per_campaign_365d"}
    )
    assert len(kept) >= 80
    with_products = bare | {"transactions": {*bare["transactions"], "product_id"}}
    more = set(only_mapped(FEATURES, {"city": "string"}, with_products).names)
    assert {"products_30d", "product_entropy_365d"} <= more - kept
