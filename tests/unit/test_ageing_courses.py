"""What the passing of days alone does to a feature, and at which ages of a row."""

from __future__ import annotations

from typing import Any

import pytest

from features.definitions import feature_set
from features.engine.ageing import Ageing, Course, ageing
from features.engine.definition import Expression, Feature, Unit, View
from features.engine.scope import scoped_tables

ATTRIBUTES = {"city": "string", "age": "float64"}
SCOPED = scoped_tables(ATTRIBUTES)
FEATURES = feature_set(ATTRIBUTES)
STILL, GROWS, BY_DAY, AGAIN = Course.STILL, Course.GROWS, Course.GROWS_BY_DAY, Course.AGAIN


@pytest.mark.parametrize(
    ("name", "course", "edges"),
    [
        ("net_spend", STILL, ()),
        ("spend_30d", STILL, (30.0,)),
        ("frequency", STILL, ()),
        ("mean_gap_days_180d", STILL, (180.0,)),
        ("top_product_share_365d", STILL, (365.0,)),
        ("contacts_since_last_purchase", STILL, ()),
        ("last_sentiment", STILL, ()),
        ("spend_coming_90d_last_year", STILL, (275.0, 365.0)),
        ("days_since_last_purchase", GROWS, ()),
        ("days_since_first_purchase", GROWS, ()),
        ("T_days", BY_DAY, ()),
        ("spend_slope_84d", AGAIN, ()),  # weighs a row by its age
        ("decayed_spend_14d", AGAIN, ()),
        ("activity_days_90d", AGAIN, ()),  # counts calendar days within hours
        ("new_products_90d", AGAIN, ()),  # the first purchase of a product, not the newest
        ("active_subscriptions", AGAIN, ()),
        ("account_spend_30d", AGAIN, ()),
        ("days_since_created", AGAIN, ()),
        ("recency_to_T", AGAIN, ()),
    ],
)
def test_features_of_the_library(name: str, course: Course, edges: tuple[float, ...]) -> None:
    assert ageing(FEATURES.named(name), SCOPED) == Ageing(course, edges)


def own(view: View, expression: Expression, **rest: Any) -> Ageing:
    made = Feature(
        name="own", group="own", view=view, expression=expression, phrase="of my own", unit=Unit.COUNT, **rest
    )
    return ageing(made, SCOPED)


def test_an_age_inside_a_condition_is_an_edge() -> None:
    def lines_between(rows: Any) -> Any:
        return rows.count(where=(rows.days_ago > 10) & (rows.days_ago <= 20.5) & (rows.amount > 3))

    assert own(View.LINES, lines_between) == Ageing(STILL, (10.0, 20.5))
    assert own(View.LINES, lines_between, window_days=365) == Ageing(STILL, (10.0, 20.5, 365.0))
    assert own(View.LINES, lambda r: r.amount.sum(where=r.days_ago.between(7, 14))) == Ageing(STILL, (7.0, 14.0))
    assert own(View.LINES, lambda r: r.days_ago.min(where=r.days_ago >= 30)) == Ageing(GROWS, (30.0,))


@pytest.mark.parametrize(
    ("view", "expression"),
    [
        (View.LINES, lambda r: r.count(where=r.day_ago <= 30)),  # a calendar day ends at another moment
        (View.LINES, lambda r: r.count(where=r.days_ago == 30)),
        (View.LINES, lambda r: r.days_ago.sum()),
        (View.LINES, lambda r: r.days_ago.min() * 2),
        (View.LINES, lambda r: -r.days_ago.min()),
        (View.LINES, lambda r: r.days_ago.min().cast("int64")),  # grows in steps
        (View.LINES, lambda r: r.days_ago.max() - r.days_ago.min()),  # may change in its last bit
        (View.LINES, lambda r: r.days_ago.max() - r.day_ago.min()),
        (View.LINES, lambda r: r.count(where=r.days_ago.cast("int64") <= 30)),
        (View.LINES, lambda r: r.days_ago.argmax(r.amount)),
        (View.DAYS, lambda r: r.day_ago.nunique()),
        (View.PRODUCTS, lambda r: r.count(where=r.days_ago <= 90)),  # the rows themselves are put together anew
        (View.PRODUCTS, lambda r: r.first_days_ago.min()),
        (View.CONTACTS, lambda r: r.purchase_days_ago.min()),  # a clock of other rows
    ],
)
def test_what_is_not_followed_is_computed_again(view: View, expression: Expression) -> None:
    assert own(view, expression) == Ageing(AGAIN, ())


def test_whole_days_grow_by_day_and_their_difference_stands_still() -> None:
    assert own(View.DAYS, lambda r: r.day_ago.min().cast("float64")) == Ageing(BY_DAY, ())
    assert own(View.DAYS, lambda r: r.day_ago.max() - r.day_ago.min()) == Ageing(STILL, ())
    assert own(View.DAYS, lambda r: r.amount.argmax(r.day_ago)) == Ageing(STILL, ())


def test_the_value_of_nothing_known_does_not_grow() -> None:
    assert own(View.LINES, lambda r: r.days_ago.min(), when_unknown=9999) == Ageing(AGAIN, ())
    assert own(View.LINES, lambda r: r.amount.sum(), when_unknown=0) == Ageing(STILL, ())
