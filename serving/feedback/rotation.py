"""Old decisions and their feedback leave the database for Parquet files, where training still finds them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import Connection, Select, bindparam, delete, func, or_, select

from kernel.clock import iso
from kernel.direct_sql import Prepared, as_list, listed
from kernel.errors import UsageError
from serving.decisioning.catalogue import Catalogue
from serving.feedback.archive import Archive, ArchivedMonth, Rows
from serving.feedback.store import DecisionStore
from serving.feedback.tables import DECISIONS, FEEDBACK
from serving.feedback.writer import Group

_AT_ONCE = 1_000  # rows of one short transaction: the service goes on meanwhile


@dataclass(frozen=True, slots=True)
class Rotated:
    """What was moved: rows of each table, and the months, such as ``2026-01``."""

    months: tuple[str, ...]
    decisions: int
    feedback: int


def least_days(catalogue: Catalogue | None) -> int:
    """So many days decisions and feedback must stay in the database: the longest window in which an outcome is reported
    or a contact counts."""
    if catalogue is None:
        return 0
    offerable = (*catalogue.mandatory, *catalogue.actions)
    windows = [action.outcome.window_days for action in catalogue.actions]
    windows += [action.cooldown_days or 0 for action in offerable]
    windows += [rule.window_days + rule.for_days for action in offerable for rule in action.suppress]
    windows += [limit.window_days for limit in catalogue.limits]
    windows += [catalogue.fatigue.window_days] if catalogue.fatigue is not None else []
    return max(windows, default=0)


def rotate(
    store: DecisionStore, archive: Archive, older_than_days: int, catalogue: Catalogue | None, now: datetime
) -> Rotated:
    """Move the whole months that ended ``older_than_days`` before ``now``, as far as nothing was reported since.

    A decision of which something was reported later stays. A move that is killed, at any moment, is ended by the next;
    before, meanwhile and afterwards :func:`serving.feedback.history.read_history` finds every row once. The sums by
    which budgets and capacities go stay.

    Raises:
        UsageError: the catalogue asks for a longer window.
        StoreUnavailableError: the database does not answer; what was moved so far counts.
    """
    least = least_days(catalogue)
    if older_than_days < least:
        raise UsageError(
            f"The catalogue looks back {least} days: what is younger cannot leave the database.",
            where="--older-than-days",
            fix=f"Give {least} or more.",
        )
    for unfinished in archive.months():
        if not unfinished.left_database:
            _leave(store, archive, unfinished)
    day = (now - timedelta(days=older_than_days)).astimezone(UTC)
    end = datetime(day.year, day.month, 1, tzinfo=UTC)
    moved: list[ArchivedMonth] = []
    while (month := _oldest(store, end)) is not None:
        moved.append(_move(store, archive, month, end))
    return Rotated(
        tuple(one.month for one in moved),
        sum(one.decisions.rows for one in moved),
        sum(one.feedback.rows for one in moved),
    )


def _closed(end: object) -> Select[str]:
    """Decisions before ``end`` of which nothing was reported from then on."""
    reported = select(FEEDBACK.c.decision_id).where(
        FEEDBACK.c.decision_id == DECISIONS.c.decision_id,
        or_(FEEDBACK.c.received_at >= end, FEEDBACK.c.event_time >= end),
    )
    return select(DECISIONS.c.decision_id).where(DECISIONS.c.logged_at < end, ~reported.exists())


def _oldest(store: DecisionStore, end: datetime) -> datetime | None:
    with store.reading() as connection:
        first = connection.execute(_closed(end).with_only_columns(func.min(DECISIONS.c.logged_at))).scalar_one()
    return None if first is None else datetime(first.year, first.month, 1, tzinfo=UTC)


def _move(store: DecisionStore, archive: Archive, month: datetime, end: datetime) -> ArchivedMonth:
    after = (month + timedelta(days=31)).replace(day=1)
    those = _closed(end).where(DECISIONS.c.logged_at >= month, DECISIONS.c.logged_at < after)
    with store.reading() as connection:
        decisions = select(DECISIONS).where(DECISIONS.c.decision_id.in_(those)).order_by("logged_at", "decision_id")
        feedback = select(FEEDBACK).where(FEEDBACK.c.decision_id.in_(those)).order_by("received_at", "event_id")
        added = archive.add(f"{month:%Y-%m}", iso(end), _rows(connection, decisions), _rows(connection, feedback))
    _leave(store, archive, added)
    return added


def _rows(connection: Connection, query: Select[*tuple[object, ...]]) -> Iterator[Rows]:
    for batch in connection.execution_options(stream_results=True).execute(query).partitions(_AT_ONCE):
        yield [tuple(row) for row in batch]


def _leave(store: DecisionStore, archive: Archive, month: ArchivedMonth) -> None:
    """Delete what is in the archive; what was reported of meanwhile stays, and is told apart by its id."""
    end = datetime.fromisoformat(month.closed_before)
    names = [row["decision_id"] for row in archive.read(month.decisions, DECISIONS)]
    for first in range(0, len(names), _AT_ONCE):
        some = names[first : first + _AT_ONCE]
        store.write(lambda group, some=some: _delete(store, group, some, end)).result()
    archive.has_left(month)


def _delete(store: DecisionStore, group: Group, names: Sequence[str], end: datetime) -> None:
    dialect = store.dialect
    # Locked, so that no feedback comes in between (PostgreSQL; SQLite has one writer anyway).
    locked = select(DECISIONS.c.decision_id).where(DECISIONS.c.decision_id.in_(listed("names", dialect)))
    group.sql.rows(Prepared(locked.with_for_update(), dialect), {"names": as_list(names)})
    still = _closed(bindparam("end", type_=DECISIONS.c.logged_at.type))
    closed = group.sql.rows(
        Prepared(still.where(DECISIONS.c.decision_id.in_(listed("names", dialect))), dialect),
        {"names": as_list(names), "end": end},
    )
    for table in (FEEDBACK, DECISIONS):
        gone = table.c.decision_id.in_(listed("names", dialect))
        group.sql.write(Prepared(delete(table).where(gone), dialect), {"names": as_list(name for (name,) in closed)})
