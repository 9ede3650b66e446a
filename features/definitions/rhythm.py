"""The customer's own rhythm: days between purchases, and how overdue the next one is."""

from features.engine.definition import Feature, Unit, View

FEATURES = (
    Feature(
        name="mean_gap_days",
        group="rhythm",
        view=View.GAPS,
        expression=lambda gaps: gaps.gap_days.sum().cast("float64") / gaps.count(),
        phrase="days between purchases on average",
        unit=Unit.DAYS,
    ),
    Feature(
        name="std_gap_days",
        group="rhythm",
        view=View.GAPS,
        # From whole-number sums, so that the order of rows cannot change the last digit.
        expression=lambda gaps: (
            (
                (gaps.gap_days * gaps.gap_days).sum().cast("float64") * gaps.count()
                - gaps.gap_days.sum().cast("float64") * gaps.gap_days.sum().cast("float64")
            ).sqrt()
            / gaps.count()
        ),
        phrase="days of spread between purchases",
        unit=Unit.DAYS,
    ),
    Feature(
        name="longest_gap_days",
        group="rhythm",
        view=View.GAPS,
        expression=lambda gaps: gaps.gap_days.max(),
        phrase="days, the longest pause between purchases",
        unit=Unit.DAYS,
    ),
    Feature(
        name="mean_gap_days_newest_5",
        group="rhythm",
        view=View.GAPS,
        expression=lambda gaps: (
            gaps.gap_days.sum(where=gaps.rank <= 5).cast("float64") / gaps.count(where=gaps.rank <= 5)
        ),
        phrase="days between the newest purchases on average",
        unit=Unit.DAYS,
    ),
    Feature(
        name="gap_variation",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: wide.std_gap_days / wide.mean_gap_days.nullif(0),
        phrase="times the mean pause: how irregular the purchases are",
        unit=Unit.RATIO,
    ),
    Feature(
        name="overdue_ratio",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: wide.days_since_last_purchase / wide.mean_gap_days.nullif(0),
        phrase="times the usual pause since the last purchase",
        unit=Unit.RATIO,
    ),
    Feature(
        name="overdue_to_longest",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: wide.days_since_last_purchase / wide.longest_gap_days.nullif(0),
        phrase="times the longest pause so far since the last purchase",
        unit=Unit.RATIO,
    ),
)
