"""A batch as a table of PostgreSQL: one transaction, so that readers see the old rows or the new ones, never a mixture.

Rows are replaced and not the table: rights, views and indexes that were put on it stay.
"""

from __future__ import annotations

import uuid
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, LiteralString

import pyarrow as pa
from sqlalchemy.engine import URL

from kernel.errors import ForesightError, UsageError
from kernel.sql import checked_url
from serving.batch_rows import csv_lines

if TYPE_CHECKING:
    from psycopg import Cursor, sql

_WHERE = "--out"
_OURS = "foresight batch "  # begins the comment of a table that this may empty
_NEW = "foresight_new"
_NULL = "\\N"
_COPY = "COPY {} FROM STDIN WITH (FORMAT csv, NULL '\\N')"


@dataclass(frozen=True)
class TableTarget:
    """A table: ``customer_id`` is its key, lists are jsonb.

    Attributes:
        url: of the database.
        table: its name, with or without a schema.
    """

    url: URL = field(repr=False)
    table: str

    @classmethod
    def of(cls, written: str) -> TableTarget:
        """The table that ``postgresql://user@host/database?table=name`` names.

        Raises:
            UsageError: no URL of PostgreSQL, or one without a table.
        """
        url = checked_url(written, _WHERE)
        table = url.query.get("table")
        if url.get_backend_name() != "postgresql" or not isinstance(table, str) or not all(table.split(".")):
            raise UsageError(
                "The URL names no table of PostgreSQL.",
                where=_WHERE,
                fix="Write postgresql://user@host/database?table=name, or schema.name.",
            )
        return cls(url.set(drivername="postgresql").difference_update_query(["table"]), table)

    @property
    def name(self) -> str:
        """Table, database and host."""
        return f"table {self.table} of {self.url.database} on {self.url.host or 'this machine'}"

    @property
    def readers(self) -> str:
        """Those of the table."""
        return self.name

    def stamp(self) -> str | None:
        """The comment that the last writing gave the table."""
        with self._cursor() as cursor:
            return self._comment(cursor)

    @contextmanager
    def writing(self, schema: pa.Schema, *, gone: Sequence[str] | None = None) -> Generator[_Copying]:
        """Into a table of this session, and from there in one transaction."""
        from psycopg import sql

        columns = sql.SQL(", ").join(
            sql.SQL("{} {}").format(sql.Identifier(one.name), sql.SQL(_type(one.type))) for one in schema
        )
        with self._cursor() as cursor:
            cursor.execute(
                sql.SQL("CREATE TEMPORARY TABLE {} ({}) ON COMMIT DROP").format(sql.Identifier(_NEW), columns)
            )
            yield _Copying(cursor)
            self._make_ready(cursor, schema, columns)
            if gone is None:
                cursor.execute(sql.SQL("DELETE FROM {}").format(self._table))
            else:
                of_some = "DELETE FROM {} WHERE customer_id = ANY(%s) OR customer_id IN (SELECT customer_id FROM {})"
                cursor.execute(sql.SQL(of_some).format(self._table, sql.Identifier(_NEW)), [list(gone)])
            names = sql.SQL(", ").join(sql.Identifier(name) for name in schema.names)
            insert = sql.SQL("INSERT INTO {} ({}) SELECT {} FROM {} ORDER BY customer_id")
            cursor.execute(insert.format(self._table, names, names, sql.Identifier(_NEW)))
            comment = sql.SQL("COMMENT ON TABLE {} IS {}")
            cursor.execute(comment.format(self._table, sql.Literal(_OURS + str(uuid.uuid4()))))

    def _make_ready(self, cursor: Cursor[Any], schema: pa.Schema, columns: sql.Composed) -> None:
        """Make the table, or give an older one the columns that it lacks; one writer at a time from here."""
        from psycopg import sql

        make = sql.SQL("CREATE TABLE IF NOT EXISTS {} ({}, PRIMARY KEY (customer_id))")
        is_there = cursor.execute("SELECT to_regclass(%s)", [self._table.as_string()]).fetchone() != (None,)
        if not is_there:
            cursor.execute(make.format(self._table, columns))
        elif not (self._comment(cursor) or "").startswith(_OURS):
            raise UsageError(
                f"The {self.name} was not made by foresight; its rows would be lost.",
                where=_WHERE,
                fix="Name another table, or drop that one.",
            )
        cursor.execute(sql.SQL("LOCK TABLE {} IN SHARE ROW EXCLUSIVE MODE").format(self._table))
        for one in schema:
            add = sql.SQL("ALTER TABLE {} ADD COLUMN IF NOT EXISTS {} {}")
            cursor.execute(add.format(self._table, sql.Identifier(one.name), sql.SQL(_type(one.type))))

    def _comment(self, cursor: Cursor[Any]) -> str | None:
        found = cursor.execute(
            "SELECT obj_description(to_regclass(%s), 'pg_class')", [self._table.as_string()]
        ).fetchone()
        return None if found is None else found[0]

    @property
    def _table(self) -> sql.Identifier:
        from psycopg import sql

        return sql.Identifier(*self.table.split("."))

    @contextmanager
    def _cursor(self) -> Generator[Cursor[Any]]:
        """One transaction, which ends with the block."""
        import psycopg

        address = self.url.render_as_string(hide_password=False)
        try:
            with psycopg.connect(address, connect_timeout=10) as connection, connection.cursor() as cursor:
                yield cursor
        except psycopg.Error as error:
            # The driver's message may hold the address with its password, or values of rows.
            raise ForesightError(
                f"PostgreSQL did not take the rows ({type(error).__name__}).",
                where=self.name,
                fix="Check address, user, password and rights; the server's log says more. The old rows are there.",
            ) from None


@dataclass(frozen=True)
class _Copying:
    cursor: Cursor[Any]

    def add(self, table: pa.Table) -> None:
        from psycopg import sql

        with self.cursor.copy(sql.SQL(_COPY).format(sql.Identifier(_NEW))) as copy:
            copy.write(csv_lines(table, _NULL))


def _type(kind: pa.DataType) -> LiteralString:
    if pa.types.is_list(kind):
        return "jsonb"
    if pa.types.is_timestamp(kind):
        return "timestamptz"
    if pa.types.is_date(kind):
        return "date"
    if pa.types.is_boolean(kind):
        return "boolean"
    if pa.types.is_integer(kind):
        return "bigint"
    return "double precision" if pa.types.is_floating(kind) else "text"
