"""The few statements of every request, on the driver beneath SQLAlchemy: their text is put together once.

What SQLAlchemy does for each execution (look its text up, wrap the result) takes several times what SQLite does for one
row.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager
from typing import Any

import orjson
from sqlalchemy import (
    JSON,
    Delete,
    Dialect,
    Engine,
    Insert,
    Select,
    SelectBase,
    Text,
    TextClause,
    TypeDecorator,
    bindparam,
    cast,
    column,
    func,
    select,
)

Row = tuple[Any, ...]
_Process = Callable[[Any], Any]


class Prepared:
    """A statement in the words of one kind of database, with what turns values into the driver's and back."""

    def __init__(
        self,
        statement: SelectBase | TextClause | Insert | Delete,
        dialect: Dialect,
        columns: Sequence[str] | None = None,
    ) -> None:
        """``columns``: that an insertion gives; its parameters have their names."""
        compiled: Any = statement.compile(dialect=dialect, column_keys=columns)
        self.text = str(compiled)
        self._positional = bool(compiled.positional)
        self._constants: dict[str, Any] = {
            name: bind.value for name, bind in compiled.binds.items() if bind.value is not None
        }
        self._binds: list[tuple[str, _Process | None]] = [
            (name, compiled.binds[name].type.dialect_impl(dialect).bind_processor(dialect))
            for name in (compiled.positiontup if self._positional else compiled.binds)
        ]
        selected: Iterable[Any] = statement.selected_columns if isinstance(statement, SelectBase) else ()
        # Only the tables' own types: whatever else is asked for, both drivers give as it is.
        self._columns: list[_Process | None] = [
            one.type.dialect_impl(dialect).result_processor(dialect, None)
            if isinstance(one.type, TypeDecorator)
            else None
            for one in selected
        ]

    def values(self, given: Mapping[str, Any]) -> tuple[Any, ...] | dict[str, Any]:
        """The parameters as the driver takes them."""
        known = {**self._constants, **given}
        if self._positional:
            return tuple([known[name] if turn is None else turn(known[name]) for name, turn in self._binds])
        return {name: known[name] if turn is None else turn(known[name]) for name, turn in self._binds}

    def read(self, rows: list[Row]) -> list[Row]:
        """Rows of the driver with the values of the tables' types."""
        if not any(self._columns):
            return rows
        return [
            tuple([value if turn is None else turn(value) for turn, value in zip(self._columns, row, strict=True)])
            for row in rows
        ]


class Direct:
    """Statements on the driver."""

    def __init__(self, cursor: Any) -> None:
        self._cursor = cursor

    def rows(self, statement: Prepared, given: Mapping[str, Any]) -> list[Row]:
        """What a query finds."""
        self._cursor.execute(statement.text, statement.values(given))
        return statement.read(self._cursor.fetchall())

    def write(self, statement: Prepared, given: Mapping[str, Any]) -> int:
        """How many rows were written."""
        self._cursor.execute(statement.text, statement.values(given))
        return int(self._cursor.rowcount)


@contextmanager
def direct(engine: Engine, *, writes: bool = False) -> Generator[Direct]:
    """One transaction that ``writes``: on disk at the end, undone by an error; SQLite takes the write lock at once. Or
    questions, each with the newest answer: a transaction around them is two more ways to a server and back.

    Raises:
        The driver's errors as they are; :func:`driver_error` names their base.
    """
    connection = engine.raw_connection()
    driver: Any = connection.dbapi_connection
    is_sqlite = engine.dialect.name == "sqlite"
    stands_alone = not writes and not is_sqlite  # SQLite's driver begins nothing by itself
    try:
        if stands_alone:
            driver.autocommit = True
        cursor = connection.cursor()
        if writes and is_sqlite:
            cursor.execute("BEGIN IMMEDIATE")
        yield Direct(cursor)
        if writes:
            connection.commit()
    except driver_error(engine):
        connection.invalidate()  # it may be gone, with the server or the file
        raise
    finally:
        if stands_alone and connection.is_valid:
            driver.autocommit = False
        connection.close()


def driver_error(engine: Engine) -> type[Exception]:
    """What all errors of the engine's driver are."""
    return engine.dialect.loaded_dbapi.Error


def listed(name: str, dialect: Dialect) -> Select[Any]:
    """The texts of the list that the parameter ``name`` holds as JSON (:func:`as_list`); for ``column.in_``."""
    given: Any = bindparam(name, type_=Text())
    if dialect.name == "sqlite":
        return select(func.json_each(given).table_valued(column("value", Text())).c.value)
    return select(func.json_array_elements_text(cast(given, JSON)))


def as_list(texts: Iterable[str]) -> str:
    """For a parameter that :func:`listed` reads."""
    return orjson.dumps(list(texts)).decode()
