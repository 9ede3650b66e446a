"""Events, prepared once for every moment that is asked about: in the order of customers, with codes for words.

Cut-offs share the scan of the contract's tables, the customer's local calendar and the coding of words; what depends
on ``as_of`` is left to ``features/engine/scope.py``. A customer is a number here: the place among the sorted ids.
"""

from __future__ import annotations

import threading
from collections.abc import Container
from datetime import timedelta

import duckdb

from features.contract.profiles import Profiles
from features.contract.sources import quoted
from features.engine.definition import View
from features.engine.scope import SCHEMA

EVENTS = ("transactions", "activities", "subscriptions")
# Words beyond this many different ones stay text: a code for each would cost more than it saves.
_MOST_WORDS = 1_000_000
_WORDS = {
    "transactions": ("product_id", "category", "channel"),
    "activities": ("kind", "detail"),
    "subscriptions": ("plan",),
}
_ONE_AT_A_TIME = threading.Lock()


def prepare(profiles: Profiles) -> None:
    """Make the tables ``prepared.*`` of these profiles, unless they are there."""
    with _ONE_AT_A_TIME:
        cursor = profiles.connection.cursor()
        # The marker is written last: what an interruption left half-made is made anew.
        done = cursor.execute(f"SELECT count(*) FROM duckdb_views() WHERE view_name = '{SCHEMA}_done'").fetchone()
        if done != (1,):
            cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; CREATE SCHEMA {SCHEMA}")
            _customers(cursor, profiles)
            _transactions(cursor, profiles)
            _activities(cursor, profiles)
            _subscriptions(cursor, profiles)
            cursor.execute(f"CREATE VIEW main.{SCHEMA}_done AS SELECT TRUE AS done")


def customer_ids(profiles: Profiles, cursor: duckdb.DuckDBPyConnection) -> list[str]:
    """The ids by number."""
    rows = cursor.execute(f"SELECT customer_id FROM {SCHEMA}.customers ORDER BY customer").fetchall()
    return [row[0] for row in rows]


def _customers(cursor: duckdb.DuckDBPyConnection, profiles: Profiles) -> None:
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.customers AS SELECT CAST(row_number() OVER (ORDER BY customer_id) - 1 AS INTEGER) "
        "AS customer, * FROM customers ORDER BY customer"
    )


def _transactions(cursor: duckdb.DuckDBPyConnection, profiles: Profiles) -> None:
    local = _local(profiles.timezone)
    words = _coded(cursor, "transactions")
    # An order is known by 64 bits of its id, next to its customer: two orders of one customer are taken for one
    # with a probability below 1e-13 at a thousand orders, and numbers group twice as fast as text.
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.transactions AS SELECT customer, hash(transaction_id) AS transaction_id, event_time, "
        f"ingested_at, amount, discount, quantity, {words}, "
        f"CAST(isodow({local}) - 1 AS TINYINT) AS weekday, CAST(hour({local}) AS TINYINT) AS hour, "
        f"{_day(local)} AS day FROM transactions JOIN {SCHEMA}.customers USING (customer_id) ORDER BY customer"
    )


def order_span(profiles: Profiles) -> timedelta:
    """The longest time between two lines of one order."""
    with _ONE_AT_A_TIME:
        cursor = profiles.connection.cursor()
        known = cursor.execute("SELECT count(*) FROM duckdb_views() WHERE view_name = 'prepared_span'").fetchone()
        if known != (1,):
            found = cursor.execute(
                "SELECT coalesce(max(span), 0) FROM (SELECT epoch_us(max(event_time)) - epoch_us(min(event_time)) AS span "
                f"FROM {SCHEMA}.transactions GROUP BY customer, transaction_id)"
            ).fetchone()
            assert found is not None
            cursor.execute(f"CREATE VIEW main.{SCHEMA}_span AS SELECT {found[0]} AS microseconds")
        row = cursor.execute(f"SELECT microseconds FROM {SCHEMA}_span").fetchone()
        assert row is not None
        return timedelta(microseconds=row[0])


def choose(
    cursor: duckdb.DuckDBPyConnection, views: Container[View], customers: str, rows: str = "TRUE", *, copy: bool = False
) -> None:
    """Define ``chosen_*`` of this cursor: the prepared tables with some customers' rows.

    Args:
        views: those that features look at.
        customers: a SQL condition on ``customer``.
        rows: a SQL condition on the events' ``event_time``; the orders are put together of these rows.
        copy: keep the rows, for statements that would look for them again and again.
    """
    made = "TABLE" if copy else "VIEW"
    cursor.execute(
        f"CREATE OR REPLACE TEMP VIEW chosen_customers AS SELECT * FROM {SCHEMA}.customers WHERE {customers}"
    )
    for table in EVENTS:
        cursor.execute(f"DROP {made} IF EXISTS chosen_{table}")
        cursor.execute(
            f"CREATE TEMP {made} chosen_{table} AS SELECT * FROM {SCHEMA}.{table} WHERE {customers} AND {rows}"
        )
    if View.ORDERS in views:
        _put_orders_together(cursor)


def _put_orders_together(cursor: duckdb.DuckDBPyConnection) -> None:
    # An order that happened and became known in one moment is the same for every as_of that knows it. The others
    # (``whole`` is false) are put together again for each.
    cursor.execute(
        "CREATE OR REPLACE TEMP TABLE chosen_orders AS SELECT customer, transaction_id, max(event_time) AS event_time, "
        "max(ingested_at) AS ingested_at, sum(amount) AS amount, sum(discount) AS discount, sum(CAST(quantity AS DECIMAL(18,4))) AS quantity, "
        "count(*) AS lines, count(*) FILTER (amount < 0) AS returned_lines, count(product_id) AS products, count(category) AS categories, "
        "min(weekday) AS weekday, min(hour) AS hour, max(day) AS day, "
        "min(event_time) = max(event_time) AND min(ingested_at) = max(ingested_at) AS whole "
        "FROM chosen_transactions GROUP BY customer, transaction_id"
    )
    # Counting different products is dear, and needless where an order has one line.
    cursor.execute(
        "UPDATE chosen_orders SET products = v.products, categories = v.categories FROM ("
        "SELECT customer, transaction_id, count(DISTINCT product_id) AS products, count(DISTINCT category) AS categories "
        "FROM chosen_transactions SEMI JOIN (SELECT customer, transaction_id FROM chosen_orders WHERE lines > 1) "
        "USING (customer, transaction_id) GROUP BY customer, transaction_id) v "
        "WHERE chosen_orders.customer = v.customer AND chosen_orders.transaction_id = v.transaction_id"
    )


def _activities(cursor: duckdb.DuckDBPyConnection, profiles: Profiles) -> None:
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.activities AS SELECT customer, event_time, ingested_at, value, sentiment, "
        f"{_coded(cursor, 'activities')}, {_day(_local(profiles.timezone))} AS day "
        f"FROM activities JOIN {SCHEMA}.customers USING (customer_id) ORDER BY customer"
    )


def _subscriptions(cursor: duckdb.DuckDBPyConnection, profiles: Profiles) -> None:
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.subscriptions AS SELECT customer, hash(subscription_id) AS subscription_id, event_time, "
        f"ingested_at, {_coded(cursor, 'subscriptions')}, amount, recurrence_months, is_recurring, "
        f"{_day('start_date')} AS start_day, {_day('end_date')} AS end_day, "
        f"{_day(_local(profiles.timezone))} AS day "
        f"FROM subscriptions JOIN {SCHEMA}.customers USING (customer_id) ORDER BY customer"
    )


def _local(timezone: str) -> str:
    return "event_time" if timezone == "UTC" else f"timezone('{timezone}', timezone('UTC', event_time))"


def _day(local: str) -> str:
    return f"date_diff('day', DATE '1970-01-01', CAST({local} AS DATE))"


def _coded(cursor: duckdb.DuckDBPyConnection, table: str) -> str:
    """The word columns, each as an ENUM of its own where it has not too many words; ENUMs sort as their text does."""
    parts: list[str] = []
    for column in _WORDS[table]:
        counted = cursor.execute(f"SELECT approx_count_distinct({column}) FROM {table}").fetchone()
        assert counted is not None
        if not 0 < counted[0] <= _MOST_WORDS:
            parts.append(quoted(column))
            continue
        kind = f"{SCHEMA}_{table}_{column}"  # a type of a schema cannot be named in a cast
        cursor.execute(
            f"DROP TYPE IF EXISTS {kind}; CREATE TYPE {kind} AS ENUM (SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1)"
        )
        parts.append(f"CAST({column} AS {kind}) AS {column}")
    return ", ".join(parts)
