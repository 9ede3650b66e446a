"""Support cases, complaints and moods."""

from collections.abc import Iterator

from features.definitions.engagement import count_of, newest_of
from features.definitions.parts import ratio
from features.engine.definition import Feature, Rows, Unit, Value, View

_CASE, _COMPLAINT, _REVIEW = "support_case", "complaint", "review"


def _exact(values: Value) -> Value:
    # Sums of decimals do not depend on the order of rows.
    return values.cast("decimal(18, 6)").sum()


def _mean_sentiment(activities: Rows) -> Value:
    return ratio(_exact(activities.sentiment), activities.sentiment.count())


def _mean_review(activities: Rows) -> Value:
    # Other kinds have values of any size: only those of reviews are made decimals.
    values = (activities.kind == _REVIEW).ifelse(activities.value, None)
    return ratio(_exact(values), values.count())


def _cases() -> Iterator[Feature]:
    for kind, name, words in ((_CASE, "support_cases", "support cases"), (_COMPLAINT, "complaints", "complaints")):
        for days in (30, 90, 365):
            yield Feature(
                name=f"{name}_{days}d",
                group="support",
                view=View.ACTIVITIES,
                window_days=days,
                expression=count_of(kind),
                phrase=f"{words} in the last {days} days",
                unit=Unit.COUNT,
                when_unknown=0,
            )
    for kind, name, words in (
        (_CASE, "days_since_last_support_case", "days since the last support case"),
        (_COMPLAINT, "days_since_last_complaint", "days since the last complaint"),
    ):
        yield Feature(
            name=name,
            group="support",
            view=View.ACTIVITIES,
            expression=newest_of(kind),
            phrase=words,
            unit=Unit.DAYS,
        )


def _moods() -> Iterator[Feature]:
    scale = "(-1 = angry, 1 = delighted)"
    for days in (90, 365):
        yield Feature(
            name=f"mean_sentiment_{days}d",
            group="support",
            view=View.ACTIVITIES,
            window_days=days,
            expression=_mean_sentiment,
            phrase=f"mean sentiment in the last {days} days {scale}",
            unit=Unit.RATIO,
        )
    yield Feature(
        name="lowest_sentiment_365d",
        group="support",
        view=View.ACTIVITIES,
        window_days=365,
        expression=lambda activities: activities.sentiment.min(),
        phrase=f"lowest sentiment in the last 365 days {scale}",
        unit=Unit.RATIO,
    )
    yield Feature(
        name="last_sentiment",
        group="support",
        view=View.SENTIMENTS,
        # Of several on one day the lowest, so that it never depends on which of them came last.
        expression=lambda days: days.lowest.argmin(days.day_ago),
        phrase=f"lowest sentiment of the last day with any {scale}",
        unit=Unit.RATIO,
    )
    yield Feature(
        name="sentiment_change_90d",
        group="support",
        view=View.FEATURES,
        expression=lambda wide: wide.mean_sentiment_90d - wide.mean_sentiment_365d,
        phrase="change in mean sentiment, the last 90 days against the last 365",
        unit=Unit.RATIO,
    )
    yield Feature(
        name="negative_share_365d",
        group="support",
        view=View.ACTIVITIES,
        window_days=365,
        expression=lambda activities: ratio(
            activities.count(where=activities.sentiment < 0), activities.sentiment.count()
        ),
        phrase="of the sentiments in the last 365 days are negative",
        unit=Unit.SHARE,
    )
    yield Feature(
        name="reviews_365d",
        group="support",
        view=View.ACTIVITIES,
        window_days=365,
        expression=count_of(_REVIEW),
        phrase="reviews in the last 365 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="mean_review_365d",
        group="support",
        view=View.ACTIVITIES,
        window_days=365,
        expression=_mean_review,
        phrase="given in a review on average in the last 365 days",
        unit=Unit.RATIO,
    )


FEATURES = (*_cases(), *_moods())
