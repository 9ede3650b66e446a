"""Checks of a semantic table once it is filled: what is an error, what is left out, what is counted."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

import duckdb

from features.contract.findings import Finding, State
from features.contract.tables import SemanticTable
from kernel.clock import iso, parse_as_of
from kernel.errors import DataError

_SLICE = 10_000_000  # groups that are held at once


def check_filled(connection: duckdb.DuckDBPyConnection, table: SemanticTable, where: str) -> None:
    """Refuse a required table without rows.

    Raises:
        DataError: it is empty.
    """
    if table.required and not scalar(connection, f"SELECT count(*) FROM {table.name}"):
        raise DataError(
            f"The table '{table.name}' is empty.",
            where=f"{where}: tables.{table.name}",
            fix="Name a source that has rows.",
        )


def left_out(connection: duckdb.DuckDBPyConnection, table: SemanticTable) -> list[Finding]:
    """Remove the rows that lack a required value, and count them."""
    required = [column.name for column in table.columns if column.required]
    counts = ", ".join(f"count(*) - count({column})" for column in required)
    total, *missing = connection.execute(f"SELECT count(*), {counts} FROM {table.name}").fetchone() or (0,)
    if any(missing):
        incomplete = " OR ".join(f"{column} IS NULL" for column in required)
        connection.execute(f"DELETE FROM {table.name} WHERE {incomplete}")
    return [
        _warning(
            "D101",
            "rows without a required value",
            table,
            column,
            f"{rows:,} rows have no {column}; they are left out of every feature, label and total.",
            f"{rows:,} of {total:,} rows ({rows / total:.1%})",
        )
        for column, rows in zip(required, missing, strict=True)
        if rows
    ]


def check_key(connection: duckdb.DuckDBPyConnection, table: SemanticTable, mapped: frozenset[str], where: str) -> None:
    """Refuse rows that share their key, where all its columns are mapped.

    Raises:
        DataError: with the number of such rows.
    """
    if not all(name in mapped for name in table.key):
        return
    keys = ", ".join(table.key)
    # As in SQL, a key with a missing part is like no other.
    whole = " AND ".join(f"{name} IS NOT NULL" for name in table.key)
    # Grouping short numbers takes a fraction of the memory of grouping texts. Unequal hashes are unequal keys; only
    # where some are equal are the keys themselves looked at.
    total = scalar(connection, f"SELECT count(*) FROM {table.name}")
    slices = sliced(total, f"hash({keys})")
    if not any(repeated_rows(connection, f"{table.name} WHERE {whole} AND {part}", f"hash({keys})") for part in slices):
        return
    double = sum(repeated_rows(connection, f"{table.name} WHERE {whole} AND {part}", keys) for part in slices)
    if double:
        raise DataError(
            f"{double:,} of {total:,} rows share their key ({keys}) with another row.",
            where=f"{where}: tables.{table.name}",
            fix="Keep one row per key, for example with a SELECT DISTINCT in 'from', or map another key.",
        )


def sliced(groups: int, number: str) -> list[str]:
    """Conditions that cut a table into parts by a number, so that grouping each takes little memory; every part is
    one more scan."""
    parts = 1 + groups // _SLICE
    return [f"{number} % {parts} = {part}" for part in range(parts)] if parts > 1 else ["TRUE"]


def repeated_rows(connection: duckdb.DuckDBPyConnection, rows: str, keys: str) -> int:
    """How many rows share the values of ``keys`` with another one."""
    return scalar(
        connection, f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) n FROM {rows} GROUP BY {keys}) WHERE n > 1"
    )


def orphans(connection: duckdb.DuckDBPyConnection, table: SemanticTable) -> Iterable[Finding]:
    """Count the rows of customers that the customers table does not have."""
    rows = scalar(connection, f"SELECT count(*) FROM {table.name} ANTI JOIN customers USING (customer_id)")
    if rows:
        yield _warning(
            "D102",
            "rows of unknown customers",
            table,
            "customer_id",
            f"{rows:,} rows name a customer that the customers table does not have; they count nowhere.",
            f"{rows:,} rows",
        )


def future(connection: duckdb.DuckDBPyConnection, table: SemanticTable, now: datetime) -> Iterable[Finding]:
    """Count the rows that are dated after the present."""
    column = "event_time" if table.timed else "created_at"
    rows = scalar(connection, f"SELECT count(*) FROM {table.name} WHERE {column} > TIMESTAMP '{naive(now)}'")
    if rows:
        yield _warning(
            "D103",
            "dates in the future",
            table,
            column,
            f"{rows:,} rows are dated after {iso(parse_as_of(now))}; they count only once their moment has come.",
            f"{rows:,} rows",
        )


def naive(moment: datetime) -> datetime:
    """The moment as the tables hold it: UTC, without a zone."""
    return parse_as_of(moment).astimezone(UTC).replace(tzinfo=None)


def scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    """The one number that a query gives."""
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


def _warning(code: str, name: str, table: SemanticTable, column: str, details: str, actual: str) -> Finding:
    return Finding(code, name, "read", State.WARNING, table.name, column, details, required="0 rows", actual=actual)
