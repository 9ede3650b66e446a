"""What comes back: lines with a negative amount."""

from collections.abc import Iterator

from features.definitions.parts import ratio
from features.engine.definition import Feature, Rows, Unit, Value, View


def _returned(lines: Rows) -> Value:
    # The absolute value also makes 0 of -0.0.
    return lines.amount.sum(where=lines.amount < 0).cast("float64").fill_null(0).abs()


def _share(lines: Rows) -> Value:
    return _returned(lines) / lines.amount.sum(where=lines.amount > 0).cast("float64")


def _features() -> Iterator[Feature]:
    yield Feature(
        name="returned_share",
        group="returns",
        view=View.LINES,
        expression=_share,
        phrase="of the money spent was returned",
        unit=Unit.SHARE,
    )
    yield Feature(
        name="returned_to_spent_365d",
        group="returns",
        view=View.LINES,
        window_days=365,
        expression=_share,
        # What is returned may have been bought long before: this can be more than 1.
        phrase="returned for each 1 spent in the last 365 days",
        unit=Unit.RATIO,
    )
    for days in (90, 365):
        yield Feature(
            name=f"returned_amount_{days}d",
            group="returns",
            view=View.LINES,
            window_days=days,
            expression=_returned,
            phrase=f"returned in the last {days} days",
            unit=Unit.MONEY,
            when_unknown=0,
        )
        yield Feature(
            name=f"returned_lines_{days}d",
            group="returns",
            view=View.LINES,
            window_days=days,
            expression=lambda lines: lines.count(where=lines.amount < 0),
            phrase=f"lines returned in the last {days} days",
            unit=Unit.COUNT,
            when_unknown=0,
        )
    yield Feature(
        name="return_orders_share_365d",
        group="returns",
        view=View.ORDERS,
        window_days=365,
        expression=lambda orders: ratio(orders.count(where=orders.returned_lines > 0), orders.count()),
        phrase="of the orders of the last 365 days have a return",
        unit=Unit.SHARE,
    )
    yield Feature(
        name="days_since_last_return",
        group="returns",
        view=View.LINES,
        expression=lambda lines: lines.days_ago.min(where=lines.amount < 0),
        phrase="days since the last return",
        unit=Unit.DAYS,
    )


FEATURES = tuple(_features())
