"""What is in the orders: size, value, discount, variety, what comes back, and through which channel."""

from __future__ import annotations

from collections import defaultdict
from datetime import datetime, timedelta
from decimal import Decimal
from itertools import pairwise
from zoneinfo import ZoneInfo

from tests.histories import Line
from tests.oracle.rows import (
    Order,
    Values,
    as_days,
    deviation,
    different,
    entropy,
    number,
    orders_within,
    purchase_days,
    ratio,
    total,
    younger,
)


def baskets(lines: list[Line], as_of: datetime, values: Values) -> Values:
    orders = orders_within(lines, as_of, 90)
    of_90 = younger(lines, as_of, 90)
    bought = [line for line in of_90 if line.amount > 0]
    count = len(orders)
    worth = [order.value for order in orders]
    found: Values = {
        "lines_per_order_90d": ratio(sum(len(order.lines) for order in orders), count),
        "units_per_order_90d": ratio(sum(line.quantity for order in orders for line in order.lines), count),
        "products_per_order_90d": ratio(sum(len(different(x.product_id for x in o.lines)) for o in orders), count),
        "categories_per_order_90d": ratio(sum(len(different(x.category for x in o.lines)) for o in orders), count),
        "largest_order_90d": float(max(worth)) if worth else None,
        "std_order_90d": deviation(worth),
        "units_90d": float(sum(line.quantity for line in bought)),
        "price_per_unit_90d": ratio(total(line.amount for line in bought), len(bought)),
        "discount_share_90d": _discount_share(orders),
        "discount_share_365d": _discount_share(orders_within(lines, as_of, 365)),
        "discounted_lines_share_90d": ratio(sum(line.discount > 0 for line in of_90), len(of_90)),
    }
    for days in (90, 365):
        paid = [line for line in younger(lines, as_of, days) if line.amount > 0]
        found[f"unit_price_{days}d"] = ratio(total(line.amount for line in paid), sum(line.quantity for line in paid))
    found["unit_price_90d_to_365d"] = ratio(number(found, "unit_price_90d"), number(found, "unit_price_365d"))
    found["order_variation_90d"] = ratio(number(found, "std_order_90d"), number(values, "mean_order_90d"))
    return found


def _discount_share(orders: list[Order]) -> float | None:
    saved = total(line.discount for order in orders for line in order.lines)
    paid = total(order.value for order in orders if order.value > 0)
    # Without an order of positive value there is no list price to have a share of.
    return ratio(saved, saved + paid) if paid else None


def _by(lines: list[Line], column: str) -> dict[str, list[Line]]:
    """The lines with spend of each product, category or channel."""
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        word = getattr(line, column)
        if word is not None and line.amount > 0:
            found[word].append(line)
    return found


def _spends(lines: list[Line], column: str) -> list[Decimal]:
    return [total(line.amount for line in group) for group in _by(lines, column).values()]


def _top_share(spends: list[Decimal]) -> float | None:
    return ratio(max(spends, default=None), total(spends))


def variety(lines: list[Line], as_of: datetime) -> Values:
    of_90, of_365 = (_spends(younger(lines, as_of, days), "category") for days in (90, 365))
    products = _spends(younger(lines, as_of, 365), "product_id")
    often = [len(group) > 1 for group in _by(younger(lines, as_of, 365), "product_id").values()]
    recently = as_of - timedelta(days=90)
    categories = [[line.event_time for line in group] for group in _by(lines, "category").values()]
    firsts = [min(line.event_time for line in group) for group in _by(lines, "product_id").values()]
    return {
        "top_category_share_90d": _top_share(of_90),
        "top_category_share_365d": _top_share(of_365),
        "top_product_share_365d": _top_share(products),
        "category_concentration_90d": ratio(total(part * part for part in of_90), total(of_90) ** 2),
        "category_entropy_365d": entropy(of_365),
        "product_entropy_365d": entropy(products),
        "repeat_products_share_365d": ratio(sum(often), len(often)),
        "new_categories_90d": float(sum(min(times) >= recently for times in categories)),
        "new_products_90d": float(sum(first >= recently for first in firsts)),
        "lapsed_categories_share_90d": ratio(sum(max(times) < recently for times in categories), len(categories)),
    }


def returns(lines: list[Line], as_of: datetime) -> Values:
    found: Values = {"returned_share": _returned(lines)[1]}
    of_365 = younger(lines, as_of, 365)
    found["returned_to_spent_365d"] = _returned(of_365)[1]
    for days in (90, 365):
        within = younger(lines, as_of, days)
        found[f"returned_amount_{days}d"] = float(_returned(within)[0])
        found[f"returned_lines_{days}d"] = float(sum(line.amount < 0 for line in within))
    orders = orders_within(lines, as_of, 365)
    with_return = [order for order in orders if any(line.amount < 0 for line in order.lines)]
    found["return_orders_share_365d"] = ratio(len(with_return), len(orders))
    moments = [line.event_time for line in lines if line.amount < 0]
    found["days_since_last_return"] = as_days(as_of - max(moments)) if moments else None
    return found


def _returned(lines: list[Line]) -> tuple[Decimal, float | None]:
    back = -total(line.amount for line in lines if line.amount < 0)
    return back, ratio(back, total(line.amount for line in lines if line.amount > 0))


def channels(lines: list[Line], as_of: datetime, zone: ZoneInfo) -> Values:
    found: Values = {
        f"channels_{days}d": float(len(different(line.channel for line in younger(lines, as_of, days))))
        for days in (30, 90, 365)
    }
    spends = _spends(younger(lines, as_of, 365), "channel")
    firsts = [min(line.event_time for line in group) for group in _by(lines, "channel").values()]
    switches = [
        len(before.channels) == len(after.channels) == 1 and before.channels != after.channels
        for before, after in pairwise(purchase_days(lines, zone))
        if after.newest >= as_of - timedelta(days=365)
    ]
    return found | {
        "top_channel_share_365d": _top_share(spends),
        "channel_entropy_365d": entropy(spends),
        "new_channels_90d": float(sum(first >= as_of - timedelta(days=90) for first in firsts)),
        "channel_switches_365d": float(sum(switches)),
    }
