"""The online store: one row per customer in SQL, for look-ups by id; SQLite embedded, PostgreSQL by URL.

A new snapshot's rows are written beside the old ones, one transaction switches, the old ones are deleted afterwards. A
look-up is one statement, so that all its rows are from one snapshot; an interrupted load leaves the old one in service
and is removed by the next.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pyarrow.parquet as pq
from sqlalchemy import Dialect, text
from sqlalchemy.exc import InterfaceError, OperationalError

from features.engine.lock import say_in_log
from features.engine.manifest import SnapshotManifest
from features.engine.online_load import Load
from features.engine.online_tables import LAYOUT, RowLayout
from features.engine.snapshot import Snapshot, StoredRows
from kernel.direct_sql import Prepared, Row, direct, driver_error
from kernel.errors import ForesightError, NotFoundError, UsageError
from kernel.settings import Settings
from kernel.sql import checked_url, open_sql, sqlite_file

_SETTING = "foresight.toml: state.online_url"
_PRAGMAS = {
    "page_size": "16384",  # a row of 250 features fits; only an empty file takes it
    "journal_mode": "WAL",
    "synchronous": "NORMAL",  # a power cut may undo the newest switch, never half of it
    "busy_timeout": "10000",
}
_LOOK_UP = (
    "SELECT c.number, f.customer_id, f.consent, f.numbers, f.words FROM online_current AS c "
    "LEFT JOIN online_features AS f ON f.snapshot = c.number AND f.customer_id {chosen} WHERE c.project = :project"
)
_ONE = text(_LOOK_UP.format(chosen="= :ids"))
_MANY = {
    "sqlite": text(_LOOK_UP.format(chosen="IN (SELECT value FROM json_each(:ids))")),
    "postgresql": text(_LOOK_UP.format(chosen="= ANY(:ids)")),
}
_HISTORY = text(
    "SELECT h.content FROM online_current AS c JOIN online_histories AS h ON h.snapshot = c.number "
    "WHERE c.project = :project AND h.customer_id = :id"
)
_NUMBER = text("SELECT number FROM online_current WHERE project = :project")
_CONTENT = text("SELECT layout, content FROM online_snapshots WHERE number = :number")


class _Statements:
    def __init__(self, dialect: Dialect) -> None:
        every = (_ONE, _MANY[dialect.name], _HISTORY, _NUMBER, _CONTENT)
        self.one, self.many, self.history, self.number, self.content = (Prepared(one, dialect) for one in every)


class OnlineUnavailableError(ForesightError):
    """The database of the online store does not answer."""

    def __init__(self) -> None:
        super().__init__(
            "The features cannot be read at the moment.",
            where="online store",
            fix="Try again; if it goes on, check the database of [state] online_url.",
        )


class OnlineStore:
    """The values of the snapshot in service (``StoredFeatures``); safe to use from several threads and processes."""

    def __init__(
        self, url: str, project: str, *, wait_seconds: float = 600, say: Callable[[str], None] = say_in_log
    ) -> None:
        """Nothing is opened or made before it is needed.

        Args:
            url: SQLite or PostgreSQL, as SQLAlchemy writes it; a file, not memory.
            project: several may share a database.
            wait_seconds: how long a load waits for another one to end.
            say: is told when it waits.

        Raises:
            UsageError: ``url`` names neither a SQLite file nor PostgreSQL.
        """
        self._url = checked_url(url, _SETTING)
        if self._url.get_backend_name() == "sqlite" and sqlite_file(self._url) is None:
            raise UsageError(
                "The online store needs a file: what is in memory is no other process's.",
                where=_SETTING,
                fix="Write sqlite:///path/to/file.db, or leave the setting out.",
            )
        self._engine = open_sql(self._url, pragmas=_PRAGMAS, connect_args={"connect_timeout": 5})
        self._statements = _Statements(self._engine.dialect)
        self.project = project
        self.file: Path | None = sqlite_file(self._url)
        self._wait_seconds = wait_seconds
        self._say = say
        self._known: dict[int, tuple[SnapshotManifest, RowLayout]] = {}

    @classmethod
    def of(cls, settings: Settings) -> OnlineStore:
        """The store that ``[state]`` describes."""
        return cls(settings.online_url, settings.project.name, wait_seconds=settings.state.lock_wait_seconds)

    def close(self) -> None:
        """Give every connection back."""
        self._engine.dispose()

    def __enter__(self) -> OnlineStore:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def current_id(self) -> str | None:
        """The name of the snapshot in service; None before the first."""
        found = self._current()
        return None if found is None else found[0].id

    def current_manifest(self) -> SnapshotManifest:
        """The manifest of the snapshot in service.

        Raises:
            NotFoundError: none was published yet.
            OnlineUnavailableError: the database does not answer.
        """
        found = self._current()
        if found is None:
            raise _nothing_yet()
        return found[0]

    def look_up(self, customer_ids: Sequence[str]) -> StoredRows:
        """The rows of these customers, each once and all from the snapshot in service, in the order of first mention.

        Raises:
            NotFoundError: none was published yet. An unknown id is no error: it has no row.
            OnlineUnavailableError: the database does not answer.
        """
        wanted = list(dict.fromkeys(customer_ids))
        while True:
            rows = self._ask(wanted)
            if not rows:
                raise _nothing_yet()
            known = self._described(rows[0][0])
            if known is not None:
                break  # else it was replaced between the two statements: ask again
        by_id = {row[1]: row[1:] for row in rows if row[1] is not None}
        manifest, layout = known
        return layout.unpack(manifest, [by_id[name] for name in wanted if name in by_id])

    def history(self, customer_id: str) -> bytes | None:
        """The customer's packed history (features.engine.histories) up to the as_of of the snapshot in service; None
        where none is stored.

        Raises:
            OnlineUnavailableError: the database does not answer.
        """
        found = self._rows(self._statements.history, {"project": self.project, "id": customer_id})
        return bytes(found[0][0]) if found else None

    def load(
        self,
        snapshot: Snapshot,
        *,
        histories: Iterable[tuple[str, bytes]] = (),
        advance: Callable[[int], None] = lambda rows: None,
    ) -> None:
        """Put a snapshot in service; the one that is there already is left as it is.

        Args:
            snapshot: complete, on disk.
            histories: of its customers, packed.
            advance: is told the number of rows after each transaction.

        Raises:
            BusyError: another load did not end in time.
            OnlineUnavailableError: the database does not answer; the old snapshot stays in service.
        """
        if self.current_id() == snapshot.id:
            return
        if self.file is not None:
            self.file.parent.mkdir(parents=True, exist_ok=True)
        layout = RowLayout.of(pq.read_schema(snapshot.file))
        with _unavailable_said():
            Load(self._engine, self.project, self.file, self._wait_seconds, self._say).run(
                snapshot, layout, advance, histories
            )

    def _current(self) -> tuple[SnapshotManifest, RowLayout] | None:
        while True:
            found = self._rows(self._statements.number, {"project": self.project})
            if not found:
                return None
            known = self._described(found[0][0])
            if known is not None:
                return known

    def _described(self, number: int) -> tuple[SnapshotManifest, RowLayout] | None:
        known = self._known.get(number)
        if known is None:
            found = self._rows(self._statements.content, {"number": number})
            if not found:
                return None
            layout, content = found[0]
            if layout != LAYOUT:
                raise NotFoundError(
                    f"The features in service are stored in layout {layout}, and this version reads {LAYOUT}.",
                    where="online store",
                    fix="Run foresight score again, and the service in the same version.",
                )
            # Nobody asks for a snapshot that was replaced: one is enough to remember.
            known = RowLayout.read(content)
            self._known = {number: known}
        return known

    def _ask(self, customer_ids: list[str]) -> Sequence[Any]:
        if len(customer_ids) == 1:
            return self._rows(self._statements.one, {"project": self.project, "ids": customer_ids[0]})
        ids = customer_ids if self._url.get_backend_name() == "postgresql" else orjson.dumps(customer_ids).decode()
        return self._rows(self._statements.many, {"project": self.project, "ids": ids})

    def _rows(self, statement: Prepared, parameters: dict[str, Any]) -> list[Row]:
        if self.file is not None and not self.file.exists():
            return []  # asking would make it
        try:
            with direct(self._engine) as look:
                return look.rows(statement, parameters)
        except driver_error(self._engine) as error:
            if _no_table(error):
                return []
            # The driver's message may repeat the statement with its values, so it goes no further.
            raise OnlineUnavailableError from None


def _nothing_yet() -> NotFoundError:
    return NotFoundError(
        "No customer has been scored yet, so that there are no features to look up.",
        where="online store",
        fix="Run foresight score first.",
    )


def _no_table(error: Exception) -> bool:
    return getattr(error, "sqlstate", None) == "42P01" or "no such table" in str(error)


@contextmanager
def _unavailable_said() -> Generator[None]:
    try:
        yield
    except (OperationalError, InterfaceError):
        # The driver's message may repeat the statement with its values, so it goes no further.
        raise OnlineUnavailableError from None
