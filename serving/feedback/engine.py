"""The SQL database behind the store: SQLite (one file, WAL, every commit on disk) or PostgreSQL by URL."""

from __future__ import annotations

from sqlalchemy import URL, Engine, text

from kernel.sql import open_sql, sqlite_file, writing
from serving.feedback.tables import METADATA

_SCHEMA_LOCK = 7_203_114_529  # any fixed number: two workers must not create the tables at once
_PRAGMAS = {"journal_mode": "WAL", "synchronous": "FULL", "foreign_keys": "ON", "busy_timeout": "10000"}


def open_engine(url: URL) -> Engine:
    """Connect, and create the tables that are missing."""
    file = sqlite_file(url)
    if file is not None:
        file.parent.mkdir(parents=True, exist_ok=True)
    engine = open_sql(url, pragmas=_PRAGMAS)
    with writing(engine) as connection:
        if engine.dialect.name == "postgresql":
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _SCHEMA_LOCK})
        METADATA.create_all(connection)
    return engine
