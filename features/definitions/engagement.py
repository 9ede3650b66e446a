"""What the customer does besides buying: campaigns, coupons, visits, logins."""

from collections.abc import Iterator

from features.engine.definition import Expression, Feature, Unit, View

RECEIVED, REDEEMED = "campaign_received", "coupon_redeemed"
_KINDS = (
    (RECEIVED, "campaigns_received", "campaigns received", (7, 30, 90, 365)),
    ("campaign_opened", "campaigns_opened", "campaigns opened", (90, 365)),
    ("campaign_clicked", "campaigns_clicked", "campaigns clicked", (90, 365)),
    (REDEEMED, "coupons_redeemed", "coupons redeemed", (30, 90, 365)),
    ("visit", "visits", "visits", (7, 30, 90)),
    ("login", "logins", "logins", (7, 30, 90)),
)
_NEWEST = (
    (RECEIVED, "days_since_last_campaign", "days since the last campaign was received"),
    ("campaign_opened", "days_since_last_open", "days since a campaign was last opened"),
    ("campaign_clicked", "days_since_last_click", "days since a campaign was last clicked"),
    (REDEEMED, "days_since_last_redemption", "days since the last coupon was redeemed"),
    ("visit", "days_since_last_visit", "days since the last visit"),
    ("login", "days_since_last_login", "days since the last login"),
)


def count_of(kind: str) -> Expression:
    """Activities of a kind."""
    return lambda activities: activities.count(where=activities.kind == kind)


def newest_of(kind: str) -> Expression:
    """Days since the newest activity of a kind."""
    return lambda activities: activities.days_ago.min(where=activities.kind == kind)


def _by_kind() -> Iterator[Feature]:
    for kind, name, words, windows in _KINDS:
        for days in windows:
            yield Feature(
                name=f"{name}_{days}d",
                group="engagement",
                view=View.ACTIVITIES,
                window_days=days,
                expression=count_of(kind),
                phrase=f"{words} in the last {days} days",
                unit=Unit.COUNT,
                when_unknown=0,
            )
    for kind, name, words in _NEWEST:
        yield Feature(
            name=name,
            group="engagement",
            view=View.ACTIVITIES,
            expression=newest_of(kind),
            phrase=words,
            unit=Unit.DAYS,
        )


def _of_any_kind() -> Iterator[Feature]:
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
    for days in (30, 90):
        yield Feature(
            name=f"activities_{days}d",
            group="engagement",
            view=View.ACTIVITIES,
            window_days=days,
            expression=lambda activities: activities.count(),
            phrase=f"activities of any kind in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
    yield Feature(
        name="activity_days_90d",
        group="engagement",
        view=View.ACTIVITIES,
        window_days=90,
        expression=lambda activities: activities.day_ago.nunique(),
        phrase="days with an activity of any kind in the last 90 days",
        unit=Unit.COUNT,
        when_unknown=0,
    )
    yield Feature(
        name="days_since_last_activity",
        group="engagement",
        view=View.ACTIVITIES,
        expression=lambda activities: activities.days_ago.min(),
        phrase="days since the last activity of any kind",
        unit=Unit.DAYS,
    )
    yield Feature(
        name="activities_30d_to_90d",
        group="engagement",
        view=View.FEATURES,
        expression=lambda wide: (wide.activities_30d / 30) / (wide.activities_90d / 90).nullif(0),
        phrase="times the usual pace: activities a day in the last 30 days against the last 90",
        unit=Unit.RATIO,
    )
    yield Feature(
        name="redemptions_per_campaign_365d",
        group="engagement",
        view=View.FEATURES,
        expression=lambda wide: wide.coupons_redeemed_365d / wide.campaigns_received_365d.nullif(0),
        phrase="coupons redeemed per campaign received in the last 365 days",
        unit=Unit.RATIO,
    )


FEATURES = (*_by_kind(), *_of_any_kind())
