"""The decision log as tables, for training and for judging policies."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

import orjson
import pandas as pd
from sqlalchemy import select

from serving.decisioning.contact_policy import RULED
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


def read_history(store: DecisionStore, until: datetime) -> History:
    """All that the store had at ``until``.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    decided = (
        select(*(DECISIONS.c[name] for name in _DECISION), DECISIONS.c.content)
        .where(DECISIONS.c.logged_at <= until)
        .order_by(DECISIONS.c.logged_at, DECISIONS.c.decision_id)
    )
    reported = (
        select(*(FEEDBACK.c[name] for name in _EVENT))
        .where(FEEDBACK.c.received_at <= until)
        .order_by(FEEDBACK.c.received_at, FEEDBACK.c.event_id)
    )
    rows, probabilities, values, closed = [], [], [], []
    with store.reading() as connection:
        for row in connection.execute(decided):
            rows.append(tuple(row[:-1]))
            content = orjson.loads(row[-1])
            rows[-1] = (*rows[-1], content["mode"])
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
        events = [tuple(row) for row in connection.execute(reported)]
    return History(_table(rows, (*_DECISION, "mode")), probabilities, values, closed, _table(events, _EVENT))


def history_of(url: str, until: datetime) -> History:
    """All that the store at ``url`` had at ``until``.

    Raises:
        StoreUnavailableError: the database does not answer.
    """
    store = DecisionStore(url)
    try:
        return read_history(store, until)
    finally:
        store.close()


def _table(rows: list[tuple[object, ...]], columns: tuple[str, ...]) -> pd.DataFrame:
    frame = pd.DataFrame(rows, columns=list(columns), dtype=object)
    moments = {
        name: pd.to_datetime(frame[name], utc=True) for name in columns if name.endswith(("_at", "_of", "_time"))
    }
    return frame.assign(**moments)
