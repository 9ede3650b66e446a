"""One load at a time for each project: a file beside SQLite's, an advisory lock of PostgreSQL."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Connection, Engine, text

from features.engine.lock import Holder, locked, this_process, wait_for

_SPACE = 720_311_453  # any fixed number: advisory locks are named by two, shared by all programs of a database
_TRY = text("SELECT pg_try_advisory_lock(:space, :key)")
_GIVE_BACK = text("SELECT pg_advisory_unlock(:space, :key)")
_NAME = text("SELECT set_config('application_name', :name, false)")
# PostgreSQL shows the halves of a lock's name as unsigned numbers.
_WHO = text(
    "SELECT a.application_name, a.query_start FROM pg_locks AS l JOIN pg_stat_activity AS a USING (pid) "
    "WHERE l.locktype = 'advisory' AND l.granted AND l.classid = :space AND l.objid = :key"
)


@contextmanager
def load_lock(
    engine: Engine, project: str, file: Path | None, *, wait_seconds: float, say: Callable[[str], None]
) -> Generator[None]:
    """Hold the lock of a project's online values; it goes with the process, or with its connection.

    Args:
        engine: the database.
        project: whose values.
        file: SQLite's file; None for PostgreSQL.
        wait_seconds: how long to wait for another holder.
        say: is told once, when waiting begins.

    Raises:
        BusyError: it is still held then.
    """
    doing = "loading features"
    if file is not None:
        with locked(file.with_name(f"{file.name}.lock"), doing, wait_seconds=wait_seconds, say=say):
            yield
        return
    key = zlib.crc32(project.encode())
    names = {"space": _SPACE, "key": key - 2**32 if key >= 2**31 else key}
    with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.execute(_NAME, {"name": f"foresight, {this_process()}"[:63]})
        wait_for(
            lambda: bool(connection.execute(_TRY, names).scalar_one()),
            lambda: _holder(connection, doing, key),
            where="online store",
            wait_seconds=wait_seconds,
            say=say,
        )
        try:
            yield
        finally:
            connection.execute(_GIVE_BACK, names)


def _holder(connection: Connection, doing: str, key: int) -> str:
    row = connection.execute(_WHO, {"space": _SPACE, "key": key}).first()
    if row is None:
        return "another process"
    return str(Holder(doing, f"{row[1]:%Y-%m-%dT%H:%M:%SZ}", row[0].removeprefix("foresight, ")))
