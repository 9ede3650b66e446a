"""Random histories of a few customers, and the frames and files they are handed over in."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import strategies as st

AS_OF = datetime(2024, 3, 31, 5, 30, tzinfo=UTC)  # a day on which the clocks of Paris change
CUSTOMERS = ("anna", "bert", "cleo")
KINDS = (
    "campaign_received",
    "campaign_received",
    "campaign_opened",
    "campaign_clicked",
    "coupon_redeemed",
    "visit",
    "login",
    "support_case",
    "complaint",
    "review",
    "unsubscribed",
    "payment_failed",
    "something else",
)
ATTRIBUTES = {"city": "string", "age": "float64"}
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Pacific/Auckland")
EDGES = (7, 14, 30, 60, 84, 90, 180, 275, 335, 365, 455)


@dataclass(frozen=True)
class Person:
    """A row of ``customers``; moments are UTC."""

    customer_id: str
    created_at: datetime | None = None
    city: str | None = None
    age: float | None = None
    account_id: str | None = None


@dataclass(frozen=True)
class Line:
    """A row of ``transactions``; moments are UTC."""

    customer_id: str
    transaction_id: str
    event_time: datetime
    ingested_at: datetime
    amount: Decimal
    discount: Decimal = Decimal(0)
    product_id: str | None = None
    category: str | None = None
    channel: str | None = None
    quantity: float = 1.0


@dataclass(frozen=True)
class Deed:
    """A row of ``activities``; moments are UTC."""

    customer_id: str
    event_time: datetime
    ingested_at: datetime
    kind: str
    detail: str | None = None
    value: float | None = None
    sentiment: float | None = None


@dataclass(frozen=True)
class Contract:
    """A row of ``subscriptions``: what a contract is from ``event_time`` on; moments are UTC."""

    customer_id: str
    subscription_id: str
    event_time: datetime
    ingested_at: datetime
    start_date: date
    end_date: date | None = None
    amount: Decimal | None = None
    recurrence_months: float | None = None
    plan: str | None = None
    is_recurring: bool | None = None


Row = Person | Line | Deed | Contract


@dataclass(frozen=True)
class History:
    """Everything there is of some customers."""

    people: tuple[Person, ...]
    lines: tuple[Line, ...]
    deeds: tuple[Deed, ...]
    timezone: str = "UTC"
    contracts: tuple[Contract, ...] = ()

    def frames(self) -> dict[str, pd.DataFrame]:
        """The contract's tables, moments with their zone."""
        return {
            "customers": _frame(self.people, Person),
            "transactions": _frame(self.lines, Line),
            "activities": _frame(self.deeds, Deed),
            "subscriptions": _frame(self.contracts, Contract),
        }


def _frame(rows: Sequence[Row], kind: type[Row]) -> pd.DataFrame:
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(kind)])
    for name in frame.columns:
        if name in ("event_time", "ingested_at", "created_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        elif name in ("age", "quantity", "value", "sentiment", "recurrence_months"):
            frame[name] = frame[name].astype("float64")
        elif name not in ("amount", "discount"):
            frame[name] = frame[name].astype("object")
    return frame


def bits(frame: pd.DataFrame) -> dict[str, bytes | list[object]]:
    """What a frame holds to the last bit; two unknown numbers are equal."""
    columns: dict[str, bytes | list[object]] = {"customer_id": list(frame.index)}
    for name in frame:
        column = frame[name]
        words = column.dtype == "object"
        columns[str(name)] = list(column) if words else np.asarray(column, dtype="float64").tobytes()
    return columns


_seconds = st.integers(1, 480 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
_on_an_edge = st.tuples(st.sampled_from(EDGES), st.sampled_from((-1, 0, 1))).map(
    lambda edge: timedelta(days=edge[0], microseconds=edge[1])
)
ages = st.one_of(_seconds, _seconds.map(lambda age: age / 20), _on_an_edge, st.just(timedelta(microseconds=1)))
_delays = st.sampled_from((timedelta(0), timedelta(0), timedelta(hours=5), timedelta(days=40)))
_cents = st.one_of(st.integers(1, 20_000), st.integers(-5_000, 0), st.sampled_from((0, 10, 1_000, 1_000))).map(
    lambda cents: Decimal(cents) / 100
)


def _words(*words: str) -> st.SearchStrategy[str | None]:
    return st.sampled_from((*words, None))


@st.composite
def _past_line(draw: st.DrawFn) -> Line:
    moment = AS_OF - draw(ages)
    return Line(
        customer_id=draw(st.sampled_from(CUSTOMERS)),
        transaction_id=f"r{draw(st.integers(1, 12))}",
        event_time=moment,
        ingested_at=moment + draw(_delays),
        amount=draw(_cents),
        discount=Decimal(draw(st.integers(0, 500))) / 100,
        product_id=draw(_words("p1", "p2", "p3")),
        category=draw(_words("tea", "rice", "soap")),
        channel=draw(_words("web", "shop")),
        quantity=draw(st.sampled_from((1.0, 1.0, 2.0, 0.25, 0.0))),
    )


@st.composite
def _past_deed(draw: st.DrawFn) -> Deed:
    moment = AS_OF - draw(ages)
    return Deed(
        customer_id=draw(st.sampled_from(CUSTOMERS)),
        event_time=moment,
        ingested_at=moment + draw(_delays),
        kind=draw(st.sampled_from(KINDS)),
        detail=draw(_words("A", "B")),
        value=draw(st.one_of(st.none(), st.integers(0, 10).map(lambda half: half / 2))),
        sentiment=draw(st.one_of(st.none(), st.integers(-100, 100).map(lambda hundredth: hundredth / 100))),
    )


@st.composite
def _past_contract(draw: st.DrawFn) -> Contract:
    moment = AS_OF - draw(ages)
    start = AS_OF.date() - timedelta(days=draw(st.integers(-20, 800)))
    customer = draw(st.sampled_from(CUSTOMERS))
    return Contract(
        customer_id=customer,
        subscription_id=f"{customer}-{draw(st.sampled_from(('s1', 's1', 's2')))}",
        event_time=moment,
        ingested_at=moment + draw(_delays),
        start_date=start,
        end_date=draw(st.one_of(st.none(), st.integers(0, 900).map(lambda days: start + timedelta(days=days)))),
        amount=draw(st.one_of(st.none(), st.integers(0, 9_999).map(lambda cents: Decimal(cents) / 100))),
        recurrence_months=draw(st.sampled_from((None, 0.0, 1.0, 3.0, 12.0))),
        plan=draw(_words("basic", "gold")),
        is_recurring=draw(st.sampled_from((True, False, None))),
    )


def contract_key(row: Contract) -> tuple[str, datetime]:
    """What no two rows may share."""
    return row.subscription_id, row.event_time


past_contracts = st.lists(_past_contract(), max_size=8, unique_by=contract_key).map(tuple)


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories of which some rows come in late: known only after ``AS_OF``."""
    people = tuple(
        Person(
            name,
            draw(st.one_of(st.none(), ages.map(lambda age: AS_OF - age))),
            draw(_words("Ulm", "Bonn")),
            draw(st.one_of(st.none(), st.integers(18, 90).map(float))),
            draw(st.sampled_from(("acme", "acme", None))),
        )
        for name in CUSTOMERS
    )
    lines = tuple(draw(st.lists(_past_line(), max_size=40)))
    deeds = tuple(draw(st.lists(_past_deed(), max_size=20)))
    return History(people, lines, deeds, draw(st.sampled_from(ZONES)), draw(past_contracts))


SILENT = "nobody"
"""A customer of every dense history without a row anywhere."""


def dense_history(seed: int, timezone: str = "Europe/Paris") -> History:
    """Twelve customers with many rows of every kind, on the edges of windows among others, and one without any.

    Hypothesis prefers small histories; here every feature has something to say.
    """
    chance = random.Random(seed)
    names = [f"c{place:02}" for place in range(12)]

    def moment() -> datetime:
        if chance.random() < 0.3:
            return AS_OF - timedelta(days=chance.choice(EDGES), microseconds=chance.choice((-1, 0, 1)))
        return AS_OF - timedelta(seconds=chance.randint(1, 86_400 * chance.choice((5, 25, 80, 360, 480))))

    def lines(name: str) -> Iterator[Line]:
        channels = ("web", "shop", "phone")[: 1 + int(name[1:]) % 3]
        stopped = {"c03": 100, "c07": 100, "c11": 370}.get(name, 0)
        for _ in range(chance.randint(8, 40)):
            at = moment() - timedelta(days=stopped)
            cents = chance.choice((chance.randint(1, 9_000), chance.randint(1, 9_000), -chance.randint(1, 300)))
            yield Line(
                name,
                f"{name}-r{chance.randint(1, 40)}",
                at,
                at,
                Decimal(cents) / 100,
                Decimal(chance.choice((0, 25, 120))) / 100,
                f"p{chance.randint(1, 30)}",
                chance.choice(("tea", "rice", "soap", None)),
                chance.choice(channels),
                chance.choice((1.0, 1.0, 2.0, 0.25)),
            )

    def deeds(name: str) -> Iterator[Deed]:
        for _ in range(chance.randint(30, 60)):
            at, kind = moment(), chance.choice(KINDS)
            value = chance.randint(2, 10) / 2 if kind == "review" else None
            sentiment = chance.randint(-100, 100) / 100 if chance.random() < 0.4 else None
            yield Deed(name, at, at, kind, chance.choice(("A", "B", "D", None, None)), value, sentiment)

    def contracts(name: str) -> Iterator[Contract]:
        for contract in range(chance.randint(1, 4)):
            start = AS_OF.date() - timedelta(days=chance.randint(-5, 700))
            months = chance.choice((1.0, 3.0, 12.0, None))
            for at in sorted({moment() for _ in range(chance.randint(1, 4))}):
                end = chance.choice((None, None, start + timedelta(days=chance.randint(200, 900))))
                price, plan = Decimal(chance.randint(500, 9_900)) / 100, chance.choice(("basic", "gold", None))
                renews = chance.choice((True, False, None))
                yield Contract(name, f"{name}-{contract}", at, at, start, end, price, months, plan, renews)

    people = [
        Person(
            name,
            AS_OF - timedelta(seconds=chance.randint(1, 86_400 * 450)),
            chance.choice(("Ulm", "Bonn")),
            float(chance.randint(18, 80)),
            (None, "acme", "acme", "blue", "coop")[place % 5],
        )
        for place, name in enumerate(names)
    ]
    return History(
        (*people, Person(SILENT)),
        tuple(line for name in names for line in lines(name)),
        tuple(deed for name in names for deed in deeds(name)),
        timezone,
        tuple(contract for name in names for contract in contracts(name)),
    )


_from_now_on = st.one_of(st.just(timedelta(0)), st.just(timedelta(microseconds=1)), _seconds)


@st.composite
def unknown_rows(draw: st.DrawFn) -> tuple[tuple[Line, ...], tuple[Deed, ...]]:
    """Rows that nobody could know at ``AS_OF``: not yet happened, or happened and not yet told."""

    def hidden(row: Line | Deed) -> Line | Deed:
        later = AS_OF + draw(_from_now_on)
        if draw(st.booleans()):
            return _moved(row, later, draw(st.sampled_from((later, AS_OF - timedelta(days=1)))))
        return _moved(row, row.event_time, later + timedelta(microseconds=1))

    lines = tuple(hidden(line) for line in draw(st.lists(_past_line(), min_size=1, max_size=10)))
    deeds = tuple(hidden(deed) for deed in draw(st.lists(_past_deed(), max_size=5)))
    return lines, deeds  # type: ignore[return-value]


@st.composite
def unknown_contracts(draw: st.DrawFn) -> tuple[Contract, ...]:
    """The same for versions of contracts, known ones and new ones."""
    rows = draw(st.lists(_past_contract(), min_size=1, max_size=4, unique_by=contract_key))
    hidden: list[Contract] = []
    for place, row in enumerate(rows):
        later = AS_OF + draw(_from_now_on) + timedelta(seconds=place)
        told = draw(st.sampled_from((later, AS_OF - timedelta(days=1))))
        hidden.append(_moved(row, later, told))  # type: ignore[arg-type]
    return tuple(hidden)


def _moved(row: Line | Deed | Contract, event_time: datetime, ingested_at: datetime) -> Line | Deed | Contract:
    return type(row)(**{**asdict(row), "event_time": event_time, "ingested_at": ingested_at})
