"""The one place where time is applied: what was known at ``as_of``, as temporary views of a cursor.

Everything above sees only the views ``scoped_*``. They have no ``event_time``: a definition cannot ask for later rows.
"""

from __future__ import annotations

from collections.abc import Container, Mapping
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
    "quantity": "decimal(38, 4)",
    "lines": "int64",
    "returned_lines": "int64",
    "products": "int64",
    "categories": "int64",
    "weekday": "int64",
    "hour": "int64",
    **_TIME,
}
ACCOUNT_SCHEMA = {
    "account_id": "string",
    "buyer": "string",
    "transaction_id": "string",
    "amount": "decimal(18, 4)",
    "product_id": "string",
    **_TIME,
}
ACTIVITY_SCHEMA = {
    "customer_id": "string",
    "kind": "string",
    "value": "float64",
    "detail": "string",
    "sentiment": "float64",
    **_TIME,
}
SUBSCRIPTION_SCHEMA = {
    "customer_id": "string",
    "subscription_id": "string",
    "plan": "string",
    "amount": "decimal(18, 4)",
    "recurrence_months": "float64",
    "is_recurring": "boolean",
    "start_days_ago": "float64",
    "ends_in_days": "float64",
    **_TIME,
}
SCHEMAS = {
    "transactions": TRANSACTION_SCHEMA,
    "activities": ACTIVITY_SCHEMA,
    "subscriptions": SUBSCRIPTION_SCHEMA,
}
"""Semantic table of events -> the columns of its scoped twin."""
SCHEMA = "prepared"
"""Where ``features/engine/events.py`` keeps events for every moment."""
_EPOCH = date(1970, 1, 1)
_SMALL = 100_000
"""Money of which DECIMAL(18,4) holds the square too."""


class ScopedTables(NamedTuple):
    """The unbound Ibis tables that :func:`apply_scope` makes real. ``customer_id`` may be a number in its place."""

    lines: Rows
    activities: Rows
    customers: Rows
    subscriptions: Rows
    orders: Rows | None = None
    account_lines: Rows | None = None


def scoped_tables(attributes: Mapping[str, str], *, orders: bool = False, accounts: bool = False) -> ScopedTables:
    """What definitions are written over.

    Args:
        attributes: of customers: name -> Ibis type.
        orders: the engine has lines put together to orders already (``scoped_orders``).
        accounts: the engine has the lines of a customer's account (``scoped_account_lines``).
    """
    customers = {"customer_id": "string", "created_days_ago": "float64", "account_id": "string", **attributes}
    return ScopedTables(
        ibis.table(TRANSACTION_SCHEMA, name="scoped_transactions"),
        ibis.table(ACTIVITY_SCHEMA, name="scoped_activities"),
        ibis.table(customers, name="scoped_customers"),
        ibis.table(SUBSCRIPTION_SCHEMA, name="scoped_subscriptions"),
        ibis.table(ORDER_SCHEMA, name="scoped_orders") if orders else None,
        ibis.table(ACCOUNT_SCHEMA, name="scoped_account_lines") if accounts else None,
    )


_IN_PARTS = (
    " UNION ALL SELECT customer_id, transaction_id, sum(amount), sum(discount), sum(CAST(quantity AS DECIMAL(18,4))), "
    "count(*), count(*) FILTER (amount < 0), count(DISTINCT product_id), count(DISTINCT category), min(weekday), "
    "min(hour), min(days_ago), min(day_ago) FROM scoped_transactions "
    "SEMI JOIN (SELECT customer AS customer_id, transaction_id FROM chosen_orders WHERE NOT whole) "
    "USING (customer_id, transaction_id) GROUP BY customer_id, transaction_id"
)


def last_day(as_of: datetime, timezone: str) -> int:
    """The last local day of which something can be known, as days since 1970: ``as_of`` itself is exclusive."""
    local = (parse_as_of(as_of) - timedelta(microseconds=1)).astimezone(ZoneInfo(timezone))
    return (local.date() - _EPOCH).days


def apply_scope(cursor: duckdb.DuckDBPyConnection, profiles: Profiles, as_of: datetime, views: Container[View]) -> None:
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
    if View.ACCOUNT_LINES in views:
        cursor.execute(
            "CREATE OR REPLACE TEMP VIEW scoped_account_lines AS SELECT account_id, customer AS buyer, transaction_id, "
            f"amount, product_id, {time} FROM {SCHEMA}.transactions JOIN {SCHEMA}.customers USING (customer) "
            "WHERE account_id IN (SELECT account_id FROM chosen_customers) "
            f"AND (created_at IS NULL OR created_at < {moment}) AND {known}"
        )
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_activities AS SELECT customer AS customer_id, kind, value, detail, "
        f"sentiment, {time} FROM chosen_activities WHERE {known}"
    )
    # Days of a contract are whole local days, counted from the last day of which something can be known.
    day = last_day(as_of, profiles.timezone)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_subscriptions AS SELECT customer AS customer_id, subscription_id, plan, "
        f"amount, recurrence_months, is_recurring, CAST({day} - start_day AS DOUBLE) AS start_days_ago, "
        f"CAST(end_day - {day} AS DOUBLE) AS ends_in_days, {time} FROM chosen_subscriptions WHERE {known}"
    )
    attributes = "".join(f", {quoted(name)}" for name in profiles.attributes)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_customers AS SELECT customer AS customer_id, account_id, "
        f"(epoch_us({moment}) - epoch_us(created_at)) / 86400000000.0 AS created_days_ago{attributes} "
        f"FROM chosen_customers WHERE created_at IS NULL OR created_at < {moment}"
    )


def _scope_orders(cursor: duckdb.DuckDBPyConnection, known: str, time: str) -> None:
    # Sums over 64 bits are a tenth faster than over 128; orders in parts make the column as wide as it was.
    largest = cursor.execute("SELECT coalesce(max(abs(amount)), 0) FROM chosen_orders").fetchone()
    small = largest is not None and largest[0] < _SMALL
    amount = "CAST(amount AS DECIMAL(18,4)) AS amount" if small else "amount"
    whole = (
        f"SELECT customer AS customer_id, transaction_id, {amount}, "
        "discount, quantity, lines, returned_lines, products, categories, "
        f"CAST(weekday AS BIGINT) AS weekday, CAST(hour AS BIGINT) AS hour, {time} FROM chosen_orders "
        f"WHERE whole AND {known}"
    )
    parts = cursor.execute("SELECT count(*) FROM chosen_orders WHERE NOT whole").fetchone() != (0,)
    cursor.execute(f"CREATE OR REPLACE TEMP VIEW scoped_orders AS {whole}{_IN_PARTS if parts else ''}")


def literal(as_of: datetime) -> str:
    """The moment as SQL, UTC."""
    return f"TIMESTAMP '{parse_as_of(as_of).astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
