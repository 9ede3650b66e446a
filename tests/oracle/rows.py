"""Rows, orders, purchase days, ages and ratios: the words that the other files of the oracle use."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import TypeVar
from zoneinfo import ZoneInfo

from tests.histories import Contract, Deed, Line

Value = float | str | None
Values = dict[str, Value]
Row = TypeVar("Row", Line, Deed, Contract)
_DAY = timedelta(days=1)


def known(row: Line | Deed | Contract, as_of: datetime) -> bool:
    return row.event_time < as_of and row.ingested_at <= as_of


def younger(rows: Sequence[Row], as_of: datetime, days: int) -> list[Row]:
    return [row for row in rows if row.event_time >= as_of - timedelta(days=days)]


def as_days(span: timedelta) -> float:
    return span / _DAY


def number(values: Values, name: str) -> float | None:
    value = values[name]
    assert not isinstance(value, str)
    return value


def ratio(above: Decimal | float | None, below: Decimal | float | None) -> float | None:
    if above is None or below is None or below == 0:
        return None
    return float(above) / float(below)


def total(amounts: Iterable[Decimal]) -> Decimal:
    return sum(amounts, Decimal(0))


def different(words: Iterable[str | None]) -> set[str]:
    return {word for word in words if word is not None}


def deviation(values: Sequence[Decimal] | Sequence[int]) -> float | None:
    if not values:
        return None
    exact = [Decimal(value) for value in values]
    mean = total(exact) / len(exact)
    return math.sqrt(total((value - mean) ** 2 for value in exact) / len(exact))


def entropy(parts: Iterable[Decimal | int]) -> float | None:
    sizes = [float(part) for part in parts if part > 0]
    return -sum(size / sum(sizes) * math.log(size / sum(sizes)) for size in sizes) if sizes else None


def day_of(row: Line | Deed, zone: ZoneInfo) -> int:
    return row.event_time.astimezone(zone).date().toordinal()


def last_day(as_of: datetime, zone: ZoneInfo) -> int:
    """The last local day of which something is known: ``as_of`` itself is exclusive."""
    return (as_of - timedelta(microseconds=1)).astimezone(zone).date().toordinal()


@dataclass
class Order:
    """An order is as old as its newest line."""

    lines: list[Line]

    @property
    def value(self) -> Decimal:
        return total(line.amount for line in self.lines)

    @property
    def newest(self) -> datetime:
        return max(line.event_time for line in self.lines)


def orders_of(lines: Sequence[Line]) -> list[Order]:
    found: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        found[line.transaction_id].append(line)
    return [Order(one) for one in found.values()]


def orders_within(lines: Sequence[Line], as_of: datetime, days: int) -> list[Order]:
    return [order for order in orders_of(lines) if order.newest >= as_of - timedelta(days=days)]


@dataclass
class PurchaseDay:
    """A local day with a line of positive amount; only these lines are looked at."""

    day: int
    lines: list[Line]

    @property
    def spend(self) -> Decimal:
        return total(line.amount for line in self.lines)

    @property
    def newest(self) -> datetime:
        return max(line.event_time for line in self.lines)

    @property
    def channels(self) -> set[str]:
        return different(line.channel for line in self.lines)


def purchase_days(lines: Sequence[Line], zone: ZoneInfo) -> list[PurchaseDay]:
    """From the oldest to the newest."""
    found: dict[int, list[Line]] = defaultdict(list)
    for line in lines:
        if line.amount > 0:
            found[day_of(line, zone)].append(line)
    return [PurchaseDay(day, found[day]) for day in sorted(found)]
