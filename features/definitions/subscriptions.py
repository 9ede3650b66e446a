"""Contracts as they stand: how many, how old, when they end or renew, what changed, which payments failed."""

from collections.abc import Iterator

from features.definitions.engagement import count_of, newest_of
from features.definitions.parts import ratio
from features.engine.definition import Expression, Feature, Rows, Unit, Value, View

_FAILED = "payment_failed"


def _ended(contracts: Rows) -> Value:
    return contracts.ends_in_days <= 0


def _feature(name: str, expression: Expression, phrase: str, unit: Unit, when_unknown: float | None = None) -> Feature:
    return Feature(
        name=name,
        group="subscriptions",
        view=View.SUBSCRIPTIONS,
        expression=expression,
        phrase=phrase,
        unit=unit,
        when_unknown=when_unknown,
    )


def _contracts() -> Iterator[Feature]:
    yield _feature(
        "active_subscriptions",
        lambda contracts: contracts.count(where=contracts.is_active),
        "subscriptions are active",
        Unit.COUNT,
        when_unknown=0,
    )
    yield _feature(
        "ended_subscriptions",
        lambda contracts: contracts.count(where=_ended(contracts)),
        "subscriptions have ended so far",
        Unit.COUNT,
        when_unknown=0,
    )
    yield _feature(
        "cancelled_subscriptions",
        # Open once, and now with an end: a fixed term has its end from the first version on.
        lambda contracts: contracts.count(where=contracts.was_open & contracts.ends_in_days.notnull()),
        "open subscriptions were cancelled so far",
        Unit.COUNT,
        when_unknown=0,
    )
    yield _feature(
        "recurring_share",
        lambda contracts: ratio(
            contracts.count(where=contracts.is_active & contracts.is_recurring),
            contracts.count(where=contracts.is_active),
        ),
        "of the active subscriptions renew by themselves",
        Unit.SHARE,
    )
    yield _feature(
        "subscription_age_days",
        lambda contracts: contracts.started_days_ago.max(where=contracts.is_active),
        "days since the oldest active subscription began",
        Unit.DAYS,
    )
    yield _feature(
        "days_to_subscription_end",
        lambda contracts: contracts.ends_in_days.min(where=contracts.is_active),
        "days until an active subscription ends",
        Unit.DAYS,
    )
    yield _feature(
        "days_to_renewal",
        lambda contracts: contracts.renews_in_days.min(
            where=contracts.is_active & contracts.is_recurring & contracts.ends_in_days.isnull()
        ),
        "days until a subscription renews",
        Unit.DAYS,
    )
    yield _feature(
        "days_since_subscription_end",
        lambda contracts: 0.0 - contracts.ends_in_days.max(where=_ended(contracts)),
        "days since a subscription last ended",
        Unit.DAYS,
    )


def _changes() -> Iterator[Feature]:
    yield _feature(
        "subscription_monthly_amount",
        lambda contracts: contracts.monthly_amount.sum(where=contracts.is_active),
        "a month for active subscriptions",
        Unit.MONEY,
        when_unknown=0,
    )
    yield _feature(
        "subscription_monthly_change",
        lambda contracts: (contracts.monthly_amount - contracts.first_monthly_amount).sum(where=contracts.is_active),
        "a month of change in the price of active subscriptions since they began",
        Unit.MONEY,
    )
    yield _feature(
        "plan_changes",
        lambda contracts: contracts.plan_changes.sum(),
        "changes of plan so far",
        Unit.COUNT,
        when_unknown=0,
    )
    yield _feature(
        "days_since_plan_change",
        lambda contracts: contracts.plan_changed_days_ago.min(),
        "days since the last change of plan",
        Unit.DAYS,
    )


def _payments() -> Iterator[Feature]:
    for days in (30, 90, 365):
        yield Feature(
            name=f"payments_failed_{days}d",
            group="subscriptions",
            view=View.ACTIVITIES,
            window_days=days,
            expression=count_of(_FAILED),
            phrase=f"payments failed in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
    yield Feature(
        name="days_since_payment_failed",
        group="subscriptions",
        view=View.ACTIVITIES,
        expression=newest_of(_FAILED),
        phrase="days since a payment last failed",
        unit=Unit.DAYS,
    )


FEATURES = (*_contracts(), *_changes(), *_payments())
