"""When the customer buys: the same time of last year, the days of the week, the hours of the day."""

from collections.abc import Iterator

from features.definitions.parts import entropy_of_counts, ratio
from features.engine.definition import Expression, Feature, Rows, Unit, Value, View

_YEAR = 365
_WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
# The evening has no end, and the night is the end of it and the hours before the morning: the two overlap.
_HOURS = (
    ("morning", (5, 11), "between 5 and 11 am"),
    ("midday", (11, 14), "between 11 am and 2 pm"),
    ("afternoon", (14, 17), "between 2 and 5 pm"),
)


def _between(older_than: int, at_most: int) -> Expression:
    return lambda rows: (rows.days_ago > older_than) & (rows.days_ago <= at_most)


def _last_year(name: str, older_than: int, at_most: int, words: str) -> Iterator[Feature]:
    then = _between(older_than, at_most)
    yield Feature(
        name=f"spend_{name}_last_year",
        group="seasonality",
        view=View.ORDERS,
        expression=lambda orders: orders.amount.sum(where=then(orders)),
        phrase=f"spent in {words}",
        unit=Unit.MONEY,
        when_unknown=0,
    )
    yield Feature(
        name=f"orders_{name}_last_year",
        group="seasonality",
        view=View.ORDERS,
        expression=lambda orders: orders.count(where=then(orders) & (orders.amount > 0)),
        phrase=f"orders in {words}",
        unit=Unit.COUNT,
        when_unknown=0,
    )


def _same_time_of_last_year() -> Iterator[Feature]:
    for days in (30, 90):
        yield from _last_year(
            f"coming_{days}d", _YEAR - days, _YEAR, f"the days of last year that match the coming {days} days"
        )
    yield from _last_year("same_90d", _YEAR, _YEAR + 90, "the same 90 days one year earlier")
    yield Feature(
        name="spend_90d_to_last_year",
        group="seasonality",
        view=View.FEATURES,
        expression=lambda wide: wide.spend_90d / wide.spend_same_90d_last_year.nullif(0),
        phrase="times the spend of the same 90 days one year earlier",
        unit=Unit.RATIO,
    )


def _share(name: str, days: int, condition: Expression, words: str, version: int = 1) -> Feature:
    return Feature(
        name=f"{name}_share_{days}d",
        group="seasonality",
        view=View.ORDERS,
        window_days=days,
        expression=lambda orders: ratio(orders.count(where=condition(orders)), orders.count()),
        phrase=f"of the orders {words} in the last {days} days",
        unit=Unit.SHARE,
        version=version,
    )


def _on(weekday: int) -> Expression:
    return lambda orders: orders.weekday == weekday


def _within(hours: tuple[int, int]) -> Expression:
    return lambda orders: (orders.hour >= hours[0]) & (orders.hour < hours[1])


def _orders_by_weekday(orders: Rows) -> list[Value]:
    return [orders.count(where=orders.weekday == weekday) for weekday in range(7)]


def _profile() -> Iterator[Feature]:
    for weekday, name in enumerate(_WEEKDAYS):
        yield _share(name, 365, _on(weekday), f"on a {name.title()}")
    yield Feature(
        name="weekday_entropy_365d",
        group="seasonality",
        view=View.ORDERS,
        window_days=365,
        expression=lambda orders: entropy_of_counts(_orders_by_weekday(orders)),
        phrase="spread of the orders over weekdays in the last 365 days (0 = always the same, 1.9 = evenly)",
        unit=Unit.RATIO,
    )
    yield _share("weekend", 90, lambda orders: orders.weekday >= 5, "on a weekend", version=2)
    yield Feature(
        name="weekdays_used_90d",
        group="seasonality",
        view=View.ORDERS,
        window_days=90,
        expression=lambda orders: orders.weekday.nunique(),
        phrase="different weekdays with an order in the last 90 days",
        unit=Unit.COUNT,
        when_unknown=0,
        version=2,
    )
    for name, hours, words in _HOURS:
        yield _share(name, 90, _within(hours), words)
    yield _share("evening", 90, lambda orders: orders.hour >= 17, "after 5 pm", version=2)
    yield _share("night", 90, lambda orders: (orders.hour >= 22) | (orders.hour < 5), "at night (10 pm to 5 am)")


FEATURES = (*_same_time_of_last_year(), *_profile())
