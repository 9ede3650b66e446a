"""A snapshot's rows into the online tables: beside the old ones, then one transaction that switches."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, func, insert, select, text

from features.engine.build import ROW_GROUP
from features.engine.online_lock import load_lock
from features.engine.online_tables import CURRENT, FEATURES, HISTORIES, LAYOUT, METADATA, SNAPSHOTS, Row, RowLayout
from features.engine.snapshot import Snapshot
from kernel.errors import DataError
from kernel.sql import writing

TOGETHER = ROW_GROUP  # rows of one transaction: SQLite's write-ahead log stays small, and a crash loses little time
_SWITCH = text(
    "INSERT INTO online_current (project, number) VALUES (:project, :number) "
    "ON CONFLICT (project) DO UPDATE SET number = excluded.number"
)
_DELETES = tuple(
    text(
        f"DELETE FROM {table.name} WHERE snapshot = :number AND customer_id IN "
        f"(SELECT customer_id FROM {table.name} WHERE snapshot = :number ORDER BY customer_id LIMIT {TOGETHER})"
    )
    for table in (FEATURES, HISTORIES)
)
_INSERT = "INSERT INTO online_features (snapshot, customer_id, consent, numbers, words) VALUES (?, ?, ?, ?, ?)"
_COPY = "COPY online_features (snapshot, customer_id, consent, numbers, words) FROM STDIN (FORMAT BINARY)"


@dataclass(frozen=True)
class Load:
    """Loads into one database for one project; ``file`` is SQLite's, None for PostgreSQL."""

    engine: Engine
    project: str
    file: Path | None
    wait_seconds: float
    say: Callable[[str], None]

    def run(
        self,
        snapshot: Snapshot,
        layout: RowLayout,
        advance: Callable[[int], None],
        histories: Iterable[tuple[str, bytes]] = (),
    ) -> None:
        """Load, switch, delete the old rows; nothing to do where the snapshot is in service already.

        Args:
            histories: customer_id and packed history, read only if there is something to do.

        Raises:
            BusyError: another load did not end in time.
            DataError: the snapshot's file has not the rows that its manifest says, or a row that the database refuses.
        """
        with load_lock(self.engine, self.project, self.file, wait_seconds=self.wait_seconds, say=self.say):
            METADATA.create_all(self.engine)
            current = self._current()
            self._sweep(current)  # what an interrupted load left
            if current is not None and self._name(current) == snapshot.id:
                return
            number = self._begin(snapshot, layout)
            loaded = 0
            for batch in snapshot.batches(TOGETHER):
                self._add(number, layout.pack(batch))
                loaded += batch.num_rows
                advance(batch.num_rows)
            if loaded != snapshot.manifest.customers:
                raise DataError(
                    f"The snapshot has {loaded:,} customers, and its manifest says {snapshot.manifest.customers:,}.",
                    where=f"snapshot {snapshot.id}",
                    fix="Delete its folder and build it again.",
                )
            for some in _some_at_once(histories):
                rows = [{"snapshot": number, "customer_id": name, "content": content} for name, content in some]
                with writing(self.engine) as connection:
                    connection.execute(insert(HISTORIES), rows)
            with writing(self.engine) as connection:
                connection.execute(_SWITCH, {"project": self.project, "number": number})
            self._sweep(number)

    def _current(self) -> int | None:
        with self.engine.connect() as connection:
            return connection.execute(
                select(CURRENT.c.number).where(CURRENT.c.project == self.project)
            ).scalar_one_or_none()

    def _name(self, number: int) -> str | None:
        with self.engine.connect() as connection:
            found = connection.execute(select(SNAPSHOTS.c.snapshot_id).where(SNAPSHOTS.c.number == number))
            return found.scalar_one_or_none()

    def _begin(self, snapshot: Snapshot, layout: RowLayout) -> int:
        row = {
            "project": self.project,
            "snapshot_id": snapshot.id,
            "layout": LAYOUT,
            "content": layout.content(snapshot.manifest),
        }
        with writing(self.engine) as connection:
            return connection.execute(insert(SNAPSHOTS).returning(SNAPSHOTS.c.number), row).scalar_one()

    def _add(self, number: int, rows: Sequence[Row]) -> None:
        with writing(self.engine) as connection:
            if self.engine.dialect.name == "postgresql":
                _copy(connection, number, rows)
            else:
                connection.exec_driver_sql(_INSERT, [(number, *row) for row in rows])

    def _sweep(self, keep: int | None) -> None:
        """Remove every snapshot of the project but one; its entry goes last, so that nothing is forgotten."""
        with self.engine.connect() as connection:
            numbers = connection.execute(select(SNAPSHOTS.c.number).where(SNAPSHOTS.c.project == self.project))
            old = [number for number in numbers.scalars() if number != keep]
        for number in old:
            for delete in _DELETES:
                rows = 1
                while rows:
                    with writing(self.engine) as connection:
                        rows = connection.execute(delete, {"number": number}).rowcount
            with writing(self.engine) as connection:
                connection.execute(SNAPSHOTS.delete().where(SNAPSHOTS.c.number == number))


def _some_at_once(histories: Iterable[tuple[str, bytes]]) -> Iterator[list[tuple[str, bytes]]]:
    rest = iter(histories)
    while some := list(islice(rest, TOGETHER)):
        yield some


def stored_rows(engine: Engine) -> int:
    """How many rows of features there are, of all snapshots and projects."""
    with engine.connect() as connection:
        return connection.execute(select(func.count()).select_from(FEATURES)).scalar_one()


def _copy(connection: Connection, number: int, rows: Sequence[Row]) -> None:
    import psycopg

    driver: Any = connection.connection.driver_connection
    try:
        with driver.cursor() as cursor, cursor.copy(_COPY) as copy:
            copy.set_types(["int8", "text", "bool", "bytea", "text"])
            for row in rows:
                copy.write_row((number, *row))
    except psycopg.DataError:
        # The driver would repeat the row.
        raise DataError(
            "PostgreSQL refuses a row, most likely for a zero character in an id or a word.",
            where="online store",
            fix="Remove such characters in the mapping, for example with replace().",
        ) from None
