"""Logged decisions and what followed them as randomised trials: who got what, with which probability, and what came."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.part import Floats

NOTHING = "do_nothing"
NOT_DRAWN = ("mandatory", "holdout")  # modes of decisions that no policy drew: nothing can be learned of them
_EARLY = timedelta(hours=1)  # clocks of the CRM and of the service may differ by so much


@dataclass(frozen=True)
class LearnableOutcome:
    """An outcome of the catalogue, and the actions that are meant to bring it about.

    Attributes:
        name: in the catalogue.
        kind: "binary": it happens or not; "value": money.
        window_days: within which it counts, from the decision on.
        actions: their ids.
        measured_by: "feedback": what was reported; "purchases": what the customer bought.
    """

    name: str
    kind: Literal["binary", "value"]
    window_days: int
    actions: tuple[str, ...]
    measured_by: Literal["feedback", "purchases"] = "feedback"


@dataclass(frozen=True)
class DecisionLog:
    """What was decided, and what was reported back.

    Attributes:
        decisions: one row each: decision_id, customer_id, as_of, logged_at (moments, UTC), chosen, mode.
        probabilities: of every candidate of each decision, in the order of ``decisions``.
        feedback: one row per event: decision_id, action, event, event_time, received_at (moments, UTC), value.
    """

    decisions: pd.DataFrame
    probabilities: Sequence[Mapping[str, float]]
    feedback: pd.DataFrame


@dataclass(frozen=True)
class Purchases:
    """What customers bought after decisions about them.

    Attributes:
        lines: one row per line and decision: decision_id, amount (negative for a return), event_time, received_at
            (when it could be known; moments, UTC).
        until: the end of the tables, UTC: of what comes later nothing can be said.
    """

    lines: pd.DataFrame
    until: datetime


@dataclass(frozen=True)
class Delays:
    """How long outcomes of matured decisions took until they were known.

    Attributes:
        days: from the decision on, of each outcome, shape (outcomes,).
        weight: 1, or its money, shape (outcomes,).
    """

    days: Floats
    weight: Floats


@dataclass(frozen=True)
class Waiting:
    """Decisions about one outcome whose window is not over.

    Attributes:
        customer: whose, shape (rows,).
        arm: 0 for doing nothing, else 1 + the place of the action, shape (rows,).
        probability: of each arm given that one of them was drawn, shape (rows, 1 + actions).
        outcome: what has come so far, shape (rows,).
        age: days since the decision, shape (rows,).
    """

    customer: NDArray[np.object_]
    arm: NDArray[np.int64]
    probability: Floats
    outcome: Floats
    age: Floats


@dataclass(frozen=True)
class Matured:
    """Decisions about one outcome that have had their time.

    Attributes:
        decisions: rows of the log; one customer's windows do not overlap.
        arm: 0 for doing nothing, else 1 + the place of the action, shape (rows,).
        probability: of each arm given that one of them was drawn, shape (rows, 1 + actions).
        outcome: 1.0 or 0.0, or money, shape (rows,).
        delays: of these outcomes.
        waiting: decisions whose window is not over.
        unripe: those of them that lie in no earlier one's window.
        beyond: decisions whose window would be over, but the tables end before.
        early: events that lie before their decision, which were left out.
    """

    decisions: pd.DataFrame
    arm: NDArray[np.int64]
    probability: Floats
    outcome: Floats
    delays: Delays
    waiting: int
    unripe: Waiting
    beyond: int
    early: int


def matured(log: DecisionLog, of: LearnableOutcome, now: datetime, bought: Purchases | None = None) -> Matured:
    """The decisions to do nothing or one of the outcome's actions whose window is over at ``now``.

    A label that is not ripe is left out, never counted as nothing. What was received after ``now`` is not known yet.
    Of decisions about a customer in another's window only the first counts: the outcome could be either's. Mandatory
    and held-out ones were not drawn, and are left out.

    Args:
        bought: for an outcome measured by purchases; feedback is not asked then.
    """
    arms = {name: number for number, name in enumerate((NOTHING, *of.actions))}
    window = timedelta(days=of.window_days)
    known_until = now if bought is None else min(now, bought.until)
    ours = np.isin(log.decisions["chosen"].to_numpy(object), np.array(list(arms), dtype=object))
    ours &= ~np.isin(log.decisions["mode"].to_numpy(object), np.array(NOT_DRAWN, dtype=object))
    ends = _moments(log.decisions, "logged_at") + window
    ripe = np.asarray(ends <= pd.Timestamp(known_until))
    rows = np.flatnonzero(ours)
    rows = rows[_apart(log.decisions.iloc[rows], window)]
    made = log.decisions.iloc[rows]
    events, early = _reported(made, log.feedback, of, now) if bought is None else (_bought(made, of, now, bought), 0)
    events = events.loc[events["after"].to_numpy(float) <= of.window_days]
    arm = made["chosen"].map(arms).to_numpy(np.int64)
    probability = np.array([[log.probabilities[row].get(name, 0.0) for name in arms] for row in rows.tolist()])
    probability = probability.reshape(len(rows), len(arms))
    probability = probability / np.maximum(probability.sum(axis=1, keepdims=True), 1e-300)
    over = ripe[rows]
    decisions, later = (made.loc[some].reset_index(drop=True) for some in (over, ~over))
    age = -_days(_moments(later, "logged_at") - pd.Timestamp(known_until))
    return Matured(
        decisions=decisions,
        arm=arm[over],
        probability=probability[over],
        outcome=_outcomes(decisions, events, of),
        delays=_delays(decisions, events, of),
        waiting=int(np.count_nonzero(ours & np.asarray(ends > pd.Timestamp(now)))),
        unripe=Waiting(
            later["customer_id"].to_numpy(object),
            arm[~over],
            probability[~over],
            _outcomes(later, events, of),
            age,
        ),
        beyond=int(np.count_nonzero(ours & ~ripe & np.asarray(ends <= pd.Timestamp(now)))),
        early=early,
    )


def _apart(decisions: pd.DataFrame, window: timedelta) -> NDArray[np.int64]:
    """Positions, in order, of decisions that lie in no earlier one's window of the same customer."""
    moments = _moments(decisions, "logged_at").as_unit("us").asi8
    length = window // timedelta(microseconds=1)
    until: dict[str, int] = {}
    kept: list[int] = []
    customers: list[str] = decisions["customer_id"].tolist()
    for place in np.argsort(moments, kind="stable").tolist():
        if moments[place] >= until.get(customers[place], moments[place]):
            until[customers[place]] = int(moments[place]) + length
            kept.append(place)
    return np.array(sorted(kept), dtype=np.int64)


def _reported(
    made: pd.DataFrame, feedback: pd.DataFrame, of: LearnableOutcome, now: datetime
) -> tuple[pd.DataFrame, int]:
    """Events of the drawn actions known at ``now``: decision_id, value, after and known (days since the decision); and
    how many lay before their decision."""
    event = "converted" if of.kind == "binary" else "outcome_value"
    arrived = np.asarray(_moments(feedback, "received_at") <= pd.Timestamp(now))
    counted = (feedback["event"].to_numpy(object) == event) & arrived
    joined = feedback.loc[counted].merge(made[["decision_id", "logged_at", "chosen"]], on="decision_id")
    joined = joined.loc[joined["action"].to_numpy(object) == joined["chosen"].to_numpy(object)]
    timed = _timed(joined, "value")
    early = timed["after"].to_numpy(float) < -_EARLY / timedelta(days=1)
    return timed.loc[~early], int(np.count_nonzero(early))


def _bought(made: pd.DataFrame, of: LearnableOutcome, now: datetime, bought: Purchases) -> pd.DataFrame:
    """The same of purchases. A customer has bought where an amount is positive; returns lower the money."""
    joined = bought.lines.merge(made[["decision_id", "logged_at"]], on="decision_id")
    timed = _timed(joined, "amount")
    known = np.asarray(_moments(joined, "received_at") <= pd.Timestamp(now))
    known &= np.asarray(_moments(joined, "event_time") < pd.Timestamp(now))
    known &= timed["after"].to_numpy(float) > 0
    return timed.loc[known & ((joined["amount"].to_numpy(float) > 0) | (of.kind == "value"))]


def _timed(joined: pd.DataFrame, value: str) -> pd.DataFrame:
    logged = _moments(joined, "logged_at")
    after = _days(_moments(joined, "event_time") - logged)
    return pd.DataFrame(
        {
            "decision_id": joined["decision_id"].to_numpy(object),
            "value": joined[value].to_numpy(float),
            "after": after,
            "known": np.maximum(after, _days(_moments(joined, "received_at") - logged)),
        }
    )


def _days(spans: pd.Index) -> Floats:
    return np.asarray(spans / timedelta(days=1), dtype=np.float64)


def _outcomes(decisions: pd.DataFrame, events: pd.DataFrame, of: LearnableOutcome) -> Floats:
    if of.kind == "binary":
        happened = np.isin(decisions["decision_id"].to_numpy(object), events["decision_id"].to_numpy(object))
        return happened.astype(np.float64)
    place = pd.Index(decisions["decision_id"]).get_indexer(pd.Index(events["decision_id"]))
    ours = place >= 0
    amounts = np.bincount(place[ours], weights=events["value"].to_numpy(float)[ours], minlength=len(decisions))
    return np.asarray(amounts, dtype=np.float64)


def _delays(decisions: pd.DataFrame, events: pd.DataFrame, of: LearnableOutcome) -> Delays:
    ours = events.loc[np.isin(events["decision_id"].to_numpy(object), decisions["decision_id"].to_numpy(object))]
    if of.kind == "value":
        return Delays(ours["known"].to_numpy(float), ours["value"].to_numpy(float))
    # What happened twice was known the first time.
    first = ours.sort_values("known").drop_duplicates("decision_id")["known"].to_numpy(float)
    return Delays(first, np.ones(len(first)))


def _moments(frame: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(frame[name], utc=True))
