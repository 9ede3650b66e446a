"""The decision log as tables, for training and for judging policies."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pandas as pd
from sqlalchemy import Connection, Table, select

from kernel.settings import Settings
from serving.decisioning.contact_policy import RULED
from serving.feedback.archive import Archive, ArchivedFile
from serving.feedback.store import DecisionStore
from serving.feedback.tables import DECISIONS, FEEDBACK


@dataclass(frozen=True)
class History:
    """What was decided and what was reported back, as it was known at a moment.

    Attributes:
        decisions: one row each, by time: decision_id, customer_id, as_of, logged_at (moments, UTC), chosen (None where
            nothing was decided), propensity (with which it was drawn), policy_version, mode (of the draw; see
            :class:`Decision`).
        probabilities: of every candidate of each decision, in the order of ``decisions``.
        values: expected incremental value of every candidate that was eligible and has one, in the same order.
        closed: actions that contact policy, a capacity or a budget kept from the customer, in the same order.
        feedback: one row per event, by arrival: decision_id, action, event, event_time, received_at (moments, UTC),
            value.
    """

    decisions: pd.DataFrame
    probabilities: list[Mapping[str, float]]
    values: list[Mapping[str, float]]
    closed: list[frozenset[str]]
    feedback: pd.DataFrame


_DECISION = ("decision_id", "customer_id", "as_of", "logged_at", "chosen", "propensity", "policy_version")
_EVENT = ("decision_id", "action", "event", "event_time", "received_at", "value")


def read_history(store: DecisionStore, until: datetime, archive: Archive | None = None) -> History:
    """All that the store, and the archive of what left it, had at ``until``.

    Raises:
        StoreUnavailableError: the database does not answer.
        DataError: a file of the archive is missing or was changed.
    """
    # The database first: what leaves it meanwhile is then found twice, and told apart by its id, and not missed.
    with store.reading() as connection:
        decided = _keyed(connection, DECISIONS, (*_DECISION, "content"), until)
        reported = _keyed(connection, FEEDBACK, _EVENT, until)
    if archive is not None:
        for month in archive.months():
            decided |= _archived(archive, month.decisions, DECISIONS, (*_DECISION, "content"), until)
            reported |= _archived(archive, month.feedback, FEEDBACK, _EVENT, until)
    rows, probabilities, values, closed = [], [], [], []
    for _, row in sorted(decided.items(), key=lambda one: (one[1][_DECISION.index("logged_at")], one[0])):
        content = orjson.loads(row[-1])
        rows.append((*row[:-1], content["mode"]))
        probabilities.append({one["action_id"]: one["probability"] for one in content["candidates"]})
        values.append(
            {
                one["action_id"]: one["expected_incremental_value"]
                for one in content["candidates"]
                if one["eligible"] and one["expected_incremental_value"] is not None
            }
        )
        closed.append(
            frozenset(
                one["action_id"]
                for one in content["candidates"]
                if any(code.startswith(RULED) for code in one["reason_codes"])
            )
        )
    events = [row for _, row in sorted(reported.items(), key=lambda one: (one[1][_EVENT.index("received_at")], one[0]))]
    return History(_table(rows, (*_DECISION, "mode")), probabilities, values, closed, _table(events, _EVENT))


def history_of(settings: Settings, until: datetime) -> History:
    """All that a project had logged at ``until``.

    Raises:
        StoreUnavailableError: the database does not answer.
        DataError: a file of the archive is missing or was changed.
    """
    store = DecisionStore(settings.state_url)
    try:
        return read_history(store, until, Archive(settings.log_archive))
    finally:
        store.close()


_Rows = dict[str, tuple[Any, ...]]
_KNOWN = {DECISIONS.name: ("decision_id", "logged_at"), FEEDBACK.name: ("event_id", "received_at")}
"""Table -> its key, and when a row was known."""


def _keyed(connection: Connection, table: Table, columns: Sequence[str], until: datetime) -> _Rows:
    key, known = _KNOWN[table.name]
    query = select(table.c[key], *(table.c[name] for name in columns)).where(table.c[known] <= until)
    return {row[0]: tuple(row[1:]) for row in connection.execute(query)}


def _archived(archive: Archive, file: ArchivedFile, table: Table, columns: Sequence[str], until: datetime) -> _Rows:
    key, known = _KNOWN[table.name]
    return {row[key]: tuple(row[name] for name in columns) for row in archive.read(file, table) if row[known] <= until}


def _table(rows: list[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    moments = {
        name: pd.to_datetime(frame[name], utc=True) for name in columns if name.endswith(("_at", "_of", "_time"))
    }
    return frame.assign(**moments)
