"""The one place where time is applied: what was known at ``as_of``, as temporary views of a cursor.

Everything above sees only the views ``scoped_*``. They have no ``event_time``: a definition cannot ask for later rows.
"""

from __future__ import annotations

from collections.abc import Container
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import ibis

from features.contract.profiles import Profiles
from features.contract.sources import quoted
from features.engine.definition import Rows, View
from kernel.clock import parse_as_of

_TIME = {"days_ago": "float64", "day_ago": "int64"}
TRANSACTION_SCHEMA = {
    "customer_id": "string",
    "transaction_id": "string",
    "amount": "decimal(18, 4)",
    "discount": "decimal(18, 4)",
    "quantity": "float64",
    "product_id": "string",
    "category": "string",
    "channel": "string",
    "weekday": "int64",
    "hour": "int64",
    **_TIME,
}
ORDER_SCHEMA = {
    "customer_id": "string",
    "transaction_id": "string",
    "amount": "decimal(38, 4)",
    "discount": "decimal(38, 4)",
    "quantity": "float64",
    "lines": "int64",
    "products": "int64",
    "categories": "int64",
    "weekday": "int64",
    "hour": "int64",
    **_TIME,
}
ACTIVITY_SCHEMA = {"customer_id": "string", "kind": "string", "value": "float64", "detail": "string", **_TIME}
SCHEMAS = {"transactions": TRANSACTION_SCHEMA, "activities": ACTIVITY_SCHEMA}
"""Semantic table of events -> the columns of its scoped twin."""
_EPOCH = date(1970, 1, 1)


class ScopedTables(NamedTuple):
    """The unbound Ibis tables that :func:`apply_scope` makes real. ``customer_id`` may be a number that stands for it."""

    lines: Rows
    activities: Rows
    customers: Rows
    orders: Rows | None = None


def scoped_tables(attributes: dict[str, str], *, orders: bool = False) -> ScopedTables:
    """What definitions are written over; with ``orders`` where the engine has them put together already."""
    customers = {"customer_id": "string", "created_days_ago": "float64", **attributes}
    return ScopedTables(
        ibis.table(TRANSACTION_SCHEMA, name="scoped_transactions"),
        ibis.table(ACTIVITY_SCHEMA, name="scoped_activities"),
        ibis.table(customers, name="scoped_customers"),
        ibis.table(ORDER_SCHEMA, name="scoped_orders") if orders else None,
    )


_IN_PARTS = (
    " UNION ALL SELECT customer_id, transaction_id, sum(amount), sum(discount), sum(quantity), count(*), "
    "count(DISTINCT product_id), count(DISTINCT category), min(weekday), min(hour), min(days_ago), min(day_ago) "
    "FROM scoped_transactions SEMI JOIN (SELECT customer AS customer_id, transaction_id FROM chosen_orders WHERE NOT whole) "
    "USING (customer_id, transaction_id) GROUP BY customer_id, transaction_id"
)


def last_day(as_of: datetime, timezone: str) -> int:
    """The last local day of which something can be known, as days since 1970: ``as_of`` itself is exclusive."""
    local = (parse_as_of(as_of) - timedelta(microseconds=1)).astimezone(ZoneInfo(timezone))
    return (local.date() - _EPOCH).days


def apply_scope(
    cursor: duckdb.DuckDBPyConnection, profiles: Profiles, as_of: datetime, views: Container[View]
) -> None:
    """Define the temporary views ``scoped_*`` of this cursor: rows with event_time < as_of and ingested_at <= as_of.

    Args:
        cursor: one for which ``features.engine.events.choose`` has chosen customers.
        as_of: UTC where naive.
        views: those that features look at.
    """
    moment = literal(as_of)
    known = f"event_time < {moment} AND ingested_at <= {moment}"
    time = (
        f"(epoch_us({moment}) - epoch_us(event_time)) / 86400000000.0 AS days_ago, "
        f"{last_day(as_of, profiles.timezone)} - day AS day_ago"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_transactions AS SELECT customer AS customer_id, transaction_id, amount, "
        "discount, quantity, product_id, category, channel, CAST(weekday AS BIGINT) AS weekday, "
        f"CAST(hour AS BIGINT) AS hour, {time} FROM chosen_transactions WHERE {known}"
    )
    if View.ORDERS in views:
        _scope_orders(cursor, known, time)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_activities AS SELECT customer AS customer_id, kind, value, detail, "
        f"{time} FROM chosen_activities WHERE {known}"
    )
    attributes = "".join(f", {quoted(name)}" for name in profiles.attributes)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_customers AS SELECT customer AS customer_id, "
        f"(epoch_us({moment}) - epoch_us(created_at)) / 86400000000.0 AS created_days_ago{attributes} "
        f"FROM chosen_customers WHERE created_at IS NULL OR created_at < {moment}"
    )


def _scope_orders(cursor: duckdb.DuckDBPyConnection, known: str, time: str) -> None:
    whole = (
        "SELECT customer AS customer_id, transaction_id, amount, discount, quantity, lines, products, categories, "
        f"CAST(weekday AS BIGINT) AS weekday, CAST(hour AS BIGINT) AS hour, {time} FROM chosen_orders "
        f"WHERE whole AND {known}"
    )
    parts = cursor.execute("SELECT count(*) FROM chosen_orders WHERE NOT whole").fetchone() != (0,)
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW scoped_orders AS {whole}{_IN_PARTS if parts else ''}")


def literal(as_of: datetime) -> str:
    """The moment as SQL, UTC."""
    return f"TIMESTAMP '{parse_as_of(as_of).astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
