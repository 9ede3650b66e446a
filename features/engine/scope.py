"""The one place where time is applied: what was known at ``as_of``, as temporary views of a cursor.

Everything above sees only the views ``scoped_*``. They have no ``event_time``: a definition cannot ask for later rows.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import duckdb
import ibis
import ibis.expr.types as ir

from features.contract.profiles import Profiles
from features.contract.sources import quoted
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
ACTIVITY_SCHEMA = {"customer_id": "string", "kind": "string", "value": "float64", "detail": "string", **_TIME}


def scoped_tables(attributes: dict[str, str]) -> tuple[ir.Table, ir.Table, ir.Table]:
    """The unbound Ibis tables (transactions, activities, customers) that :func:`apply_scope` makes real."""
    customers = {"customer_id": "string", "created_days_ago": "float64", **attributes}
    return (
        ibis.table(TRANSACTION_SCHEMA, name="scoped_transactions"),
        ibis.table(ACTIVITY_SCHEMA, name="scoped_activities"),
        ibis.table(customers, name="scoped_customers"),
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
        f"CREATE OR REPLACE TEMP VIEW scoped_activities AS SELECT customer_id, kind, value, detail, {time} "
        f"FROM activities WHERE {known}"
    )
    attributes = "".join(f", {quoted(name)}" for name in profiles.attributes)
    cursor.execute(
        "CREATE OR REPLACE TEMP VIEW scoped_customers AS SELECT customer_id, "
        f"(epoch_us({moment}) - epoch_us(created_at)) / 86400000000.0 AS created_days_ago{attributes} "
        f"FROM customers WHERE created_at IS NULL OR created_at < {moment}"
    )


def _literal(as_of: datetime) -> str:
    return f"TIMESTAMP '{parse_as_of(as_of).astimezone(UTC).replace(tzinfo=None).isoformat(sep=' ')}'"
