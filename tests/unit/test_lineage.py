"""Which columns of the contract a feature is made from."""

from __future__ import annotations

import pytest

from features.definitions import feature_set
from features.engine.definition import Expression, Feature, FeatureSet, Unit, View
from features.engine.lineage import only_mapped, sources
from features.engine.scope import scoped_tables

ATTRIBUTES = {"city": "string", "age": "float64"}
SCOPED = scoped_tables(ATTRIBUTES)
FEATURES = feature_set(ATTRIBUTES)
REQUIRED = {"customer_id", "transaction_id", "event_time", "amount"}


def of(**tables: str) -> set[tuple[str, str]]:
    return {(table, column) for table, columns in tables.items() for column in columns.split()}


@pytest.mark.parametrize(
    ("name", "columns"),
    [
        ("net_spend", of(transactions="customer_id amount")),
        ("spend_30d", of(transactions="customer_id transaction_id amount")),  # the engine adds the window
        ("days_since_last_purchase", of(transactions="customer_id event_time amount")),
        ("orders_so_far", of(transactions="customer_id transaction_id amount")),
        ("units_90d", of(transactions="customer_id amount quantity")),
        ("products_30d", of(transactions="customer_id product_id")),
        ("top_category_share_90d", of(transactions="customer_id event_time amount category")),
        ("channel_switches_365d", of(transactions="customer_id event_time amount channel")),
        ("days_since_created", of(customers="created_at")),
        ("campaigns_received_30d", of(activities="customer_id kind")),
        ("last_sentiment", of(activities="customer_id event_time sentiment")),
        (
            "contacts_since_last_purchase",
            of(activities="customer_id event_time kind", transactions="customer_id event_time amount"),
        ),
        (
            "active_subscriptions",
            of(subscriptions="customer_id subscription_id event_time start_date end_date"),
        ),
        ("account_spend_30d", of(customers="customer_id account_id", transactions="customer_id amount")),
    ],
)
def test_features_of_the_library(name: str, columns: set[tuple[str, str]]) -> None:
    assert sources(FEATURES.named(name), SCOPED) == columns


def own(name: str, view: View, expression: Expression) -> Feature:
    return Feature(name=name, group="own", view=view, expression=expression, phrase=name, unit=Unit.COUNT)


def test_conditions_count_as_well() -> None:
    old = own("old", View.LINES, lambda r: r.discount.sum(where=(r.days_ago > 30) & (r.channel == "web")))
    assert sources(old, SCOPED) == of(transactions="customer_id discount event_time channel")
    early = own("early", View.LINES, lambda r: r.count(where=r.hour < 8))
    assert sources(early, SCOPED) == of(transactions="customer_id event_time")
    grown = own("grown", View.CUSTOMERS, lambda r: r.age > 18)
    assert sources(grown, SCOPED) == of(customers="age")


def test_a_project_has_the_features_of_its_columns() -> None:
    web = own("web", View.LINES, lambda r: r.count(where=r.channel == "web"))
    lines = own("lines", View.LINES, lambda r: r.count())
    visits = own("visits", View.ACTIVITIES, lambda r: r.count())
    grown = own("grown", View.CUSTOMERS, lambda r: r.age > 18)
    share = own("share", View.FEATURES, lambda r: r.web / r.lines)
    twice = own("twice", View.FEATURES, lambda r: r.share * 2)
    plain = own("plain", View.FEATURES, lambda r: r.lines * 2)
    every = FeatureSet([twice, share, plain, web, lines, visits, grown])

    def names(**mapped: set[str]) -> list[str]:
        return only_mapped(every, ATTRIBUTES, mapped).names

    assert names(transactions=REQUIRED) == ["plain", "lines", "grown"]
    assert names(transactions=REQUIRED | {"channel"}) == ["twice", "share", "plain", "web", "lines", "grown"]
    assert names(activities={"customer_id", "event_time", "kind"}) == ["visits", "grown"]
    # A required column is there wherever the table is, under whatever name.
    assert names(transactions=set()) == ["plain", "lines", "grown"]
