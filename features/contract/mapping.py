"""From the user's columns to the semantic ones: one checked, typed SELECT per mapping."""

from __future__ import annotations

from collections.abc import Mapping as MappingOf
from dataclasses import dataclass, replace

import duckdb
import sqlglot
from sqlglot import expressions as exp
from sqlglot.errors import SqlglotError

from features.contract.casts import Cast, is_number, may_fail, present, text_of, typed
from features.contract.sources import quoted, without_values
from features.contract.tables import Column, SemanticTable
from kernel.errors import DataError, UsageError, did_you_mean
from kernel.settings import Settings, TableSettings

_RESERVED_ATTRIBUTES = ("created_days_ago",)


@dataclass(frozen=True)
class Mapping:
    """One ``[tables.X]`` entry, resolved against the sources it reads.

    ``types``: DuckDB's type of every mapped expression; ``attribute_types``: the same of the attributes.
    ``numeric_attributes``: those that stay numbers.
    """

    table: SemanticTable
    entry: TableSettings
    timezone: str
    where: str
    types: MappingOf[str, str]
    attribute_types: MappingOf[str, str]
    numeric_attributes: frozenset[str]

    def select(self) -> str:
        """The typed SELECT of this mapping's rows, still with incomplete ones."""
        columns = [f"{self._expression(column)} AS {column.name}" for column in self.table.columns]
        attributes = [f"{self._attribute(name, sql)} AS {quoted(name)}" for name, sql in self.entry.attributes.items()]
        return f"SELECT {', '.join(columns + attributes)} FROM {self.entry.from_}"

    @property
    def fallible(self) -> tuple[str, ...]:
        """The columns whose source type leaves open whether every value fits."""
        return tuple(name for name in self.entry.columns if may_fail(self.table.column(name).kind, self.types[name]))

    def wrong_values(self) -> str:
        """A SELECT of one row: the rows, and per fallible column how many values do not fit its type."""
        counts = [
            f"count(*) FILTER ({present(sql, self.types[name])} IS NOT NULL "
            f"AND {self._typed(self.table.column(name), sql)} IS NULL)"
            for name, sql in self.entry.columns.items()
            if name in self.fallible
        ]
        return f"SELECT count(*), {', '.join(counts)} FROM {self.entry.from_}"

    def _expression(self, column: Column) -> str:
        sql = self.entry.columns.get(column.name)
        if sql is None:
            return f"CAST({'TRUE' if column.name == 'consent' else self._default(column)} AS {column.kind})"
        value = self._typed(column, sql)
        fallback = "FALSE" if column.name == "consent" else self._default(column)
        return value if fallback == "NULL" else f"coalesce({value}, {fallback})"

    def _default(self, column: Column) -> str:
        return column.default_sql(lambda name: self._expression(self.table.column(name)))

    def _typed(self, column: Column, sql: str) -> str:
        return typed(column.kind, sql, self.types[column.name], self.timezone, Cast.LENIENT)

    def _attribute(self, name: str, sql: str) -> str:
        source = self.attribute_types[name]
        if name in self.numeric_attributes:
            return f"TRY_CAST({present(sql, source)} AS DOUBLE)"
        return text_of(sql, source)


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
        taken = {
            *table.mappable,
            *_RESERVED_ATTRIBUTES,
            *(other.lower() for other in entry.attributes if other != name),
        }
        if table.name != "customers" or name.lower() in taken or not name.isidentifier():
            raise UsageError(
                f"'{name}' cannot be an attribute.",
                where=f"{where}.attributes",
                fix="Attributes belong to customers; each is one plain word, not among the contract's columns.",
            )
    available = _available(connection, settings, entry, where)
    for part, expressions in (("columns", entry.columns), ("attributes", entry.attributes)):
        for name, sql in expressions.items():
            if sql not in available:
                _check_expression(sql, available, f"{where}.{part}.{name}")
    entry = entry.model_copy(
        update={"columns": _as_sql(entry.columns, available), "attributes": _as_sql(entry.attributes, available)}
    )
    types = _types(connection, entry.columns, entry, f"{where}.columns")
    attribute_types = _types(connection, entry.attributes, entry, f"{where}.attributes")
    numeric = frozenset(name for name, kind in attribute_types.items() if is_number(kind))
    return Mapping(table, entry, settings.project.timezone, where, types, attribute_types, numeric)


def agreed(mappings: list[Mapping]) -> list[Mapping]:
    """The mappings of one table, with an attribute a number only where every mapping has it as one."""
    words = {name for one in mappings for name in one.entry.attributes if name not in one.numeric_attributes}
    return [replace(one, numeric_attributes=one.numeric_attributes - words) for one in mappings]


def check_values(connection: duckdb.DuckDBPyConnection, mapping: Mapping) -> None:
    """Refuse a mapping whose values do not fit the contract's types.

    Raises:
        DataError: with the number of values that do not fit, never the values.
    """
    if not mapping.fallible:
        return
    try:
        total, *counts = connection.sql(mapping.wrong_values()).fetchall()[0]
    except duckdb.Error as error:
        raise DataError(without_values(error), where=mapping.where, fix="Correct the SQL expressions.") from error
    for name, wrong in zip(mapping.fallible, counts, strict=True):
        if wrong:
            kind = mapping.table.column(name).kind
            written = mapping.entry.columns[name].strip('"')
            raise DataError(
                f"{wrong:,} of {total:,} values of '{name}' are no {kind.name.lower()}.",
                where=f"{mapping.where}.columns.{name} = '{written}'",
                fix="Map another column, or convert it with a SQL expression such as try_strptime(column, '%d.%m.%Y').",
            )


def _available(
    connection: duckdb.DuckDBPyConnection, settings: Settings, entry: TableSettings, where: str
) -> dict[str, str]:
    try:
        described = connection.sql(f"DESCRIBE SELECT * FROM {entry.from_}").fetchall()
    except duckdb.CatalogException as error:
        unknown = next((n for n in relation_names(entry.from_) if n not in settings.sources), entry.from_)
        raise UsageError(
            f"'{unknown}' is none of the sources.", where=f"{where}.from", fix=did_you_mean(unknown, settings.sources)
        ) from error
    except duckdb.Error as error:
        raise UsageError(without_values(error), where=f"{where}.from", fix="Correct the SQL FROM clause.") from error
    return {row[0]: row[1] for row in described}


def _as_sql(expressions: MappingOf[str, str], available: MappingOf[str, str]) -> dict[str, str]:
    # A column may be called "order" or "Customer ID": its name alone is no SQL then.
    return {name: quoted(sql) if sql in available else sql for name, sql in expressions.items()}


def relation_names(from_clause: str) -> list[str]:
    """The relations that a FROM clause names; none where it cannot be read."""
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


def _types(
    connection: duckdb.DuckDBPyConnection, expressions: MappingOf[str, str], entry: TableSettings, where: str
) -> dict[str, str]:
    if not expressions:
        return {}
    selected = ", ".join(f"({sql}) AS {quoted(name)}" for name, sql in expressions.items())
    try:
        described = connection.sql(f"DESCRIBE SELECT {selected} FROM {entry.from_}").fetchall()
    except duckdb.Error as error:
        raise UsageError(without_values(error), where=where, fix="Correct the SQL expression.") from error
    return dict(zip(expressions, (row[1] for row in described), strict=True))
