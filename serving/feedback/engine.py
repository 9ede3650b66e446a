"""The SQL database behind the store: SQLite (one file, WAL, every commit on disk) or PostgreSQL by URL."""

from __future__ import annotations

from pathlib import Path
from sqlite3 import Connection as SqliteConnection
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kernel.errors import UsageError
from serving.feedback.tables import METADATA

_WRITES = "foresight_writes"
_SCHEMA_LOCK = 7_203_114_529  # any fixed number: two workers must not create the tables at once


def open_engine(url: str) -> Engine:
    """Connect, and create the tables that are missing.

    Raises:
        UsageError: ``url`` names neither SQLite nor PostgreSQL.
    """
    engine = _create(_checked(url))
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        METADATA.create_all(connection)
    return engine


def writing(engine: Engine) -> Any:
    """A transaction that will write: on SQLite it takes the write lock at once, so it cannot fail half-way."""
    return engine.execution_options(**{_WRITES: True}).begin()


def _checked(url: str) -> URL:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _unusable() from error
    if parsed.get_backend_name() == "sqlite":
        if parsed.database and parsed.database != ":memory:":
            Path(parsed.database).parent.mkdir(parents=True, exist_ok=True)
        return parsed
    if parsed.get_backend_name() == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    raise _unusable()


def _unusable() -> UsageError:
    return UsageError(
        "The URL of the state database cannot be used.",
        where="foresight.toml: state.url",
        fix="Write sqlite:///path/to/file.db or postgresql://user@host/database.",
    )


def _create(url: URL) -> Engine:
    if url.get_backend_name() == "postgresql":
        return create_engine(url, pool_pre_ping=True)
    engine = create_engine(url)

    @event.listens_for(engine, "connect")
    def _durable(connection: SqliteConnection, _record: object) -> None:  # pyright: ignore[reportUnusedFunction]
        connection.isolation_level = None  # transactions are begun below, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "busy_timeout=10000"):
            connection.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:  # pyright: ignore[reportUnusedFunction]
        writes = connection.get_execution_options().get(_WRITES, False)
        connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    return engine
