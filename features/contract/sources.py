"""The user's own tables as DuckDB views: files, globs, DuckDB files, PostgreSQL tables."""

from __future__ import annotations

import glob
import tempfile
from pathlib import Path

import duckdb

from kernel.errors import DataError, UsageError
from kernel.settings import Settings, SourceSettings

SCHEMA = "sources"
_READERS = {".parquet": "read_parquet", ".csv": "read_csv", ".txt": "read_csv", ".tsv": "read_csv", ".gz": "read_csv"}
# PostgreSQL's built-in type numbers (pg_type.oid) are fixed; every other type is read as text.
_POSTGRES_TYPES = {
    16: "BOOLEAN",
    20: "BIGINT",
    21: "SMALLINT",
    23: "INTEGER",
    700: "FLOAT",
    701: "DOUBLE",
    1082: "DATE",
    1114: "TIMESTAMP",
    1184: "TIMESTAMPTZ",
    1700: "DOUBLE",
}


def open_sources(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Create one view (PostgreSQL: one table) per ``[sources]`` entry in the schema ``sources``.

    Raises:
        UsageError: a path that does not exist, an unknown file type, an unreachable database.
        DataError: a file that cannot be read as what its name says.
    """
    connection.execute(f"CREATE SCHEMA {SCHEMA}")
    for name, source in settings.sources.items():
        where = f"{settings.file}: sources.{name}"
        if source.file is not None:
            _open_file(connection, name, settings.path(source.file), where)
        elif source.duckdb is not None:
            _open_duckdb(connection, name, settings.path(source.duckdb), source, where)
        else:
            _open_postgres(connection, name, source, where)


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def _literal(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def _open_file(connection: duckdb.DuckDBPyConnection, name: str, path: Path, where: str) -> None:
    if not glob.glob(str(path)):  # noqa: PTH207  (the path may be absolute, which Path.glob refuses)
        raise UsageError(
            f"No file matches '{path}'.", where=where, fix="Correct the path; it is relative to the TOML file."
        )
    reader = _READERS.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"'{path.suffix}' is no file type that can be read.", where=where, fix=f"Use one of {', '.join(_READERS)}."
        )
    try:
        connection.execute(f"CREATE VIEW {SCHEMA}.{quoted(name)} AS SELECT * FROM {reader}({_literal(str(path))})")
    except duckdb.Error as error:
        raise DataError(
            f"The file cannot be read: {str(error).splitlines()[0]}", where=f"{where} = {path}", fix="Check the file."
        ) from error


def _open_duckdb(
    connection: duckdb.DuckDBPyConnection, name: str, path: Path, source: SourceSettings, where: str
) -> None:
    if not path.exists():
        raise UsageError(f"There is no DuckDB file '{path}'.", where=where, fix="Correct the path.")
    catalog = f"attached_{name}"
    try:
        connection.execute(f"ATTACH {_literal(str(path))} AS {quoted(catalog)} (READ_ONLY)")
        table = ".".join(quoted(part) for part in str(source.table).split("."))
        connection.execute(f"CREATE VIEW {SCHEMA}.{quoted(name)} AS SELECT * FROM {quoted(catalog)}.{table}")
    except duckdb.Error as error:
        raise UsageError(str(error).splitlines()[0], where=where, fix="Name an existing table of that file.") from error


def _open_postgres(connection: duckdb.DuckDBPyConnection, name: str, source: SourceSettings, where: str) -> None:
    # DuckDB's own PostgreSQL reader is an extension fetched at run time; psycopg is installed with the rest.
    import psycopg
    from psycopg import sql

    table = sql.SQL(".").join(sql.Identifier(part) for part in str(source.table).split("."))
    try:
        with (
            tempfile.NamedTemporaryFile(suffix=".csv") as copy,
            psycopg.connect(str(source.postgres), connect_timeout=10) as remote,
            remote.cursor() as cursor,
        ):
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table))
            columns = {
                column.name: _POSTGRES_TYPES.get(column.type_code, "VARCHAR") for column in cursor.description or ()
            }
            statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)").format(table)
            with cursor.copy(statement) as blocks:
                for block in blocks:
                    copy.write(block)
            copy.flush()
            types = ", ".join(f"{_literal(column)}: {_literal(kind)}" for column, kind in columns.items())
            connection.execute(
                f"CREATE TABLE {SCHEMA}.{quoted(name)} AS SELECT * FROM read_csv({_literal(copy.name)}, header=true, "
                # Only an unquoted empty field is NULL: PostgreSQL quotes every value it has.
                f"quote='\"', escape='\"', delim=',', allow_quoted_nulls=false, columns={{{types}}})"
            )
    except psycopg.Error as error:
        # The connection string may hold a password: neither it nor the driver's echo of it is repeated.
        raise UsageError(
            f"PostgreSQL did not answer with table '{source.table}' ({type(error).__name__}).",
            where=where,
            fix="Check address, user, password and table name.",
        ) from error
