"""A database that is opened when it is first asked, and that may not be there yet."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from functools import cached_property
from typing import Any, ClassVar, Self

from sqlalchemy import Engine, text
from sqlalchemy.exc import SQLAlchemyError

from kernel.direct_sql import Direct, Prepared, direct, driver_error
from kernel.errors import ForesightError
from kernel.settings import Settings
from kernel.sql import checked_url, open_sql, sqlite_file, which_file

_NAMED = {
    "sqlite": "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = :name",
    "postgresql": "SELECT 1 WHERE to_regclass(:name) IS NOT NULL",
}
"""Finds the table of that name, where there is one; what SQLAlchemy has for it costs every answer a connection."""


class LazyDatabase:
    """What readers of a project's state have in common. Safe to use from several threads; connections stay open, a few
    at most, until it is closed or forgotten (a notebook opens many and closes none)."""

    def __init__(self, url: str, pragmas: Mapping[str, str], unavailable: Callable[[], ForesightError]) -> None:
        """``unavailable``: what is raised when the database does not answer.

        Raises:
            UsageError: ``url`` names neither SQLite nor PostgreSQL.
        """
        self._url = checked_url(url, "foresight.toml: state.url")
        self._file = sqlite_file(self._url)
        self._pragmas = pragmas
        self._unavailable = unavailable
        self._opened: tuple[int, int] | None = None
        self._tables: set[str] = set()

    def close(self) -> None:
        """Give every connection back."""
        if "_engine" in self.__dict__:
            self._engine.dispose()

    @cached_property
    def _engine(self) -> Engine:
        engine = open_sql(self._url, pragmas=self._pragmas)
        weakref.finalize(self, engine.dispose)
        return engine

    @contextmanager
    def _reading(self, table: str) -> Generator[Direct | None]:
        """One look at the database; None where it, or the table in it, is not there yet: a reader makes neither."""
        with self._told():
            if not self._has_database():
                yield None
                return
            with direct(self._engine) as look:
                yield look if self._has(look, table) else None

    @contextmanager
    def _told(self) -> Generator[None]:
        try:
            yield
        except SQLAlchemyError:
            # The driver's message would repeat the statement with its customers, so it goes no further.
            raise self._unavailable() from None
        except Exception as error:
            if isinstance(error, driver_error(self._engine)):
                raise self._unavailable() from None
            raise

    def _has_database(self) -> bool:
        if self._file is None:
            return True
        found = which_file(self._file)
        if found is not None and found != self._opened:
            self.close()
            self._tables.clear()
            self._opened = found
        return found is not None

    def _has(self, look: Direct, table: str) -> bool:
        if table not in self._tables and look.rows(self._named, {"name": table}):
            self._tables.add(table)  # once it is there it stays
        return table in self._tables

    @cached_property
    def _named(self) -> Prepared:
        dialect = self._engine.dialect
        return Prepared(text(_NAMED[dialect.name]), dialect)


class ProjectDatabase(LazyDatabase):
    """What one project keeps in the database of ``[state] url``, which several may share.

    Attributes:
        UNAVAILABLE: the error (of no arguments) that is raised when the database does not answer.
    """

    UNAVAILABLE: ClassVar[type[Any]]
    _PRAGMAS: ClassVar = {"journal_mode": "WAL", "synchronous": "NORMAL", "busy_timeout": "10000"}

    def __init__(self, url: str, project: str) -> None:
        """Nothing is opened or made before it is needed.

        Raises:
            UsageError: ``url`` names neither SQLite nor PostgreSQL.
        """
        super().__init__(url, self._PRAGMAS, self.UNAVAILABLE)
        self._project = project

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """That of a project."""
        return cls(settings.state_url, settings.project.name)
