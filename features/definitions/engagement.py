"""How the customer meets campaigns and coupons."""

from collections.abc import Iterator

from features.engine.definition import Expression, Feature, Unit, View

WINDOWS = (30, 90, 365)
RECEIVED, REDEEMED = "campaign_received", "coupon_redeemed"


def _count_of(kind: str) -> Expression:
    return lambda activities: activities.count(where=activities.kind == kind)


def _newest_of(kind: str) -> Expression:
    return lambda activities: activities.days_ago.min(where=activities.kind == kind)


def _features() -> Iterator[Feature]:
    for days in WINDOWS:
        for kind, name, words in (
            (RECEIVED, "campaigns_received", "campaigns received"),
            (REDEEMED, "coupons_redeemed", "coupons redeemed"),
        ):
            yield Feature(
                name=f"{name}_{days}d",
                group="engagement",
                view=View.ACTIVITIES,
                window_days=days,
                expression=_count_of(kind),
                phrase=f"{words} in the last {days} days",
                unit=Unit.COUNT,
                when_unknown=0,
            )
    for kind, name, words in (
        (RECEIVED, "days_since_last_campaign", "days since the last campaign was received"),
        (REDEEMED, "days_since_last_redemption", "days since the last coupon was redeemed"),
    ):
        yield Feature(
            name=name,
            group="engagement",
            view=View.ACTIVITIES,
            expression=_newest_of(kind),
            phrase=words,
            unit=Unit.DAYS,
        )
    yield Feature(
        name="campaign_types_365d",
        group="engagement",
        view=View.ACTIVITIES,
        window_days=365,
        expression=lambda activities: activities.detail.nunique(where=activities.kind == RECEIVED),
        phrase="different types of campaign received in the last 365 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="activities_90d",
        group="engagement",
        view=View.ACTIVITIES,
        window_days=90,
        expression=lambda activities: activities.count(),
        phrase="activities of any kind in the last 90 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="redemptions_per_campaign_365d",
        group="engagement",
        view=View.FEATURES,
        expression=lambda wide: wide.coupons_redeemed_365d / wide.campaigns_received_365d.nullif(0),
        phrase="coupons redeemed per campaign received in the last 365 days",
        unit=Unit.RATIO,
    )


FEATURES = tuple(_features())
