"""From the user's columns to the semantic ones: one checked, typed SELECT per mapping."""

from __future__ import annotations

from dataclasses import dataclass

import duckdb
import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from features.contract.sources import quoted
from features.contract.tables import Column, Kind, SemanticTable
from kernel.errors import DataError, UsageError, did_you_mean
from kernel.settings import Settings, TableSettings

_NUMBERS = {"TINYINT", "SMALLINT", "INTEGER", "BIGINT", "HUGEINT", "UTINYINT", "USMALLINT", "UINTEGER", "UBIGINT"} | {
    "FLOAT",
    "DOUBLE",
}


@dataclass(frozen=True)
class Mapping:
    """One ``[tables.X]`` entry, resolved against the sources it reads."""

    table: SemanticTable
    entry: TableSettings
    timezone: str
    where: str
    numeric_attributes: frozenset[str]

    def select(self) -> str:
        """The typed SELECT of this mapping's rows, still with incomplete ones."""
        columns = [f"{self._expression(column)} AS {column.name}" for column in self.table.columns]
        attributes = [f"{self._attribute(name, sql)} AS {quoted(name)}" for name, sql in self.entry.attributes.items()]
        return f"SELECT {', '.join(columns + attributes)} FROM {self.entry.from_}"

    def wrong_values(self) -> str:
        """A SELECT of one row: per required-type column, how many values do not fit its type."""
        counts = [
            f"count(*) FILTER (({sql}) IS NOT NULL AND {self._typed(self.table.column(name), sql)} IS NULL) AS {name}"
            for name, sql in self.entry.columns.items()
        ]
        return f"SELECT count(*) AS total_rows, {', '.join(counts)} FROM {self.entry.from_}"

    def _expression(self, column: Column) -> str:
        sql = self.entry.columns.get(column.name)
        if sql is None:
            if column.name == "consent":
                return "CAST(TRUE AS BOOLEAN)"
            if column.name == "ingested_at":
                return self._expression(self.table.column("event_time"))
            return f"CAST({column.default} AS {column.kind})"
        typed = self._typed(column, sql)
        fallback = "FALSE" if column.name == "consent" else column.default
        return typed if fallback == "NULL" else f"coalesce({typed}, {fallback})"

    def _typed(self, column: Column, sql: str) -> str:
        if column.kind is Kind.TEXT:
            return _text(sql)
        if column.kind is Kind.MOMENT:
            # A moment with its own offset keeps it; a naive one is the project's local time.
            zoned = f"timezone('UTC', TRY_CAST(({sql}) AS TIMESTAMPTZ))"
            naive = f"timezone('UTC', timezone('{self.timezone}', TRY_CAST(({sql}) AS TIMESTAMP)))"
            return f"CASE WHEN typeof({sql}) = 'TIMESTAMP WITH TIME ZONE' THEN {zoned} ELSE {naive} END"
        return f"TRY_CAST(({sql}) AS {column.kind})"

    def _attribute(self, name: str, sql: str) -> str:
        return f"TRY_CAST(({sql}) AS DOUBLE)" if name in self.numeric_attributes else _text(sql)


def resolve(
    connection: duckdb.DuckDBPyConnection, settings: Settings, table: SemanticTable, entry: TableSettings, index: int
) -> Mapping:
    """Check one mapping's keys and columns against the contract and the sources.

    Raises:
        UsageError: an unknown semantic or source column, a missing required one, or SQL that cannot be read.
    """
    where = f"{settings.file}: tables.{table.name}" + (f"[{index}]" if index else "")
    for name in entry.columns:
        if name not in table.mappable:
            raise UsageError(
                f"'{name}' is no column of {table.name}.",
                where=f"{where}.columns",
                fix=did_you_mean(name, table.mappable),
            )
    for column in table.columns:
        if column.required and column.name not in entry.columns:
            raise UsageError(
                f"The required column '{column.name}' ({column.description}) is not mapped.",
                where=f"{where}.columns",
                fix=f'Add a line such as {column.name} = "your_column".',
            )
    for name in entry.attributes:
        if table.name != "customers" or name in table.mappable or not name.isidentifier():
            raise UsageError(
                f"'{name}' cannot be an attribute.",
                where=f"{where}.attributes",
                fix="Attributes belong to customers, are plain words, and are named unlike the contract's columns.",
            )
    available = _available(connection, settings, entry, where)
    for part, expressions in (("columns", entry.columns), ("attributes", entry.attributes)):
        for name, sql in expressions.items():
            _check_expression(sql, available, f"{where}.{part}.{name}")
    numeric = _numeric(connection, entry)
    return Mapping(table, entry, settings.project.timezone, where, numeric)


def check_values(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Refuse a mapping whose values do not fit the contract's types, or whose relation is empty.

    Raises:
        DataError: with the number of values that do not fit, never the values.
    """
    try:
        row = connection.sql(mapping.wrong_values()).fetchone() or ()
    except duckdb.Error as error:
        raise UsageError(str(error).splitlines()[0], where=mapping.where, fix="Correct the SQL expression.") from error
    total, *counts = row
    for name, wrong in zip(mapping.entry.columns, counts, strict=True):
        if wrong:
            kind = mapping.table.column(name).kind
            raise DataError(
                f"{wrong:,} of {total:,} values of '{name}' are no {kind.name.lower()}.",
                where=f"{mapping.where}.columns.{name} = {mapping.entry.columns[name]!r}",
                fix="Map another column, or convert it with a SQL expression such as try_strptime(column, '%d.%m.%Y').",
            )


def _available(
    connection: duckdb.DuckDBPyConnection, settings: Settings, entry: TableSettings, where: str
) -> dict[str, str]:
    try:
        described = connection.sql(f"DESCRIBE SELECT * FROM {entry.from_}").fetchall()
    except duckdb.CatalogException as error:
        unknown = next((n for n in _relation_names(entry.from_) if n not in settings.sources), entry.from_)
        raise UsageError(
            f"'{unknown}' is none of the sources.", where=f"{where}.from", fix=did_you_mean(unknown, settings.sources)
        ) from error
    except duckdb.Error as error:
        raise UsageError(
            str(error).splitlines()[0], where=f"{where}.from", fix="Correct the SQL FROM clause."
        ) from error
    return {row[0]: row[1] for row in described}


def _relation_names(from_clause: str) -> list[str]:
    try:
        tree = sqlglot.parse_one(f"SELECT * FROM {from_clause}", dialect="duckdb")
    except SqlglotError:
        return []
    return [table.name for table in tree.find_all(exp.Table)]


def _check_expression(sql: str, available: dict[str, str], where: str) -> None:
    try:
        tree = sqlglot.parse_one(sql, dialect="duckdb")
    except SqlglotError as error:
        raise UsageError(
            f"'{sql}' is no SQL expression.", where=where, fix="Write a column name or an expression."
        ) from error
    known = {name.lower() for name in available}
    for column in tree.find_all(exp.Column):
        if column.name.lower() not in known:
            raise UsageError(
                f"The source has no column '{column.name}'.", where=where, fix=did_you_mean(column.name, available)
            )


def _text(sql: str) -> str:
    # A whole number that a file stores as a float (17850.0) is the key 17850.
    return (
        f"CASE WHEN typeof({sql}) IN ('DOUBLE', 'FLOAT') AND TRY_CAST(({sql}) AS BIGINT) = TRY_CAST(({sql}) AS DOUBLE) "
        f"THEN CAST(TRY_CAST(({sql}) AS BIGINT) AS VARCHAR) ELSE nullif(trim(CAST(({sql}) AS VARCHAR)), '') END"
    )


def _numeric(connection: duckdb.DuckDBPyConnection, entry: TableSettings) -> frozenset[str]:
    if not entry.attributes:
        return frozenset()
    expressions = ", ".join(f"({sql}) AS {quoted(name)}" for name, sql in entry.attributes.items())
    described = connection.sql(f"DESCRIBE SELECT {expressions} FROM {entry.from_}").fetchall()
    return frozenset(name for name, kind, *_ in described if kind in _NUMBERS or kind.startswith("DECIMAL"))
