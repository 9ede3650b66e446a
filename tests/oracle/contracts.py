"""Subscriptions as they stand: the newest known version of each."""

from __future__ import annotations

import math
from collections import defaultdict
from datetime import datetime
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.histories import Contract, Deed
from tests.oracle.activities import counts, days_since, of_kind
from tests.oracle.rows import Values, as_days, last_day, ratio


def subscriptions(rows: list[Contract], deeds: list[Deed], as_of: datetime, zone: ZoneInfo) -> Values:
    versions: dict[str, list[Contract]] = defaultdict(list)
    for row in sorted(rows, key=lambda row: row.event_time):
        versions[row.subscription_id].append(row)
    today = last_day(as_of, zone)
    newest = {name: known[-1] for name, known in versions.items()}
    ends = {name: row.end_date.toordinal() - today for name, row in newest.items() if row.end_date is not None}
    age = {name: today - row.start_date.toordinal() for name, row in newest.items()}
    active = [name for name in newest if age[name] >= 0 and ends.get(name, 1) > 0]
    recurring = [name for name in active if _renews(newest[name])]
    ended = [name for name, left in ends.items() if left <= 0]
    changes = [
        after.event_time
        for known in versions.values()
        for before, after in pairwise(known)
        if before.plan is not None and after.plan is not None and before.plan != after.plan
    ]
    prices = [(_monthly(versions[name][0]), _monthly(newest[name])) for name in active]
    rises = [now - first for first, now in prices if first is not None and now is not None]
    renewals = [
        _to_renewal(age[name], newest[name].recurrence_months)
        for name in recurring
        if name not in ends and newest[name].recurrence_months
    ]
    failed = of_kind(deeds, "payment_failed")
    return {
        "active_subscriptions": float(len(active)),
        "ended_subscriptions": float(len(ended)),
        "cancelled_subscriptions": float(
            sum(any(version.end_date is None for version in versions[name]) for name in ends)
        ),
        "recurring_share": ratio(len(recurring), len(active)),
        "subscription_age_days": _whole(max((age[name] for name in active), default=None)),
        "days_to_subscription_end": _whole(min((ends[name] for name in active if name in ends), default=None)),
        "days_to_renewal": min(renewals, default=None),
        "days_since_subscription_end": _whole(min((-ends[name] for name in ended), default=None)),
        "subscription_monthly_amount": float(sum((now for _, now in prices if now is not None), Decimal(0))),
        "subscription_monthly_change": float(sum(rises, Decimal(0))) if rises else None,
        "plan_changes": float(len(changes)),
        "days_since_plan_change": as_days(as_of - max(changes)) if changes else None,
        **counts("payments_failed", failed, as_of, (30, 90, 365)),
        "days_since_payment_failed": days_since(failed, as_of),
    }


def _renews(row: Contract) -> bool:
    return row.recurrence_months is not None if row.is_recurring is None else row.is_recurring


def _monthly(row: Contract) -> Decimal | None:
    if row.amount is None or not row.recurrence_months:
        return None
    return round(row.amount / Decimal(row.recurrence_months), 6)


def _to_renewal(age: int, months: float | None) -> float:
    assert months is not None
    period = months * 365.25 / 12
    return period * (math.floor(age / period) + 1) - age


def _whole(days: int | None) -> float | None:
    return None if days is None else float(days)
