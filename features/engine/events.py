"""Events, prepared once for every moment that is asked about: in the order of customers, with codes for words.

Cut-offs share the scan of the contract's tables, the customer's local calendar and the coding of words; what depends
on ``as_of`` is left to ``features/engine/scope.py``. A customer is a number here. Rows that came to the tables since
are added to what was prepared, behind it; numbers stay.
"""

from __future__ import annotations

import threading
from datetime import timedelta
from typing import NamedTuple

import duckdb

from features.contract.profiles import Profiles
from features.contract.sources import quoted
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


class _State(NamedTuple):
    """What was prepared: rows of each table of the contract and the row numbers behind the last of them, the version of
    its customers, the next free number of a customer."""

    customers: int
    transactions: int
    activities: int
    subscriptions: int
    transactions_end: int
    activities_end: int
    subscriptions_end: int
    version: int
    next_customer: int


def prepare(profiles: Profiles) -> None:
    """Make the tables ``prepared.*`` of these profiles, or bring them up to date."""
    with _ONE_AT_A_TIME:
        cursor = profiles.connection.cursor()
        state = _state(cursor)
        counts = {table: profiles.count(table) for table in ("customers", *EVENTS)}
        ends = {f"{table}_end": profiles.end(table) for table in EVENTS}
        next_customer = 0 if state is None else state.next_customer
        wanted = _State(**counts, **ends, version=profiles.version, next_customer=next_customer)
        if state == wanted:
            return
        # All or nothing: an interruption leaves what was there.
        cursor.execute("BEGIN")
        try:
            if state is None or _is_behind(state, wanted) or _new_words(cursor, state):
                _forget(cursor)
                cursor.execute(f"CREATE SCHEMA {SCHEMA}")
                _make(cursor, profiles)
            else:
                _add(cursor, profiles, state)
            _remember(cursor, wanted)
            cursor.execute("COMMIT")
        except BaseException:
            cursor.execute("ROLLBACK")
            raise


def forget(profiles: Profiles) -> None:
    """Drop what was prepared."""
    with _ONE_AT_A_TIME:
        _forget(profiles.connection.cursor())


def extent(profiles: Profiles) -> dict[str, int]:
    """Table of events -> prepared rows; those that come later are behind them."""
    prepare(profiles)
    cursor = profiles.connection.cursor()
    return {table: _number(cursor, f"SELECT count(*) FROM {SCHEMA}.{table}") for table in EVENTS}


def order_span(profiles: Profiles) -> timedelta:
    """The longest time between two lines of one order."""
    prepare(profiles)
    with _ONE_AT_A_TIME:
        cursor = profiles.connection.cursor()
        rows = _number(cursor, f"SELECT count(*) FROM {SCHEMA}.transactions")
        cursor.execute(f"CREATE TABLE IF NOT EXISTS {SCHEMA}.span (rows BIGINT, microseconds BIGINT)")
        found = cursor.execute(f"SELECT rows, microseconds FROM {SCHEMA}.span ORDER BY rows DESC LIMIT 1").fetchone()
        seen, microseconds = found or (0, 0)
        if seen != rows:
            # Only orders with a line among the new rows may have become longer.
            new = f"SELECT customer, transaction_id FROM {SCHEMA}.transactions WHERE rowid >= {seen}"
            lines = f"{SCHEMA}.transactions" + (f" SEMI JOIN ({new}) USING (customer, transaction_id)" if seen else "")
            longest = _number(
                cursor,
                "SELECT coalesce(max(span), 0) FROM (SELECT epoch_us(max(event_time)) - epoch_us(min(event_time)) "
                f"AS span FROM {lines} GROUP BY customer, transaction_id)",
            )
            microseconds = max(microseconds, longest)
            cursor.execute(f"INSERT INTO {SCHEMA}.span VALUES (?, ?)", [rows, microseconds])
        return timedelta(microseconds=microseconds)


def _state(cursor: duckdb.DuckDBPyConnection) -> _State | None:
    there = _number(cursor, f"SELECT count(*) FROM duckdb_tables() WHERE table_name = '{SCHEMA}_state'")
    row = cursor.execute(f"SELECT * FROM main.{SCHEMA}_state").fetchone() if there else None
    return None if row is None else _State(*row)


def _remember(cursor: duckdb.DuckDBPyConnection, state: _State) -> None:
    last = _number(cursor, f"SELECT coalesce(max(customer), -1) FROM {SCHEMA}.customers")
    state = state._replace(next_customer=max(state.next_customer, last + 1))
    values = ", ".join(f"{value} AS {name}" for name, value in state._asdict().items())
    cursor.execute(f"CREATE OR REPLACE TABLE main.{SCHEMA}_state AS SELECT {values}")


def _forget(cursor: duckdb.DuckDBPyConnection) -> None:
    cursor.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE; DROP TABLE IF EXISTS main.{SCHEMA}_state")


def _is_behind(state: _State, wanted: _State) -> bool:
    """Whether rows are gone that were prepared."""
    return any(getattr(wanted, table) < getattr(state, table) for table in EVENTS)


def _make(cursor: duckdb.DuckDBPyConnection, profiles: Profiles) -> None:
    cursor.execute(
        f"CREATE TABLE {SCHEMA}.customers AS SELECT CAST(row_number() OVER (ORDER BY customer_id) - 1 AS INTEGER) "
        "AS customer, * FROM customers ORDER BY customer"
    )
    for table in EVENTS:
        for column in _WORDS[table]:
            _code(cursor, table, column)
        cursor.execute(f"CREATE TABLE {SCHEMA}.{table} AS {_rows(cursor, table, profiles.timezone)} ORDER BY customer")


def _add(cursor: duckdb.DuckDBPyConnection, profiles: Profiles, state: _State) -> None:
    cursor.execute(
        f"CREATE OR REPLACE TABLE {SCHEMA}.customers AS SELECT coalesce(p.customer, CAST({state.next_customer - 1} + "
        "row_number() OVER (PARTITION BY p.customer IS NULL ORDER BY c.customer_id) AS INTEGER)) AS customer, c.* "
        f"FROM customers c LEFT JOIN (SELECT customer, customer_id FROM {SCHEMA}.customers) p USING (customer_id) "
        "ORDER BY customer"
    )
    for table in EVENTS:
        rows = _rows(cursor, table, profiles.timezone)
        # A customer who is new here may have had rows before.
        new = f"(t.rowid >= {getattr(state, f'{table}_end')} OR customer >= {state.next_customer})"
        cursor.execute(f"INSERT INTO {SCHEMA}.{table} {rows} WHERE {new} ORDER BY customer")


def _rows(cursor: duckdb.DuckDBPyConnection, table: str, timezone: str) -> str:
    """The SELECT that prepares a table of events."""
    words = ", ".join(_as_coded(cursor, table, column) for column in _WORDS[table])
    local = "event_time" if timezone == "UTC" else f"timezone('{timezone}', timezone('UTC', event_time))"
    # An order is known by 64 bits of its id, next to its customer: two orders of one customer are taken for one
    # with a probability below 1e-13 at a thousand orders, and numbers group twice as fast as text.
    own = {
        "transactions": f"hash(transaction_id) AS transaction_id, amount, discount, quantity, {words}, "
        f"CAST(isodow({local}) - 1 AS TINYINT) AS weekday, CAST(hour({local}) AS TINYINT) AS hour",
        "activities": f"value, sentiment, {words}",
        "subscriptions": f"hash(subscription_id) AS subscription_id, {words}, amount, recurrence_months, is_recurring, "
        f"{_day('start_date')} AS start_day, {_day('end_date')} AS end_day",
    }
    return (
        f"SELECT customer, event_time, ingested_at, {own[table]}, {_day(local)} AS day "
        f"FROM {table} t JOIN (SELECT customer, customer_id FROM {SCHEMA}.customers) c USING (customer_id)"
    )


def _day(local: str) -> str:
    return f"date_diff('day', DATE '1970-01-01', CAST({local} AS DATE))"


def _kind(table: str, column: str) -> str:
    return f"{SCHEMA}_{table}_{column}"  # in main: a type of a schema cannot be named in a cast


def _is_coded(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> bool:
    return bool(_number(cursor, f"SELECT count(*) FROM duckdb_types() WHERE type_name = '{_kind(table, column)}'"))


def _as_coded(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> str:
    if not _is_coded(cursor, table, column):
        return quoted(column)
    return f"CAST({column} AS {_kind(table, column)}) AS {column}"


def _code(cursor: duckdb.DuckDBPyConnection, table: str, column: str) -> None:
    """Make the ENUM of a column of words, where it has not too many; ENUMs sort as their text does."""
    kind = _kind(table, column)
    cursor.execute(f"DROP TYPE IF EXISTS {kind}")
    cursor.execute(
        f"CREATE OR REPLACE TEMP TABLE words AS SELECT DISTINCT {column} AS word FROM {table} "
        f"WHERE {column} IS NOT NULL"
    )
    if 0 < _number(cursor, "SELECT count(*) FROM words") <= _MOST_WORDS:
        cursor.execute(f"CREATE TYPE {kind} AS ENUM (SELECT word FROM words ORDER BY word)")
    cursor.execute("DROP TABLE words")


def _new_words(cursor: duckdb.DuckDBPyConnection, state: _State) -> bool:
    """Whether the added rows have a word without a code."""
    return any(
        _number(
            cursor,
            f"SELECT count(*) FROM {table} WHERE rowid >= {getattr(state, f'{table}_end')} AND {column} IS NOT NULL "
            f"AND TRY_CAST({column} AS {_kind(table, column)}) IS NULL",
        )
        for table in EVENTS
        for column in _WORDS[table]
        if _is_coded(cursor, table, column)
    )


def _number(cursor: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = cursor.execute(sql).fetchone()
    assert row is not None
    return int(row[0])
