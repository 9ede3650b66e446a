"""Unified profiles: the semantic tables, typed and checked, inside an embedded DuckDB."""

from __future__ import annotations

from collections.abc import Iterable
from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, field
from datetime import UTC, datetime

import duckdb
import pandas as pd

from features.contract import mapping
from features.contract.casts import Cast, typed
from features.contract.findings import Finding, State
from features.contract.sources import SCHEMA, close_sources, open_sources, quoted, without_values
from features.contract.tables import CUSTOMERS, TABLES, TRANSACTIONS, Column, Kind, SemanticTable
from kernel.clock import iso, parse_as_of
from kernel.errors import DataError, NotEnoughDataError, UsageError, did_you_mean
from kernel.settings import EngineSettings, Settings


@dataclass(frozen=True)
class Profiles:
    """The semantic tables of one project. ``attributes``: customer attribute -> "string" or "float64".

    ``engine``: what computes their features, with every path resolved; a profile in a request is always DuckDB's.

    The connection holds the tables customers, transactions, activities and subscriptions (empty where unmapped).
    Every cursor sees the same tables, so one thread may use one cursor each.
    """

    connection: duckdb.DuckDBPyConnection
    attributes: dict[str, str]
    timezone: str
    findings: tuple[Finding, ...] = ()
    engine: EngineSettings = field(default_factory=EngineSettings)

    def __enter__(self) -> Profiles:
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()

    def count(self, table: str) -> int:
        """Number of rows of a semantic table."""
        return int(self._value(f"SELECT count(*) FROM {quoted(table)}"))

    def span(self, known_at: datetime | None = None) -> tuple[datetime, datetime]:
        """First and last ``event_time`` (UTC, naive) of the transactions, or of those known at a moment.

        Raises:
            NotEnoughDataError: no transaction was known then.
        """
        known, parameters = ("", {}) if known_at is None else (_known(TRANSACTIONS), {"known_at": _naive(known_at)})
        sql = f"SELECT min(event_time), max(event_time) FROM transactions {known}"
        row = self.connection.cursor().execute(sql, parameters).fetchone()
        if row is None or row[0] is None:
            raise NotEnoughDataError(
                "No transaction was known then." if known_at else "There is no transaction.",
                where="transactions",
                fix="Name a later date, or bring older transactions.",
            )
        return row[0], row[1]

    def without_consent(self) -> frozenset[str]:
        """Customers who may not be profiled."""
        rows = self.connection.cursor().execute("SELECT customer_id FROM customers WHERE NOT consent").fetchall()
        return frozenset(row[0] for row in rows)

    def fingerprint(self, known_at: datetime) -> str:
        """A hash of everything known at a moment: equal tables, in any row order, give equal text."""
        parts = [
            str(self._value(f"SELECT coalesce(sum(hash(t)::HUGEINT), 0) FROM {name} t {_known(table)}", known_at))
            for name, table in TABLES.items()
        ]
        return f"{abs(hash_text('|'.join(parts))):032x}"

    def _value(self, sql: str, known_at: datetime | None = None) -> int:
        parameters = {} if known_at is None or "$known_at" not in sql else {"known_at": _naive(known_at)}
        row = self.connection.cursor().execute(sql, parameters).fetchone()
        assert row is not None
        return row[0]


def hash_text(text: str) -> int:
    """A stable 128-bit number of a text."""
    import hashlib

    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:16], "big")


def _known(table: SemanticTable) -> str:
    if table.timed:
        return "WHERE event_time < $known_at AND ingested_at <= $known_at"
    return "WHERE created_at IS NULL OR created_at < $known_at"


def _naive(moment: datetime) -> datetime:
    return parse_as_of(moment).astimezone(UTC).replace(tzinfo=None)


def load_profiles(settings: Settings, *, now: datetime | None = None) -> Profiles:
    """Read every mapped table into the contract's types.

    Args:
        settings: the project.
        now: the present, by the caller's clock; rows dated after it are then counted as a finding. UTC where naive.

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
        resolved = mapping.agreed(
            [mapping.resolve(connection, settings, table, entry, i) for i, entry in enumerate(entries)]
        )
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
    close_sources(connection, settings)
    findings += [finding for table in TABLES.values() for finding in _orphans(connection, table)]
    if now is not None:
        findings += [finding for table in TABLES.values() for finding in _future(connection, table, now)]
    engine = settings.engine.model_copy(update={"spark_tables": settings.spark_tables})
    return Profiles(connection, attributes, settings.project.timezone, tuple(findings), engine=engine)


def _database(threads: int | None = None) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(config={} if threads is None else {"threads": threads})
    connection.execute("SET GLOBAL TimeZone = 'UTC'")
    return connection


def profiles_from_frames(
    frames: MappingOf[str, pd.DataFrame], attributes: MappingOf[str, str], timezone: str
) -> Profiles:
    """Unified profiles from frames that already have the contract's columns and UTC moments: the history in a request.

    Columns that a frame lacks take the contract's default. Tables that are not given are empty. Rows without a
    required value are left out and reported, exactly as those of a file.

    Raises:
        DataError: a required column is missing, a value does not fit its type, or keys repeat.
    """
    connection = _database(threads=1)
    findings: list[Finding] = []
    for table in TABLES.values():
        frame = frames.get(table.name)
        if frame is None or not len(frame):
            _fill(connection, table, [], attributes)
            continue
        connection.register("frame", frame)
        _fill(connection, table, [_typed_frame(connection, table, attributes)], attributes)
        connection.unregister("frame")
        findings += _check_rows(connection, table, frozenset(map(str, frame.columns)), "profile")
    return Profiles(connection, dict(attributes), timezone, tuple(findings))


def _typed_frame(connection: duckdb.DuckDBPyConnection, table: SemanticTable, attributes: MappingOf[str, str]) -> str:
    types = {row[0]: row[1] for row in connection.execute("DESCRIBE SELECT * FROM frame").fetchall()}
    parts = [f"{_frame_value(table, column, types)} AS {column.name}" for column in table.columns]
    if table is CUSTOMERS:
        parts += [f"{_frame_attribute(name, kind, types)} AS {quoted(name)}" for name, kind in attributes.items()]
    return f"SELECT {', '.join(parts)} FROM frame"


def _frame_value(table: SemanticTable, column: Column, types: MappingOf[str, str]) -> str:
    if column.name in types:
        value = typed(column.kind, column.name, types[column.name], "UTC", Cast.STRICT)
        if column.name == "ingested_at":
            return f"coalesce({value}, {_frame_value(table, table.column('event_time'), types)})"
        return f"coalesce({value}, {'FALSE' if column.name == 'consent' else column.default})"
    if column.required:
        raise DataError(
            f"The column '{column.name}' ({column.description}) is missing.",
            where=f"profile: {table.name}",
            fix=did_you_mean(column.name, types),
        )
    if column.name == "ingested_at":
        return _frame_value(table, table.column("event_time"), types)
    return f"CAST({'TRUE' if column.name == 'consent' else column.default} AS {column.kind})"


def _frame_attribute(name: str, kind: str, types: MappingOf[str, str]) -> str:
    wanted = Kind.NUMBER if kind == "float64" else Kind.TEXT
    if name not in types:
        return f"CAST(NULL AS {wanted})"
    return typed(wanted, quoted(name), types[name], "UTC", Cast.STRICT)


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
                without_values(error), where=f"tables.{table.name}", fix="Check the values and the SQL expressions."
            ) from error


def _check_rows(
    connection: duckdb.DuckDBPyConnection, table: SemanticTable, mapped: frozenset[str], where: str
) -> list[Finding]:
    place = f"{where}: tables.{table.name}"
    total = _scalar(connection, f"SELECT count(*) FROM {table.name}")
    if total == 0 and table.required:
        raise DataError(f"The table '{table.name}' is empty.", where=place, fix="Name a source that has rows.")
    findings = _left_out(connection, table, total)
    if all(name in mapped for name in table.key):
        keys = ", ".join(table.key)
        # As in SQL, a key with a missing part is like no other.
        whole = " AND ".join(f"{name} IS NOT NULL" for name in table.key)
        double = _scalar(
            connection,
            "SELECT coalesce(sum(n), 0) FROM "
            f"(SELECT count(*) n FROM {table.name} WHERE {whole} GROUP BY {keys}) WHERE n > 1",
        )
        if double:
            raise DataError(
                f"{double:,} of {total:,} rows share their key ({keys}) with another row.",
                where=place,
                fix="Keep one row per key, for example with a SELECT DISTINCT in 'from', or map another key.",
            )
    return findings


def _left_out(connection: duckdb.DuckDBPyConnection, table: SemanticTable, total: int) -> list[Finding]:
    required = [column.name for column in table.columns if column.required]
    counts = ", ".join(f"count(*) - count({column})" for column in required)
    missing = connection.execute(f"SELECT {counts} FROM {table.name}").fetchone() or ()
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


def _orphans(connection: duckdb.DuckDBPyConnection, table: SemanticTable) -> Iterable[Finding]:
    rows = _scalar(connection, f"SELECT count(*) FROM {table.name} ANTI JOIN customers USING (customer_id)")
    if rows:
        yield _warning(
            "D102",
            "rows of unknown customers",
            table,
            "customer_id",
            f"{rows:,} rows name a customer that the customers table does not have; they count nowhere.",
            f"{rows:,} rows",
        )


def _future(connection: duckdb.DuckDBPyConnection, table: SemanticTable, now: datetime) -> Iterable[Finding]:
    column = "event_time" if table.timed else "created_at"
    rows = _scalar(connection, f"SELECT count(*) FROM {table.name} WHERE {column} > TIMESTAMP '{_naive(now)}'")
    if rows:
        yield _warning(
            "D103",
            "dates in the future",
            table,
            column,
            f"{rows:,} rows are dated after {iso(parse_as_of(now))}; they count only once their moment has come.",
            f"{rows:,} rows",
        )


def _warning(code: str, name: str, table: SemanticTable, column: str, details: str, actual: str) -> Finding:
    return Finding(code, name, "read", State.WARNING, table.name, column, details, required="0 rows", actual=actual)


def _scalar(connection: duckdb.DuckDBPyConnection, sql: str) -> int:
    row = connection.execute(sql).fetchone()
    assert row is not None
    return int(row[0])


__all__ = ["Kind", "Profiles", "load_profiles", "profiles_from_frames"]
