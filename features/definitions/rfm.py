"""Recency, frequency and money, exactly as the papers on buying behaviour define them (Fader, Hardie & Lee 2005)."""

from features.definitions.parts import ratio, spread
from features.engine.definition import Feature, Unit, View

FEATURES = (
    Feature(
        name="days_since_last_purchase",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.days_ago.min(),
        phrase="days since the last purchase",
        unit=Unit.DAYS,
        usual="mean_gap_days",
    ),
    Feature(
        name="frequency",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.count() - 1,
        phrase="repeat purchase days so far",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="recency_days",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.day_ago.max() - days.day_ago.min(),
        phrase="days from the first to the last purchase",
        unit=Unit.DAYS,
    ),
    Feature(
        name="T_days",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.day_ago.max(),
        phrase="days as a customer since the first purchase",
        unit=Unit.DAYS,
    ),
    Feature(
        name="recency_to_T",
        group="rfm",
        view=View.FEATURES,
        expression=lambda wide: wide.recency_days / wide.T_days.nullif(0),
        phrase="of the time as a customer lies before the last purchase",
        unit=Unit.SHARE,
    ),
    Feature(
        name="monetary_value",
        group="rfm",
        view=View.DAYS,
        # The first purchase day is left out, as in the papers: repeat days only.
        expression=lambda days: (
            (days.amount.sum() - days.amount.argmax(days.day_ago)).cast("float64") / (days.count() - 1).nullif(0)
        ),
        phrase="spent on a repeat purchase day on average",
        unit=Unit.MONEY,
    ),
    Feature(
        name="first_day_spend",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.amount.argmax(days.day_ago),
        phrase="spent on the first purchase day",
        unit=Unit.MONEY,
    ),
    Feature(
        name="last_day_spend",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.amount.argmin(days.day_ago),
        phrase="spent on the last purchase day",
        unit=Unit.MONEY,
        usual="monetary_value",
    ),
    Feature(
        name="day_spend_variation",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: spread(days.amount, days.count()) / ratio(days.amount.sum(), days.count()),
        phrase="times the mean: how much the spend of a purchase day varies",
        unit=Unit.RATIO,
    ),
    Feature(
        name="net_spend",
        group="rfm",
        view=View.LINES,
        expression=lambda lines: lines.amount.sum(),
        phrase="spent so far, net of returns",
        unit=Unit.MONEY,
        when_unknown=0,
    ),
    Feature(
        name="orders_so_far",
        group="rfm",
        view=View.ORDERS,
        expression=lambda orders: orders.count(where=orders.amount > 0),
        phrase="orders so far",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="mean_order",
        group="rfm",
        view=View.ORDERS,
        expression=lambda orders: ratio(
            orders.amount.sum(where=orders.amount > 0), orders.count(where=orders.amount > 0)
        ),
        phrase="per order so far",
        unit=Unit.MONEY,
    ),
)
