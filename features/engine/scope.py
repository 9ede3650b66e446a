"""The one place where time is applied: what was known at ``as_of``, as temporary views of a cursor.

Everything above sees only the views ``scoped_*``. They have no ``event_time``: a definition cannot ask for later rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

import duckdb
import ibis

from features.contract.profiles import Profiles
from features.contract.sources import quoted
from features.engine.definition import Rows
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


class ScopedTables(NamedTuple):
    """The unbound Ibis tables that :func:`apply_scope` makes real."""

    lines: Rows
    activities: Rows
    customers: Rows
    subscriptions: Rows


def scoped_tables(attributes: dict[str, str]) -> ScopedTables:
    """What definitions are written over."""
    customers = {"customer_id": "string", "created_days_ago": "float64", "account_id": "string", **attributes}
    return ScopedTables(
        ibis.table(TRANSACTION_SCHEMA, name="scoped_transactions"),
        ibis.table(ACTIVITY_SCHEMA, name="scoped_activities"),
        ibis.table(customers, name="scoped_customers"),
        ibis.table(SUBSCRIPTION_SCHEMA, name="scoped_subscriptions"),
    )


def apply_scope(cursor: duckdb.DuckDBPyConnection, profiles: Profiles, as_of: datetime) -> None:
    """Define the temporary views ``scoped_*`` of this cursor: rows with event_time < as_of and ingested_at <= as_of.

    A naive ``as_of`` is UTC.
    """
    moment = _literal(as_of)
    known = f"event_time < {moment} AND ingested_at <= {moment}"
    # The last local day of which something can be known: as_of itself is exclusive.
    zone = ZoneInfo(profiles.timezone)
    last_day = (parse_as_of(as_of) - timedelta(microseconds=1)).astimezone(zone).date()
    utc = profiles.timezone == "UTC"
    local = "event_time" if utc else f"timezone('{profiles.timezone}', timezone('UTC', event_time))"
    time = (
        f"(epoch_us({moment}) - epoch_us(event_time)) / 86400000000.0 AS days_ago, "
        f"date_diff('day', CAST({local} AS DATE), DATE '{last_day}') AS day_ago"
    )
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_transactions AS SELECT customer_id, transaction_id, amount, discount, "
        f"quantity, product_id, category, channel, isodow({local}) - 1 AS weekday, hour({local}) AS hour, {time} "
        f"FROM transactions WHERE {known}"
    )
    cursor.execute(
        f"CREATE OR REPLACE TEMP VIEW scoped_activities AS SELECT customer_id, kind, value, detail, sentiment, {time} "
        f"FROM activities WHERE {known}"
    )
    # Days of a contract are whole local days, counted from the last day of which something can be known.
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_subscriptions AS SELECT customer_id, subscription_id, plan, amount, "
        f"recurrence_months, is_recurring, CAST(date_diff('day', start_date, DATE '{last_day}') AS DOUBLE) AS "
        f"start_days_ago, CAST(date_diff('day', DATE '{last_day}', end_date) AS DOUBLE) AS ends_in_days, {time} "
        f"FROM subscriptions WHERE {known}"
    )
    attributes = "".join(f", {quoted(name)}" for name in profiles.attributes)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_customers AS SELECT customer_id, "
        f"(epoch_us({moment}) - epoch_us(created_at)) / 86400000000.0 AS created_days_ago, account_id{attributes} "
        f"FROM customers WHERE created_at IS NULL OR created_at < {moment}"
    )


def _literal(as_of: datetime) -> str:
    return f"TIMESTAMP '{parse_as_of(as_of).astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
