"""Unified profiles: the semantic tables, typed and checked, inside an embedded DuckDB."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass
from datetime import datetime

import duckdb
import pandas as pd

from features.contract import mapping
from features.contract.findings import Finding, State
from features.contract.sources import SCHEMA, open_sources, quoted
from features.contract.tables import CUSTOMERS, TABLES, Kind, SemanticTable
from kernel.errors import DataError, UsageError, did_you_mean
from kernel.settings import Settings


@dataclass(frozen=True)
class Profiles:
    """The semantic tables of one project. ``attributes``: customer attribute -> "string" or "float64".

    The connection holds the tables customers, transactions, activities and subscriptions (empty where unmapped).
    Every cursor sees the same tables, so one thread may use one cursor each.
    """

    connection: duckdb.DuckDBPyConnection
    attributes: dict[str, str]
    timezone: str
    findings: tuple[Finding, ...] = ()

    def count(self, table: str) -> int:
        """Number of rows of a semantic table."""
        return int(self._value(f"SELECT count(*) FROM {quoted(table)}"))

    def span(self) -> tuple[datetime, datetime]:
        """First and last ``event_time`` (UTC, naive) of the transactions."""
        row = self.connection.cursor().execute("SELECT min(event_time), max(event_time) FROM transactions").fetchone()
        assert row is not None
        return row[0], row[1]

    def fingerprint(self, known_at: datetime) -> str:
        """A hash of everything known at a moment: equal tables, in any row order, give equal text."""
        parts = [
            str(self._value(f"SELECT coalesce(sum(hash(t)::HUGEINT), 0) FROM {name} t {_known(table)}", known_at))
            for name, table in TABLES.items()
        ]
        return f"{abs(hash_text('|'.join(parts))):032x}"

    def _value(self, sql: str, known_at: datetime | None = None) -> int:
        parameters = {} if known_at is None or "$known_at" not in sql else {"known_at": known_at.replace(tzinfo=None)}
        row = self.connection.cursor().execute(sql, parameters).fetchone()
        assert row is not None
        return row[0]


def hash_text(text: str) -> int:
    """A stable 128-bit number of a text."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def _known(table: SemanticTable) -> str:
    return "WHERE event_time < $known_at AND ingested_at <= $known_at" if table.timed else ""


def load_profiles(settings: Settings) -> Profiles:
    """Read every mapped table into the contract's types.

    Raises:
        UsageError: the configuration names something that does not exist.
        DataError: values of a wrong type, duplicate keys, an empty required table.
    """
    connection = _database()
    open_sources(connection, settings)
    for name in settings.tables:
        if name not in TABLES:
            raise UsageError(
                f"'{name}' is no semantic table.", where=f"{settings.file}: tables", fix=did_you_mean(name, TABLES)
            )
    attributes: dict[str, str] = {}
    findings: list[Finding] = []
    for table in TABLES.values():
        entries = settings.tables.get(table.name, ())
        if not entries and table.required:
            raise UsageError(
                f"The table '{table.name}' ({table.description}) is not mapped.",
                where=f"{settings.file}: tables",
                fix=f"Add a [tables.{table.name}] section; the examples show how.",
            )
        # The user's names must win while a mapping is read: a source may be called "transactions" as well.
        connection.execute(f"SET search_path = '{SCHEMA}'")
        resolved = [mapping.resolve(connection, settings, table, entry, i) for i, entry in enumerate(entries)]
        for one in resolved:
            mapping.check_values(connection, one)
            attributes |= {
                name: "float64" if name in one.numeric_attributes else "string" for name in one.entry.attributes
            }
        _fill(connection, table, [one.select() for one in resolved], attributes)
        connection.execute("SET search_path = 'main'")
        if resolved:
            mapped = frozenset.intersection(*(frozenset(one.entry.columns) for one in resolved))
            findings += _check_rows(connection, table, mapped, str(settings.file))
    findings += _orphans(connection)
    return Profiles(connection, attributes, settings.project.timezone, tuple(findings))


def _database(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={} if threads is None else {"threads": threads})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def profiles_from_frames(
    frames: MappingOf[str, pd.DataFrame], attributes: MappingOf[str, str], timezone: str
) -> Profiles:
    """Unified profiles from frames that already have the contract's columns and UTC moments: the history in a request.

    Columns that a frame lacks take the contract's default. Tables that are not given are empty.
    """
    connection = _database(threads=1)
    for table in TABLES.values():
        frame = frames.get(table.name)
        selects: list[str] = []
        if frame is not None and len(frame):
            connection.register("frame", frame)
            selects = [_typed_frame(table, frame, attributes)]
        _fill(connection, table, selects, attributes)
        if selects:
            connection.unregister("frame")
    return Profiles(connection, dict(attributes), timezone)


def _typed_frame(table: SemanticTable, frame: pd.DataFrame, attributes: MappingOf[str, str]) -> str:
    parts: list[str] = []
    for column in table.columns:
        name = column.name
        if name == "ingested_at" and name not in frame:
            name = "event_time"
        if name in frame:
            typed = f"CAST({name} AS {column.kind})"
            parts.append(f"coalesce({typed}, {column.default}) AS {column.name}")
        else:
            default = "TRUE" if column.name == "consent" else column.default
            parts.append(f"CAST({default} AS {column.kind}) AS {column.name}")
    if table is CUSTOMERS:
        for name, kind in attributes.items():
            sql_type = "DOUBLE" if kind == "float64" else "VARCHAR"
            value = quoted(name) if name in frame else "NULL"
            parts.append(f"CAST({value} AS {sql_type}) AS {quoted(name)}")
    return f"SELECT {', '.join(parts)} FROM frame"


def _fill(
    connection: duckdb.DuckDBPyConnection, table: SemanticTable, selects: list[str], attributes: MappingOf[str, str]
) -> None:
    columns = [f"{column.name} {column.kind}" for column in table.columns]
    if table is CUSTOMERS:
        columns += [
            f"{quoted(name)} {'DOUBLE' if kind == 'float64' else 'VARCHAR'}" for name, kind in attributes.items()
        ]
    connection.execute(f"CREATE TABLE main.{table.name} ({', '.join(columns)})")
    for select in selects:
        try:
            connection.execute(f"INSERT INTO main.{table.name} BY NAME ({select})")
        except duckdb.Error as error:
            raise DataError(
                str(error).splitlines()[0], where=f"tables.{table.name}", fix="Check the mapping's SQL expressions."
            ) from error


def _check_rows(
    connection: duckdb.DuckDBPyConnection, table: SemanticTable, mapped: frozenset[str], where: str
) -> list[Finding]:
    place = f"{where}: tables.{table.name}"
    total = _scalar(connection, f"SELECT count(*) FROM {table.name}")
    if total == 0 and table.required:
        raise DataError(f"The table '{table.name}' is empty.", where=place, fix="Name a source that has rows.")
    findings = [_left_out(connection, table, column.name, total) for column in table.columns if column.required]
    if table.key and all(name in mapped for name in table.key):
        keys = ", ".join(table.key)
        double = _scalar(
            connection,
            f"SELECT coalesce(sum(n), 0) FROM (SELECT count(*) n FROM {table.name} GROUP BY {keys}) WHERE n > 1",
        )
        if double:
            raise DataError(
                f"{double:,} of {total:,} rows share their key ({keys}) with another row.",
                where=place,
                fix="Keep one row per key, for example with a SELECT DISTINCT in 'from', or map another key.",
            )
    return [finding for finding in findings if finding is not None]


def _left_out(connection: duckdb.DuckDBPyConnection, table: SemanticTable, column: str, total: int) -> Finding | None:
    missing = _scalar(connection, f"SELECT count(*) FROM {table.name} WHERE {column} IS NULL")
    if not missing:
        return None
    connection.execute(f"DELETE FROM {table.name} WHERE {column} IS NULL")
    return Finding(
        code="D101",
        name="rows without a required value",
        step="read",
        state=State.WARNING,
        table=table.name,
        column=column,
        details=f"{missing:,} rows have no {column}; they are left out of every feature, label and total.",
        required="0 rows",
        actual=f"{missing:,} of {total:,} rows ({missing / total:.1%})",
    )


def _orphans(connection: duckdb.DuckDBPyConnection) -> list[Finding]:
    rows = _scalar(connection, "SELECT count(*) FROM transactions ANTI JOIN customers USING (customer_id)")
    if not rows:
        return []
    return [
        Finding(
            code="D102",
            name="rows of unknown customers",
            step="read",
            state=State.WARNING,
            table="transactions",
            column="customer_id",
            details=f"{rows:,} rows name a customer that the customers table does not have; they count nowhere.",
            required="0 rows",
            actual=f"{rows:,} rows",
        )
    ]


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


__all__ = ["Kind", "Profiles", "load_profiles", "profiles_from_frames"]
