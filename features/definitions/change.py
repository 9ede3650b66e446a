"""Whether it is more or less than before: paces of two windows, changes from one window to the next, slopes."""

from collections.abc import Iterator

from features.engine.definition import Expression, Feature, Rows, Unit, Value, View

_PACES = ((7, 30), (14, 60), (30, 90), (90, 365), (180, 365))
_CHANGES = ((30, 60), (90, 180))
_SLOPES = ((180, 30, "month"), (84, 7, "week"))


def _rate_ratio(of: str, short: int, long: int) -> Expression:
    return lambda wide: (wide[f"{of}_{short}d"] / short) / (wide[f"{of}_{long}d"] / long).nullif(0)


def _paces() -> Iterator[Feature]:
    for short, long in _PACES:
        for of in ("spend", "orders"):
            yield Feature(
                name=f"{of}_{short}d_to_{long}d",
                group="change",
                view=View.FEATURES,
                expression=_rate_ratio(of, short, long),
                phrase=f"times the usual pace: {of} a day in the last {short} days against the last {long}",
                unit=Unit.RATIO,
                version=2,
            )
    yield Feature(
        name="mean_order_90d_to_365d",
        group="change",
        view=View.FEATURES,
        expression=lambda wide: wide.mean_order_90d / wide.mean_order_365d.nullif(0),
        phrase="times the usual order: the mean of the last 90 days against the last 365",
        unit=Unit.RATIO,
    )


def _less_the_window_before(days: int, both: int) -> Expression:
    return lambda wide: wide[f"spend_{days}d"] * 2 - wide[f"spend_{both}d"]


def _changes() -> Iterator[Feature]:
    for days, both in _CHANGES:
        yield Feature(
            name=f"spend_change_{days}d",
            group="change",
            view=View.FEATURES,
            expression=_less_the_window_before(days, both),
            phrase=f"change in spend, the last {days} days against the {days} days before",
            unit=Unit.MONEY,
            when_unknown=0,
        )


def _slope(rows: Rows, value: Value | None, periods: int, days: int) -> Value:
    """Least squares over ``periods`` of ``days`` each, those without an order included.

    With x = 1 ... n, the slope is the sum of y (x - mean x) over the sum of (x - mean x)^2 = n (n^2 - 1) / 12; twice
    x - mean x is a whole number, so that the sum over orders is exact.
    """
    weight = periods + 1 - 2 * (rows.days_ago / days).ceil()
    total = weight.sum(where=rows.amount > 0) if value is None else (value * weight).sum()
    return total.cast("float64") / (periods * (periods**2 - 1) / 6)


def _spend_slope(periods: int, days: int) -> Expression:
    return lambda orders: _slope(orders, orders.amount, periods, days)


def _orders_slope(periods: int, days: int) -> Expression:
    return lambda orders: _slope(orders, None, periods, days)


def _slopes() -> Iterator[Feature]:
    for window, days, period in _SLOPES:
        yield Feature(
            name=f"spend_slope_{window}d",
            group="change",
            view=View.ORDERS,
            window_days=window,
            expression=_spend_slope(window // days, days),
            phrase=f"change in spend from {period} to {period}, over {window // days} {period}s of {days} days",
            unit=Unit.MONEY,
            when_unknown=0,
        )
        yield Feature(
            name=f"orders_slope_{window}d",
            group="change",
            view=View.ORDERS,
            window_days=window,
            expression=_orders_slope(window // days, days),
            phrase=f"orders of change from {period} to {period}, over {window // days} {period}s of {days} days",
            unit=Unit.RATIO,
            when_unknown=0,
        )
    yield Feature(
        name="spend_slope_share_180d",
        group="change",
        view=View.FEATURES,
        expression=lambda wide: wide.spend_slope_180d / (wide.spend_180d / 6).nullif(0),
        phrase="times a mean month's spend: its change from month to month, over 6 months of 30 days",
        unit=Unit.RATIO,
    )


FEATURES = (*_paces(), *_changes(), *_slopes())
