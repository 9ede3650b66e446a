"""The embedded DuckDB that holds the semantic tables: in memory, or in a scratch file where memory is limited."""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import tempfile
import weakref
from pathlib import Path
from typing import IO

import duckdb

from kernel.errors import UsageError
from kernel.settings import Settings

_PREFIX, _LOCK = "duckdb-", "lock"
_MOST_IDLE = 8
_IDLE: list[tuple[int, duckdb.DuckDBPyConnection]] = []  # process and database; append and pop are atomic


# Whatever was made, by the contract or on top of it: nothing of one request may reach another.
_EVERYTHING = (
    "SELECT 'DROP SCHEMA ' || schema_name || ' CASCADE' FROM duckdb_schemas() "
    "WHERE NOT internal AND schema_name <> 'main' AND database_name = current_database() "
    "UNION ALL SELECT 'DROP TABLE ' || table_name || ' CASCADE' FROM duckdb_tables() "
    "WHERE schema_name = 'main' AND NOT temporary AND database_name = current_database() "
    "UNION ALL SELECT 'DROP TYPE ' || type_name FROM duckdb_types() "
    "WHERE NOT internal AND schema_name = 'main' AND database_name = current_database()"
)


class Scratch:
    """A folder of one process: removed when it is closed, or forgotten, or when the process ends.

    A killed process cannot remove its folder; the next one that opens a scratch beside it does, since a lock on a file
    in the folder ends with its process.
    """

    def __init__(self, parent: Path) -> None:
        parent.mkdir(parents=True, exist_ok=True)
        _remove_abandoned(parent)
        self.folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=parent))
        # Locked before it has the name that others look for: nobody can take the folder for an abandoned one.
        lock = (self.folder / f".{_LOCK}").open("w")
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        (self.folder / f".{_LOCK}").rename(self.folder / _LOCK)
        self._remove = weakref.finalize(self, _remove, self.folder, lock)

    def close(self) -> None:
        """Remove the folder."""
        self._remove()


def open_database(settings: Settings) -> tuple[duckdb.DuckDBPyConnection, Scratch]:
    """The database of a project, as ``[engine]`` says, and the scratch folder that it uses.

    Raises:
        UsageError: the temporary folder cannot be written.
    """
    engine, config = settings.engine, _config(settings)
    # Always said: DuckDB's own choice, once memory is short, is a folder in the directory where the command was given.
    if engine.memory_limit is None and engine.temp_folder is None:
        scratch = Scratch(Path(tempfile.gettempdir()) / f"foresight-{os.getuid()}")
        return _connected(":memory:", config | {"temp_directory": str(scratch.folder / "spill")}), scratch
    try:
        scratch = Scratch(settings.temp_folder)
    except OSError as error:
        raise UsageError(
            f"The temporary folder cannot be written ({type(error).__name__}).",
            where=f"{settings.file}: engine.temp_folder = {settings.temp_folder}",
            fix="Name a folder that this user may write to.",
        ) from error
    config["temp_directory"] = str(scratch.folder / "spill")
    if engine.memory_limit is None:
        return _connected(":memory:", config), scratch
    config["memory_limit"] = engine.memory_limit
    # Tables in a file are compressed and read in blocks: larger ones than memory are no problem.
    return _connected(str(scratch.folder / "profiles.duckdb"), config), scratch


def connected(file: Path, settings: Settings) -> duckdb.DuckDBPyConnection:
    """A database that is kept in a file, with the limits of ``[engine]``."""
    config = _config(settings)
    if settings.engine.memory_limit is not None:
        config["memory_limit"] = settings.engine.memory_limit
    return _connected(str(file), config)


def _config(settings: Settings) -> dict[str, str | bool | int | float | list[str]]:
    return {} if settings.engine.threads is None else {"threads": settings.engine.threads}


class RequestDatabase:
    """A small database for the history in a request.

    To open one takes longer than to compute all features of a customer, so that a closed one is emptied and used again;
    whoever keeps its connection finds it closed.
    """

    def __init__(self) -> None:
        base = _idle_database()
        self._base: duckdb.DuckDBPyConnection | None = base
        self.connection = base.cursor()

    def close(self) -> None:
        """Empty it, and let the next request have it; a second time it does nothing."""
        base, self._base = self._base, None
        if base is None:
            return
        self.connection.close()
        with contextlib.suppress(duckdb.Error):  # then it is not used again
            for statement in base.execute(_EVERYTHING).fetchall():
                base.execute(statement[0])
            if len(_IDLE) < _MOST_IDLE:
                _IDLE.append((os.getpid(), base))


def _idle_database() -> duckdb.DuckDBPyConnection:
    # Those of a parent process are not ours: a fork copies them, but not the threads that serve them.
    with contextlib.suppress(IndexError):
        while True:
            process, connection = _IDLE.pop()
            if process == os.getpid():
                return connection
    return _connected(":memory:", {"threads": 1})


def _connected(place: str, config: dict[str, str | bool | int | float | list[str]]) -> duckdb.DuckDBPyConnection:
    connection = duckdb.connect(place, config=config)
    # No number depends on the order of rows; to keep it costs memory and time.
    connection.execute("SET GLOBAL TimeZone = 'UTC'; SET GLOBAL preserve_insertion_order = false")
    with contextlib.suppress(duckdb.InvalidInputException):  # a notebook without widgets has no bar to switch off
        connection.execute("SET enable_progress_bar = false")
    return connection


def _remove(folder: Path, lock: IO[str]) -> None:
    shutil.rmtree(folder, ignore_errors=True)
    lock.close()


def _remove_abandoned(parent: Path) -> None:
    for lock in parent.glob(f"{_PREFIX}*/{_LOCK}"):
        with contextlib.suppress(OSError), lock.open("w") as held:
            fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(lock.parent, ignore_errors=True)
