"""Days between purchases, and when in the year, the week and the day the customer buys."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.histories import Line
from tests.oracle.rows import (
    Order,
    Values,
    deviation,
    entropy,
    last_day,
    number,
    orders_of,
    orders_within,
    purchase_days,
    ratio,
    total,
)

_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")


def rhythm(lines: list[Line], as_of: datetime, zone: ZoneInfo, values: Values) -> Values:
    days = purchase_days(lines, zone)
    ago = [last_day(as_of, zone) - day.day for day in days]
    found: Values = {
        "months_with_purchase_360d": float(len({day // 30 for day in ago if day < 360})),
        "weeks_with_purchase_84d": float(len({day // 7 for day in ago if day < 84})),
    }
    pauses = [(after.newest, after.day - before.day) for before, after in pairwise(days)]
    gaps = [gap for _, gap in pauses]
    recent = [gap for ended, gap in pauses if ended >= as_of - timedelta(days=180)]
    found["mean_gap_days_180d"] = ratio(sum(recent), len(recent))
    if not gaps:
        names = "mean_gap_days std_gap_days longest_gap_days shortest_gap_days newest_gap_days mean_gap_days_newest_5"
        more = "gap_variation newest_gap_to_mean overdue_ratio overdue_to_longest days_overdue overdue_deviations"
        return found | dict.fromkeys([*names.split(), *more.split()])
    since = number(values, "days_since_last_purchase")
    assert since is not None
    mean, spread = sum(gaps) / len(gaps), deviation(gaps)
    return found | {
        "mean_gap_days": mean,
        "std_gap_days": spread,
        "longest_gap_days": float(max(gaps)),
        "shortest_gap_days": float(min(gaps)),
        "newest_gap_days": float(gaps[-1]),
        "mean_gap_days_newest_5": sum(gaps[-5:]) / len(gaps[-5:]),
        "gap_variation": ratio(spread, mean),
        "newest_gap_to_mean": gaps[-1] / mean,
        "overdue_ratio": since / mean,
        "overdue_to_longest": since / max(gaps),
        "days_overdue": max(0.0, since - mean),
        "overdue_deviations": ratio(since - mean, spread),
    }


def seasonality(lines: list[Line], as_of: datetime, zone: ZoneInfo, values: Values) -> Values:
    found: Values = {}
    for name, older, at_most in (("coming_30d", 335, 365), ("coming_90d", 275, 365), ("same_90d", 365, 455)):
        begins, ends = as_of - timedelta(days=at_most), as_of - timedelta(days=older)
        then = [order.value for order in orders_of(lines) if begins <= order.newest < ends]
        found[f"spend_{name}_last_year"] = float(total(then))
        found[f"orders_{name}_last_year"] = float(sum(value > 0 for value in then))
    found["spend_90d_to_last_year"] = ratio(number(values, "spend_90d"), number(found, "spend_same_90d_last_year"))
    year = [_weekday(order, zone) for order in orders_within(lines, as_of, 365)]
    for weekday, name in enumerate(_WEEKDAYS):
        found[f"{name}_share_365d"] = ratio(year.count(weekday), len(year))
    found["weekday_entropy_365d"] = entropy([Decimal(year.count(weekday)) for weekday in set(year)])
    orders = orders_within(lines, as_of, 90)
    weekdays, hours = [_weekday(order, zone) for order in orders], [_hour(order, zone) for order in orders]
    found["weekend_share_90d"] = ratio(sum(day >= 5 for day in weekdays), len(orders))
    found["weekdays_used_90d"] = float(len(set(weekdays)))
    for name, of_the_day in (
        ("morning", range(5, 11)),
        ("midday", range(11, 14)),
        ("afternoon", range(14, 17)),
        ("evening", range(17, 24)),
        ("night", (22, 23, 0, 1, 2, 3, 4)),
    ):
        found[f"{name}_share_90d"] = ratio(sum(hour in of_the_day for hour in hours), len(orders))
    return found


def _weekday(order: Order, zone: ZoneInfo) -> int:
    return min(line.event_time.astimezone(zone).weekday() for line in order.lines)


def _hour(order: Order, zone: ZoneInfo) -> int:
    return min(line.event_time.astimezone(zone).hour for line in order.lines)
