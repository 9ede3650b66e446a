"""The user's own tables as DuckDB views: files, globs, DuckDB files, PostgreSQL tables."""

from __future__ import annotations

import glob
import re
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
}
_NUMERIC = 1700
_WIDEST_DECIMAL = 38
# What DuckDB says of these is about the configuration; everything else may quote a value of a row.
_ABOUT_SQL = (duckdb.BinderException, duckdb.CatalogException, duckdb.ParserException, duckdb.IOException)


def open_sources(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Create one view (CSV and PostgreSQL: one table) per ``[sources]`` entry in the schema ``sources``.

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


def close_sources(connection: duckdb.DuckDBPyConnection, settings: Settings) -> None:
    """Let go of the user's files and of what was copied from them."""
    connection.execute(f"DROP SCHEMA {SCHEMA} CASCADE")
    for name, source in settings.sources.items():
        if source.duckdb is not None:
            connection.execute(f"DETACH {quoted(_catalog(name))}")


def source_files(settings: Settings, source: SourceSettings) -> list[Path]:
    """The files of a source, in order; none where the path matches nothing, or it is a database."""
    if source.file is None:
        return []
    return [Path(found) for found in sorted(glob.glob(str(settings.path(source.file))))]  # noqa: PTH207


def without_values(error: duckdb.Error) -> str:
    """What DuckDB says, unless it may quote a value of the user's rows: then only the kind of error."""
    first = str(error).splitlines()[0]
    if isinstance(error, _ABOUT_SQL):
        return first
    line = re.search(r"CSV Error on Line: \d+", first)
    kind = first.partition(":")[0]
    return f"The rows cannot be read ({kind}{'' if line is None else ', ' + line[0]})."


def quoted(name: str) -> str:
    """A SQL identifier."""
    return '"' + name.replace('"', '""') + '"'


def literal(text: str) -> str:
    """A SQL text."""
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
    # Types are found from all rows of a text file, files of a glob are matched by column name; and since text is slow
    # to read, it is read once.
    made, options = ("VIEW", "") if reader == "read_parquet" else ("TABLE", ", sample_size=-1")
    read = f"{reader}({literal(str(path))}, union_by_name=true{options})"
    try:
        connection.execute(f"CREATE {made} {SCHEMA}.{quoted(name)} AS SELECT * FROM {read}")
    except duckdb.Error as error:
        # A Parquet file's rows are not read here: what is said is about the file.
        said = str(error).splitlines()[0] if made == "VIEW" else without_values(error)
        raise DataError(f"The file cannot be read: {said}", where=f"{where} = {path}", fix="Check the file.") from error


def _open_duckdb(
    connection: duckdb.DuckDBPyConnection, name: str, path: Path, source: SourceSettings, where: str
) -> None:
    if not path.exists():
        raise UsageError(f"There is no DuckDB file '{path}'.", where=where, fix="Correct the path.")
    catalog = _catalog(name)
    try:
        connection.execute(f"ATTACH {literal(str(path))} AS {quoted(catalog)} (READ_ONLY)")
        table = ".".join(quoted(part) for part in str(source.table).split("."))
        connection.execute(f"CREATE VIEW {SCHEMA}.{quoted(name)} AS SELECT * FROM {quoted(catalog)}.{table}")
    except duckdb.Error as error:
        raise UsageError(without_values(error), where=where, fix="Name an existing table of that file.") from error


def _catalog(name: str) -> str:
    return f"attached_{name}"


def _postgres_type(code: int, precision: int | None, scale: int | None) -> str:
    if code != _NUMERIC:
        return _POSTGRES_TYPES.get(code, "VARCHAR")
    if precision is None or scale is None or not 0 <= scale <= precision <= _WIDEST_DECIMAL:
        return "DOUBLE"
    return f"DECIMAL({precision},{scale})"


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
            # The server's own settings decide how COPY writes moments and letters.
            cursor.execute("SET DateStyle TO ISO; SET TimeZone TO 'UTC'; SET client_encoding TO 'UTF8'")
            cursor.execute(sql.SQL("SELECT * FROM {} LIMIT 0").format(table))
            columns = {
                column.name: _postgres_type(column.type_code, column.precision, column.scale)
                for column in cursor.description or ()
            }
            statement = sql.SQL("COPY (SELECT * FROM {}) TO STDOUT (FORMAT csv, HEADER, FORCE_QUOTE *)").format(table)
            with cursor.copy(statement) as blocks:
                for block in blocks:
                    copy.write(block)
            copy.flush()
            types = ", ".join(f"{literal(column)}: {literal(kind)}" for column, kind in columns.items())
            connection.execute(
                f"CREATE TABLE {SCHEMA}.{quoted(name)} AS SELECT * FROM read_csv({literal(copy.name)}, header=true, "
                # Only an unquoted empty field is NULL: PostgreSQL quotes every value it has.
                f"quote='\"', escape='\"', delim=',', allow_quoted_nulls=false, columns={{{types}}})"
            )
    except psycopg.Error as error:
        # The connection string may hold a password: neither it nor the driver's echo of it is repeated.
        raise UsageError(
            f"PostgreSQL did not answer with table '{source.table}' ({type(error).__name__}).",
            where=where,
            fix="Check address, user, password and table name.",
        ) from None
    except duckdb.Error as error:
        raise DataError(
            without_values(error), where=where, fix="Convert the column with a view in the database."
        ) from error
