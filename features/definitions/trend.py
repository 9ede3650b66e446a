"""How much and how often in the last days, and whether that is more or less than before."""

from collections.abc import Iterator
from math import log

from features.engine.definition import Expression, Feature, Unit, View

WINDOWS = (7, 14, 30, 60, 90, 365)
_RATIOS = ((7, 30), (14, 60), (30, 90), (90, 365))


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
        )
        yield Feature(
            name=f"mean_order_{days}d",
            group="trend",
            view=View.ORDERS,
            window_days=days,
            expression=lambda orders: (
                orders.amount.sum(where=orders.amount > 0).cast("float64") / orders.count(where=orders.amount > 0)
            ),
            phrase=f"per order {last}",
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
        )


def _rate_ratio(of: str, short: int, long: int) -> Expression:
    return lambda wide: (wide[f"{of}_{short}d"] / short) / (wide[f"{of}_{long}d"] / long).nullif(0)


def _between_windows() -> Iterator[Feature]:
    for short, long in _RATIOS:
        for of in ("spend", "orders"):
            yield Feature(
                name=f"{of}_{short}d_to_{long}d",
                group="trend",
                view=View.FEATURES,
                expression=_rate_ratio(of, short, long),
                phrase=f"times the usual pace: {of} a day in the last {short} days against the last {long}",
                unit=Unit.RATIO,
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


FEATURES = (*_in_windows(), *_between_windows(), *_with_memory())
