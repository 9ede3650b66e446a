"""Recency, frequency and money, exactly as the papers on buying behaviour define them (Fader, Hardie & Lee 2005)."""

from features.engine.definition import Feature, Unit, View

FEATURES = (
    Feature(
        name="days_since_last_purchase",
        group="rfm",
        view=View.DAYS,
        expression=lambda days: days.days_ago.min(),
        phrase="days since the last purchase",
        unit=Unit.DAYS,
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
        name="net_spend",
        group="rfm",
        view=View.LINES,
        expression=lambda lines: lines.amount.sum(),
        phrase="spent so far, net of returns",
        unit=Unit.MONEY,
        when_unknown=0,
    ),
    Feature(
        name="returned_share",
        group="rfm",
        view=View.LINES,
        expression=lambda lines: (
            lines.amount.sum(where=lines.amount < 0).cast("float64").fill_null(0).abs()  # no -0.0
            / lines.amount.sum(where=lines.amount > 0).cast("float64")
        ),
        phrase="of the money spent was returned",
        unit=Unit.SHARE,
    ),
)
