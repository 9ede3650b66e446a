"""How much and how often in the last days."""

from collections.abc import Iterator
from math import log

from features.definitions.parts import ratio
from features.engine.definition import Expression, Feature, Unit, View

WINDOWS = (7, 14, 30, 60, 90, 180, 365)


def _in_windows() -> Iterator[Feature]:
    for days in WINDOWS:
        last = f"in the last {days} days"
        yield Feature(
            name=f"spend_{days}d",
            group="trend",
            view=View.ORDERS,
            window_days=days,
            expression=lambda orders: orders.amount.sum(),
            phrase=f"spent {last}",
            unit=Unit.MONEY,
            when_unknown=0,
            version=2,
        )
        yield Feature(
            name=f"orders_{days}d",
            group="trend",
            view=View.ORDERS,
            window_days=days,
            expression=lambda orders: orders.count(where=orders.amount > 0),
            phrase=f"orders {last}",
            unit=Unit.COUNT,
            when_unknown=0,
            version=2,
        )
        yield Feature(
            name=f"mean_order_{days}d",
            group="trend",
            view=View.ORDERS,
            window_days=days,
            expression=lambda orders: ratio(
                orders.amount.sum(where=orders.amount > 0), orders.count(where=orders.amount > 0)
            ),
            phrase=f"per order {last}",
            unit=Unit.MONEY,
            usual="mean_order",
            version=2,
        )
        yield Feature(
            name=f"max_order_{days}d",
            group="trend",
            view=View.ORDERS,
            window_days=days,
            expression=lambda orders: orders.amount.max(where=orders.amount > 0),
            phrase=f"in the largest order {last}",
            unit=Unit.MONEY,
        )
        yield Feature(
            name=f"purchase_days_{days}d",
            group="trend",
            view=View.DAYS,
            window_days=days,
            expression=lambda rows: rows.count(),
            phrase=f"days with a purchase {last}",
            unit=Unit.COUNT,
            when_unknown=0,
            version=2,
        )


def _decayed(half_life_days: int) -> Expression:
    # Each line's part is rounded to a decimal before the sum: exact sums do not depend on the order of rows.
    return lambda lines: (
        (lines.amount.cast("float64") * (lines.days_ago * (-log(2) / half_life_days)).exp())
        .cast("decimal(18, 6)")
        .sum()
    )


def _with_memory() -> Iterator[Feature]:
    for half_life in (14, 45, 120):
        yield Feature(
            name=f"decayed_spend_{half_life}d",
            group="trend",
            view=View.LINES,
            expression=_decayed(half_life),
            phrase=f"of spend, where money of {half_life} days ago counts half",
            unit=Unit.MONEY,
            when_unknown=0,
        )


FEATURES = (*_in_windows(), *_with_memory())
