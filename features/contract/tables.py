"""The semantic tables of unified profiles: names, types, keys and meaning of every column."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """Column types, as DuckDB names them. Money is decimal, so that sums are exact and independent of row order."""

    TEXT = "VARCHAR"
    MOMENT = "TIMESTAMP"
    DAY = "DATE"
    MONEY = "DECIMAL(18,4)"
    NUMBER = "DOUBLE"
    FLAG = "BOOLEAN"


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the contract. ``default`` is the SQL value of an unmapped column or of a missing value; other
    columns of the row stand in it as ``{name}``."""

    name: str
    kind: Kind
    description: str
    required: bool = False
    default: str = "NULL"

    def default_sql(self, value_of: Callable[[str], str]) -> str:
        """The default as SQL; ``value_of`` writes another column of the same row."""
        return re.sub(r"\{(\w+)\}", lambda found: f"({value_of(found[1])})", self.default)


@dataclass(frozen=True, slots=True)
class SemanticTable:
    """A table with a fixed meaning. ``key`` must be unique where all its columns are mapped; ``timed`` tables have
    ``event_time`` (when it happened) and ``ingested_at`` (when it could be known), both UTC."""

    name: str
    description: str
    columns: tuple[Column, ...]
    key: tuple[str, ...]
    timed: bool = True
    required: bool = False

    def column(self, name: str) -> Column:
        """The column of that name (KeyError when there is none)."""
        return {column.name: column for column in self.columns}[name]

    @property
    def mappable(self) -> tuple[str, ...]:
        """The column names a mapping may fill."""
        return tuple(column.name for column in self.columns)


_CUSTOMER = Column("customer_id", Kind.TEXT, "the unified customer", required=True)
_EVENT_TIME = Column("event_time", Kind.MOMENT, "when it happened", required=True)
_INGESTED_AT = Column(
    "ingested_at",
    Kind.MOMENT,
    "when it could be known; event_time where unmapped or missing",
    default="{event_time}",
)

CUSTOMERS = SemanticTable(
    "customers",
    "one row per unified customer; further attributes are mapped by name",
    (
        _CUSTOMER,
        Column("created_at", Kind.MOMENT, "when the customer became known"),
        Column("consent", Kind.FLAG, "may be profiled; a missing value in a mapped column means no"),
        Column("account_id", Kind.TEXT, "the account (company, household) the customer belongs to"),
    ),
    key=("customer_id",),
    timed=False,
    required=True,
)

TRANSACTIONS = SemanticTable(
    "transactions",
    "order lines; rows that share a transaction_id are one order",
    (
        _CUSTOMER,
        Column("transaction_id", Kind.TEXT, "the order or receipt", required=True),
        Column("line_id", Kind.TEXT, "the line within the order"),
        _EVENT_TIME,
        _INGESTED_AT,
        Column("amount", Kind.MONEY, "net spend in the project's currency; a return is negative", required=True),
        Column("discount", Kind.MONEY, "reduction granted, 0 or more", default="0"),
        Column("quantity", Kind.NUMBER, "units", default="1"),
        Column("product_id", Kind.TEXT, "the product"),
        Column("category", Kind.TEXT, "the product's category"),
        Column("channel", Kind.TEXT, "store, web, ..."),
        Column("currency", Kind.TEXT, "ISO 4217 code of the amount; the project's currency where unmapped or missing"),
        Column("status", Kind.TEXT, "what became of the order, such as completed or cancelled"),
    ),
    key=("transaction_id", "line_id"),
    required=True,
)

ACTIVITIES = SemanticTable(
    "activities",
    "everything a customer did or met that is no purchase: campaigns received, coupons redeemed, visits, tickets",
    (
        _CUSTOMER,
        Column("activity_id", Kind.TEXT, "the activity"),
        _EVENT_TIME,
        _INGESTED_AT,
        Column("kind", Kind.TEXT, "what it was, such as campaign_received", required=True),
        Column("value", Kind.NUMBER, "a number that belongs to it"),
        Column("detail", Kind.TEXT, "a word that belongs to it"),
        Column("sentiment", Kind.NUMBER, "-1 (angry) to 1 (delighted)"),
    ),
    key=("activity_id",),
)

SUBSCRIPTIONS = SemanticTable(
    "subscriptions",
    "contracts with a start and an end; each row says what the contract is from its event_time on",
    (
        _CUSTOMER,
        Column("subscription_id", Kind.TEXT, "the contract", required=True),
        _EVENT_TIME,
        _INGESTED_AT,
        Column("start_date", Kind.DAY, "first day", required=True),
        Column("end_date", Kind.DAY, "last day; missing while open"),
        Column("end_reason", Kind.TEXT, "why it ended or will end, such as cancelled, death, claim"),
        Column("amount", Kind.MONEY, "price of one recurrence"),
        Column("recurrence_months", Kind.NUMBER, "months between payments"),
        Column("plan", Kind.TEXT, "the plan or tier"),
        Column(
            "is_recurring",
            Kind.FLAG,
            "renews by itself; where unmapped or missing: has recurrence_months",
            default="{recurrence_months} IS NOT NULL",
        ),
    ),
    key=("subscription_id", "event_time"),
)

RATES = SemanticTable(
    "rates",
    "exchange rates into the project's currency, by day; read where transactions have several currencies",
    (
        Column("day", Kind.DAY, "the local day from which the rate counts", required=True),
        Column("currency", Kind.TEXT, "ISO 4217 code", required=True),
        Column("rate", Kind.NUMBER, "units of the project's currency for one unit", required=True),
    ),
    key=("day", "currency"),
    timed=False,
)

TABLES: dict[str, SemanticTable] = {table.name: table for table in (CUSTOMERS, TRANSACTIONS, ACTIVITIES, SUBSCRIPTIONS)}
