"""Recency, frequency, money; what lies in each window; and whether it is more or less than before."""

from __future__ import annotations

import math
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from zoneinfo import ZoneInfo

from tests.histories import Line
from tests.oracle.rows import (
    Values,
    as_days,
    deviation,
    different,
    last_day,
    number,
    orders_of,
    orders_within,
    purchase_days,
    ratio,
    total,
    younger,
)

WINDOWS = (7, 14, 30, 60, 90, 180, 365)
_MICRO_CENT = Decimal("0.000001")


def buying(lines: list[Line], as_of: datetime, zone: ZoneInfo) -> Values:
    days = purchase_days(lines, zone)
    net = float(total(line.amount for line in lines))
    paid = [order.value for order in orders_of(lines) if order.value > 0]
    values: Values = {
        "frequency": 0.0,
        "net_spend": net,
        "orders_so_far": float(len(paid)),
        "mean_order": ratio(total(paid), len(paid)),
    }
    if not days:
        names = "days_since_last_purchase days_since_first_purchase recency_days T_days recency_to_T monetary_value"
        more = "first_day_spend last_day_spend day_spend_variation purchase_days_per_week spend_per_week"
        return values | dict.fromkeys([*names.split(), *more.split()])
    tenure = last_day(as_of, zone) - days[0].day
    recency = days[-1].day - days[0].day
    purchases = [line.event_time for line in lines if line.amount > 0]
    repeat = [day.spend for day in days[1:]]
    mean = total(day.spend for day in days) / len(days)
    return values | {
        "frequency": float(len(repeat)),
        "days_since_last_purchase": as_days(as_of - max(purchases)),
        "days_since_first_purchase": as_days(as_of - min(purchases)),
        "recency_days": float(recency),
        "T_days": float(tenure),
        "recency_to_T": ratio(recency, tenure),
        "monetary_value": ratio(total(repeat), len(repeat)),
        "first_day_spend": float(days[0].spend),
        "last_day_spend": float(days[-1].spend),
        "day_spend_variation": ratio(deviation([day.spend for day in days]), mean),
        "purchase_days_per_week": len(days) / (tenure + 7) * 7,
        "spend_per_week": net / (tenure + 7) * 7,
    }


def windows(lines: list[Line], as_of: datetime, zone: ZoneInfo) -> Values:
    values: Values = {}
    for days in WINDOWS:
        orders = [order.value for order in orders_within(lines, as_of, days)]
        paid = [value for value in orders if value > 0]
        within = [day for day in purchase_days(lines, zone) if day.newest >= as_of - timedelta(days=days)]
        values |= {
            f"spend_{days}d": float(total(orders)),
            f"orders_{days}d": float(len(paid)),
            f"mean_order_{days}d": ratio(total(paid), len(paid)),
            f"max_order_{days}d": float(max(paid)) if paid else None,
            f"purchase_days_{days}d": float(len(within)),
            f"products_{days}d": float(len(different(line.product_id for line in younger(lines, as_of, days)))),
            f"categories_{days}d": float(
                len(different(line.category for line in younger(lines, as_of, days) if line.amount > 0))
            ),
        }
    for half_life in (14, 45, 120):
        parts = [
            float(line.amount) * math.exp(as_days(as_of - line.event_time) * (-math.log(2) / half_life))
            for line in lines
        ]
        rounded = [Decimal(part).quantize(_MICRO_CENT, ROUND_HALF_UP) for part in parts]
        values[f"decayed_spend_{half_life}d"] = float(total(rounded))
    return values


def changes(lines: list[Line], as_of: datetime, values: Values) -> Values:
    found: Values = {}
    for short, long in ((7, 30), (14, 60), (30, 90), (90, 365), (180, 365)):
        for what in ("spend", "orders"):
            now, before = number(values, f"{what}_{short}d"), number(values, f"{what}_{long}d")
            assert now is not None and before is not None
            found[f"{what}_{short}d_to_{long}d"] = ratio(now / short, before / long)
    found["mean_order_90d_to_365d"] = ratio(number(values, "mean_order_90d"), number(values, "mean_order_365d"))
    for days in (30, 90):
        both = orders_within(lines, as_of, 2 * days)
        now_orders = orders_within(lines, as_of, days)
        spend = total(order.value for order in now_orders)
        found[f"spend_change_{days}d"] = float(spend - (total(order.value for order in both) - spend))
    for days, period in ((180, 30), (84, 7)):
        spends, counts = _by_period(lines, as_of, days // period, period)
        found[f"spend_slope_{days}d"] = _slope(spends)
        found[f"orders_slope_{days}d"] = _slope(counts)
    spend_180d = number(values, "spend_180d")
    assert spend_180d is not None
    found["spend_slope_share_180d"] = ratio(number(found, "spend_slope_180d"), spend_180d / 6)
    return found


def _by_period(lines: list[Line], as_of: datetime, periods: int, days: int) -> tuple[list[Decimal], list[Decimal]]:
    """Spend and paid orders of each period, the oldest first."""
    spends, counts = [Decimal(0)] * periods, [Decimal(0)] * periods
    for order in orders_within(lines, as_of, periods * days):
        ago = math.ceil((as_of - order.newest) / timedelta(days=days))
        spends[periods - ago] += order.value
        counts[periods - ago] += order.value > 0
    return spends, counts


def _slope(ys: list[Decimal]) -> float:
    xs = [Decimal(x) for x in range(len(ys))]
    mean_x, mean_y = total(xs) / len(xs), total(ys) / len(ys)
    above = total((x - mean_x) * (y - mean_y) for x, y in zip(xs, ys, strict=True))
    return float(above / total((x - mean_x) ** 2 for x in xs))
