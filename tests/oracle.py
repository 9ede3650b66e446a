"""What every feature should be, in plain Python over rows: slow, obvious, and independent of the engine.

Written from the features' descriptions, with datetime, dict and Decimal only; it shares no code with the package.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.histories import Deed, History, Line

Value = float | str | None
Values = dict[str, Value]
_DAY = timedelta(days=1)
_MICRO_CENT = Decimal("0.000001")


def expected(history: History, as_of: datetime) -> dict[str, Values]:
    """Customer -> feature -> value; None where unknown."""
    zone = ZoneInfo(history.timezone)
    found: dict[str, Values] = {}
    for person in history.people:
        if person.created_at is not None and person.created_at >= as_of:
            continue
        lines = [line for line in history.lines if line.customer_id == person.customer_id and _known(line, as_of)]
        deeds = [deed for deed in history.deeds if deed.customer_id == person.customer_id and _known(deed, as_of)]
        values: Values = {"city": person.city, "age": person.age}
        values["days_since_created"] = None if person.created_at is None else _days(as_of - person.created_at)
        values |= _buying(lines, as_of, zone)
        values |= _rhythm(lines, as_of, zone, values)
        for days in (7, 14, 30, 60, 90, 365):
            values |= _window(lines, as_of, zone, days)
        values |= _paces(values)
        values |= _memories(lines, as_of)
        values |= _baskets(_younger(lines, as_of, 90), zone)
        values["products_365d"] = float(len(_different(line.product_id for line in _younger(lines, as_of, 365))))
        values |= _engagement(deeds, as_of)
        found[person.customer_id] = values
    return found


def _known(row: Line | Deed, as_of: datetime) -> bool:
    return row.event_time < as_of and row.ingested_at <= as_of


def _younger(rows: list, as_of: datetime, days: int) -> list:  # type: ignore[type-arg]
    return [row for row in rows if row.event_time >= as_of - timedelta(days=days)]


def _days(span: timedelta) -> float:
    return span / _DAY


def _ratio(above: Decimal | float | None, below: Decimal | float | None) -> float | None:
    if above is None or below is None or below == 0:
        return None
    return float(above) / float(below)


def _total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def _different(words: Iterable[str | None]) -> set[str]:
    return {word for word in words if word is not None}


def _spend_by_date(lines: list[Line], zone: ZoneInfo) -> dict[int, Decimal]:
    dates: dict[int, Decimal] = defaultdict(Decimal)
    for line in lines:
        if line.amount > 0:
            dates[line.event_time.astimezone(zone).date().toordinal()] += line.amount
    return dict(sorted(dates.items()))


def _last_date(as_of: datetime, zone: ZoneInfo) -> int:
    return (as_of - timedelta(microseconds=1)).astimezone(zone).date().toordinal()


def _buying(lines: list[Line], as_of: datetime, zone: ZoneInfo) -> Values:
    dates = _spend_by_date(lines, zone)
    spent = _total(line.amount for line in lines if line.amount > 0)
    returned = -_total(line.amount for line in lines if line.amount < 0)
    values: Values = {
        "frequency": 0.0,
        "days_since_last_purchase": None,
        "days_since_first_purchase": None,
        "recency_days": None,
        "T_days": None,
        "monetary_value": None,
        "purchase_days_per_week": None,
        "spend_per_week": None,
        "net_spend": float(spent - returned),
        "returned_share": _ratio(returned, spent),
    }
    if not dates:
        return values
    first, last = min(dates), max(dates)
    tenure = _last_date(as_of, zone) - first
    purchases = [line.event_time for line in lines if line.amount > 0]
    repeat = [amount for date, amount in dates.items() if date != first]
    return values | {
        "frequency": float(len(repeat)),
        "days_since_last_purchase": _days(as_of - max(purchases)),
        "days_since_first_purchase": _days(as_of - min(purchases)),
        "recency_days": float(last - first),
        "T_days": float(tenure),
        "monetary_value": _ratio(_total(repeat), len(repeat)),
        "purchase_days_per_week": len(dates) / (tenure + 7) * 7,
        "spend_per_week": float(spent - returned) / (tenure + 7) * 7,
    }


def _rhythm(lines: list[Line], as_of: datetime, zone: ZoneInfo, values: Values) -> Values:
    dates = list(_spend_by_date(lines, zone))
    gaps = [after - before for before, after in pairwise(dates)]
    since = values["days_since_last_purchase"]
    assert not isinstance(since, str)
    if not gaps:
        names = "mean_gap_days std_gap_days longest_gap_days mean_gap_days_newest_5 gap_variation overdue_ratio"
        return dict.fromkeys([*names.split(), "overdue_to_longest"])
    mean = sum(gaps) / len(gaps)
    spread = math.sqrt(sum((gap - mean) ** 2 for gap in gaps) / len(gaps))
    newest = gaps[-5:]
    return {
        "mean_gap_days": mean,
        "std_gap_days": spread,
        "longest_gap_days": float(max(gaps)),
        "mean_gap_days_newest_5": sum(newest) / len(newest),
        "gap_variation": spread / mean,
        "overdue_ratio": _ratio(since, mean),
        "overdue_to_longest": _ratio(since, max(gaps)),
    }


def _orders(lines: list[Line]) -> list[list[Line]]:
    orders: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        orders[line.transaction_id].append(line)
    return list(orders.values())


def _value(order: list[Line]) -> Decimal:
    return _total(line.amount for line in order)


def _window(lines: list[Line], as_of: datetime, zone: ZoneInfo, days: int) -> Values:
    within = _younger(lines, as_of, days)
    paid = [_value(order) for order in _orders(within) if _value(order) > 0]
    return {
        f"spend_{days}d": float(_total(line.amount for line in within)),
        f"orders_{days}d": float(len(paid)),
        f"mean_order_{days}d": _ratio(_total(paid), len(paid)),
        f"purchase_days_{days}d": float(len(_spend_by_date(within, zone))),
    }


def _paces(values: Values) -> Values:
    paces: Values = {}
    for short, long in ((7, 30), (14, 60), (30, 90), (90, 365)):
        for what in ("spend", "orders"):
            now, before = values[f"{what}_{short}d"], values[f"{what}_{long}d"]
            assert isinstance(now, float) and isinstance(before, float)
            paces[f"{what}_{short}d_to_{long}d"] = _ratio(now / short, before / long)
    return paces


def _memories(lines: list[Line], as_of: datetime) -> Values:
    values: Values = {}
    for half_life in (14, 45, 120):
        parts = [
            float(line.amount) * math.exp(_days(as_of - line.event_time) * (-math.log(2) / half_life)) for line in lines
        ]
        rounded = [Decimal(part).quantize(_MICRO_CENT, ROUND_HALF_UP) for part in parts]
        values[f"decayed_spend_{half_life}d"] = float(_total(rounded))
    return values


def _baskets(lines: list[Line], zone: ZoneInfo) -> Values:
    orders = _orders(lines)
    number = len(orders)
    values_of_orders = [_value(order) for order in orders]
    paid = _total(line.amount for line in lines if line.amount > 0)
    saved = _total(line.discount for line in lines)
    positive_orders = _total(value for value in values_of_orders if value > 0)
    weekdays = [min(line.event_time.astimezone(zone).weekday() for line in order) for order in orders]
    hours = [min(line.event_time.astimezone(zone).hour for line in order) for order in orders]
    bought = [line for line in lines if line.amount > 0]
    return {
        "lines_per_order_90d": _ratio(len(lines), number),
        "products_per_order_90d": _ratio(sum(len(_different(line.product_id for line in o)) for o in orders), number),
        "categories_per_order_90d": _ratio(sum(len(_different(line.category for line in o)) for o in orders), number),
        "largest_order_90d": float(max(values_of_orders)) if orders else None,
        "std_order_90d": _spread(values_of_orders),
        # Without an order of positive value there is no list price to have a share of.
        "discount_share_90d": _ratio(saved, saved + positive_orders) if positive_orders else None,
        "discounted_lines_share_90d": _ratio(sum(line.discount > 0 for line in lines), len(lines)),
        "weekend_share_90d": _ratio(sum(day >= 5 for day in weekdays), number),
        "evening_share_90d": _ratio(sum(hour >= 17 for hour in hours), number),
        "weekdays_used_90d": float(len(set(weekdays))),
        "products_90d": float(len(_different(line.product_id for line in lines))),
        "channels_90d": float(len(_different(line.channel for line in lines))),
        "price_per_unit_90d": _ratio(paid, len(bought)),
        **_variety(bought),
    }


def _spread(values: list[Decimal]) -> float | None:
    if not values:
        return None
    mean = _total(values) / len(values)
    return math.sqrt(_total((value - mean) ** 2 for value in values) / len(values))


def _variety(bought: list[Line]) -> Values:
    spend: dict[str, Decimal] = defaultdict(Decimal)
    for line in bought:
        if line.category is not None:
            spend[line.category] += line.amount
    total = _total(spend.values())
    return {
        "categories_90d": float(len(spend)),
        "top_category_share_90d": _ratio(max(spend.values(), default=None), total),
        "category_concentration_90d": _ratio(_total(part * part for part in spend.values()), total * total),
    }


def _engagement(deeds: list[Deed], as_of: datetime) -> Values:
    values: Values = {}
    for days in (30, 90, 365):
        kinds = [deed.kind for deed in _younger(deeds, as_of, days)]
        values[f"campaigns_received_{days}d"] = float(kinds.count("campaign_received"))
        values[f"coupons_redeemed_{days}d"] = float(kinds.count("coupon_redeemed"))
    for kind, name in (
        ("campaign_received", "days_since_last_campaign"),
        ("coupon_redeemed", "days_since_last_redemption"),
    ):
        moments = [deed.event_time for deed in deeds if deed.kind == kind]
        values[name] = _days(as_of - max(moments)) if moments else None
    received = [deed for deed in _younger(deeds, as_of, 365) if deed.kind == "campaign_received"]
    values["campaign_types_365d"] = float(len(_different(deed.detail for deed in received)))
    values["activities_90d"] = float(len(_younger(deeds, as_of, 90)))
    redeemed = values["coupons_redeemed_365d"]
    assert isinstance(redeemed, float)
    values["redemptions_per_campaign_365d"] = _ratio(redeemed, len(received))
    return values
