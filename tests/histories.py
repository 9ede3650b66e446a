"""Random histories of a few customers, and the frames and files they are handed over in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import numpy as np
import pandas as pd
from hypothesis import strategies as st

AS_OF = datetime(2024, 3, 31, 5, 30, tzinfo=UTC)  # a day on which the clocks of Paris change
CUSTOMERS = ("anna", "bert", "cleo")
ATTRIBUTES = {"city": "string", "age": "float64"}
ZONES = ("UTC", "Europe/Paris", "America/New_York", "Pacific/Auckland")
EDGES = (7, 14, 30, 60, 90, 365)


@dataclass(frozen=True)
class Person:
    """A row of ``customers``; moments are UTC."""

    customer_id: str
    created_at: datetime | None = None
    city: str | None = None
    age: float | None = None


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


@dataclass(frozen=True)
class Deed:
    """A row of ``activities``; moments are UTC."""

    customer_id: str
    event_time: datetime
    ingested_at: datetime
    kind: str
    detail: str | None = None


Row = Person | Line | Deed


@dataclass(frozen=True)
class History:
    """Everything there is of some customers."""

    people: tuple[Person, ...]
    lines: tuple[Line, ...]
    deeds: tuple[Deed, ...]
    timezone: str = "UTC"

    def frames(self) -> dict[str, pd.DataFrame]:
        """The contract's tables, moments with their zone."""
        return {
            "customers": _frame(self.people, Person),
            "transactions": _frame(self.lines, Line),
            "activities": _frame(self.deeds, Deed),
        }


def _frame(rows: Sequence[Row], kind: type[Row]) -> pd.DataFrame:
    frame = pd.DataFrame([asdict(row) for row in rows], columns=[field.name for field in fields(kind)])
    for name in frame.columns:
        if name in ("event_time", "ingested_at", "created_at"):
            frame[name] = pd.to_datetime(frame[name], utc=True).astype("datetime64[us, UTC]")
        elif name == "age":
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


_seconds = st.integers(1, 420 * 86_400).map(lambda seconds: timedelta(seconds=seconds))
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
    )


@st.composite
def _past_deed(draw: st.DrawFn) -> Deed:
    moment = AS_OF - draw(ages)
    return Deed(
        customer_id=draw(st.sampled_from(CUSTOMERS)),
        event_time=moment,
        ingested_at=moment + draw(_delays),
        kind=draw(st.sampled_from(("campaign_received", "coupon_redeemed", "visit"))),
        detail=draw(_words("A", "B")),
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """Histories of which some rows come in late: known only after ``AS_OF``."""
    people = tuple(
        Person(
            name,
            draw(st.one_of(st.none(), ages.map(lambda age: AS_OF - age))),
            draw(_words("Ulm", "Bonn")),
            draw(st.one_of(st.none(), st.integers(18, 90).map(float))),
        )
        for name in CUSTOMERS
    )
    lines = tuple(draw(st.lists(_past_line(), max_size=40)))
    deeds = tuple(draw(st.lists(_past_deed(), max_size=12)))
    return History(people, lines, deeds, draw(st.sampled_from(ZONES)))


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


def _moved(row: Line | Deed, event_time: datetime, ingested_at: datetime) -> Line | Deed:
    return type(row)(**{**asdict(row), "event_time": event_time, "ingested_at": ingested_at})
