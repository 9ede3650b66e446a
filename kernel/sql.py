"""SQL databases of the state: SQLite (one file, WAL) embedded, PostgreSQL by URL. Opened here, for every store."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, TypeDecorator, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kernel.errors import UsageError

_WRITES = "foresight_writes"


class UtcMoment(TypeDecorator[datetime]):
    """A moment in UTC; SQLite keeps no offset, so it is put back on the way out."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """To UTC; without an offset where the database cannot keep one."""
        if value is None:
            return None
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def process_result_value(self, value: Any | None, dialect: Dialect) -> datetime | None:
        """Always with the offset of UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)


def checked_url(url: str, where: str) -> URL:
    """The URL with the driver that is installed.

    Raises:
        UsageError: it names neither SQLite nor PostgreSQL; ``where`` is the setting that holds it.
    """
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _unusable(where) from error
    if parsed.get_backend_name() == "sqlite":
        return parsed
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise _unusable(where)


def sqlite_file(url: URL) -> Path | None:
    """The file of a SQLite URL; None for a database in memory, and for PostgreSQL."""
    if url.get_backend_name() != "sqlite" or not url.database or url.database == ":memory:":
        return None
    return Path(url.database)


def which_file(file: Path) -> tuple[int, int] | None:
    """What tells a file from another that takes its name later; None where there is none. An open connection goes on
    with the file that it opened, also when a backup was put in its place."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_dev, found.st_ino


def open_sql(url: URL, *, pragmas: Mapping[str, str], connect_args: Mapping[str, Any] | None = None) -> Engine:
    """An engine that has not connected yet.

    Args:
        url: of :func:`checked_url`.
        pragmas: what SQLite is told on every new connection, in this order.
        connect_args: for the PostgreSQL driver.
    """
    if url.get_backend_name() == "postgresql":
        # A server or role may write moments in a style that the driver does not read.
        given = {"options": "-c DateStyle=ISO", "connect_timeout": 5, **(connect_args or {})}
        return create_engine(url, pool_pre_ping=True, connect_args=given)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _prepare(connection: SqliteConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for name, value in pragmas.items():
            connection.execute(f"PRAGMA {name}={value}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine


def writing(engine: Engine) -> Any:
    """A transaction that will write: on SQLite it takes the write lock at once, so it cannot fail half-way."""
    return engine.execution_options(**{_WRITES: True}).begin()


def _unusable(where: str) -> UsageError:
    return UsageError(
        "The URL of the state database cannot be used.",
        where=where,
        fix="Write sqlite:///path/to/file.db or postgresql://user@host/database.",
    )
