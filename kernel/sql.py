"""SQL databases of the state: SQLite (one file, WAL) embedded, PostgreSQL by URL. Opened here, for every store."""

from __future__ import annotations

from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, DateTime, Dialect, Engine, TypeDecorator, create_engine, event, inspect
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError
from sqlalchemy.pool import NullPool

from kernel.errors import ForesightError, UsageError

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


def open_sql(
    url: URL, *, pragmas: Mapping[str, str], connect_args: Mapping[str, Any] | None = None, keep_open: bool = True
) -> Engine:
    """An engine that has not connected yet.

    Args:
        url: of :func:`checked_url`.
        pragmas: what SQLite is told on every new connection, in this order.
        connect_args: for the PostgreSQL driver.
        keep_open: whether a SQLite file stays open between uses.
    """
    if url.get_backend_name() == "postgresql":
        # A server or role may write moments in a style that the driver does not read.
        given = {"options": "-c DateStyle=ISO", **(connect_args or {})}
        return create_engine(url, pool_pre_ping=True, connect_args=given)
    engine = create_engine(url) if keep_open else create_engine(url, poolclass=NullPool)

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


class LazyDatabase:
    """A database that is opened when it is first asked, and that may not be there yet: what readers of a project's
    state have in common. Safe to use from several threads."""

    def __init__(self, url: str, pragmas: Mapping[str, str], unavailable: Callable[[], ForesightError]) -> None:
        """``unavailable``: what is raised when the database does not answer.

        Raises:
            UsageError: ``url`` names neither SQLite nor PostgreSQL.
        """
        self._url = checked_url(url, "foresight.toml: state.url")
        self._pragmas = pragmas
        self._unavailable = unavailable
        self._found = False

    def close(self) -> None:
        """Give every connection back."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    def _is_there(self, connection: Connection, table: str) -> bool:
        # A reader makes no table; once it is there it stays.
        self._found = self._found or inspect(connection).has_table(table)
        return self._found

    @cached_property
    def _engine(self) -> Engine:
        # A notebook opens many of these and closes none.
        return open_sql(self._url, pragmas=self._pragmas, keep_open=False)

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except DBAPIError:
            # The driver's message would repeat the statement with its customers, so it goes no further.
            raise self._unavailable() from None
