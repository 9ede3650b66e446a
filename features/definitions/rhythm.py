"""The customer's own rhythm: days between purchases, and how overdue the next one is."""

from features.definitions.parts import ratio
from features.engine.definition import Expression, Feature, Unit, View


def _mean_gap(newest: int | None = None) -> Expression:
    if newest is None:
        return lambda gaps: ratio(gaps.gap_days.sum(), gaps.count())
    return lambda gaps: ratio(gaps.gap_days.sum(where=gaps["rank"] <= newest), gaps.count(where=gaps["rank"] <= newest))


def _periods_with_purchase(days: int, within: int) -> Expression:
    return lambda rows: (rows.day_ago / days).floor().nunique(where=rows.day_ago < within)


FEATURES = (
    Feature(
        name="mean_gap_days",
        group="rhythm",
        view=View.GAPS,
        expression=_mean_gap(),
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
        name="shortest_gap_days",
        group="rhythm",
        view=View.GAPS,
        expression=lambda gaps: gaps.gap_days.min(),
        phrase="days, the shortest pause between purchases",
        unit=Unit.DAYS,
    ),
    Feature(
        name="newest_gap_days",
        group="rhythm",
        view=View.GAPS,
        expression=lambda gaps: gaps.gap_days.max(where=gaps["rank"] == 1),
        phrase="days between the last two purchases",
        unit=Unit.DAYS,
        usual="mean_gap_days",
    ),
    Feature(
        name="mean_gap_days_newest_5",
        group="rhythm",
        view=View.GAPS,
        expression=_mean_gap(newest=5),
        phrase="days between the newest purchases on average",
        unit=Unit.DAYS,
        usual="mean_gap_days",
    ),
    Feature(
        name="mean_gap_days_180d",
        group="rhythm",
        view=View.GAPS,
        window_days=180,
        expression=_mean_gap(),
        phrase="days between purchases on average, of the last 180 days",
        unit=Unit.DAYS,
        usual="mean_gap_days",
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
        name="newest_gap_to_mean",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: wide.newest_gap_days / wide.mean_gap_days.nullif(0),
        phrase="times the usual pause between the last two purchases",
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
    Feature(
        name="days_overdue",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: (wide.days_since_last_purchase <= wide.mean_gap_days).ifelse(
            0.0, wide.days_since_last_purchase - wide.mean_gap_days
        ),
        phrase="days overdue against the usual pause",
        unit=Unit.DAYS,
    ),
    Feature(
        name="overdue_deviations",
        group="rhythm",
        view=View.FEATURES,
        expression=lambda wide: (wide.days_since_last_purchase - wide.mean_gap_days) / wide.std_gap_days.nullif(0),
        phrase="standard deviations past the usual pause",
        unit=Unit.RATIO,
    ),
    Feature(
        name="months_with_purchase_360d",
        group="rhythm",
        view=View.DAYS,
        expression=_periods_with_purchase(30, 360),
        phrase="of the last 12 months of 30 days have a purchase",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
    Feature(
        name="weeks_with_purchase_84d",
        group="rhythm",
        view=View.DAYS,
        expression=_periods_with_purchase(7, 84),
        phrase="of the last 12 weeks have a purchase",
        unit=Unit.COUNT,
        when_unknown=0,
    ),
)
