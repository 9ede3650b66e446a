"""Logged decisions and their feedback as randomised trials: who got what, with which probability, and what followed."""

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
_EARLY = timedelta(hours=1)  # clocks of the CRM and of the service may differ by so much


@dataclass(frozen=True)
class LearnableOutcome:
    """An outcome of the catalogue, and the actions that are meant to bring it about.

    Attributes:
        name: in the catalogue.
        kind: "binary": it happens or not; "value": money.
        window_days: within which it counts, from the decision on.
        actions: their ids.
    """

    name: str
    kind: Literal["binary", "value"]
    window_days: int
    actions: tuple[str, ...]


@dataclass(frozen=True)
class DecisionLog:
    """What was decided, and what was reported back.

    Attributes:
        decisions: one row each: decision_id, customer_id, as_of, logged_at (moments, UTC), chosen.
        probabilities: of every candidate of each decision, in the order of ``decisions``.
        feedback: one row per event: decision_id, action, event, event_time, received_at (moments, UTC), value.
    """

    decisions: pd.DataFrame
    probabilities: Sequence[Mapping[str, float]]
    feedback: pd.DataFrame


@dataclass(frozen=True)
class Matured:
    """Decisions about one outcome that have had their time.

    Attributes:
        decisions: rows of the log; one customer's windows do not overlap.
        arm: 0 for doing nothing, else 1 + the place of the action, shape (rows,).
        probability: of each arm given that one of them was drawn, shape (rows, 1 + actions).
        outcome: 1.0 or 0.0, or money, shape (rows,).
        waiting: decisions whose window is not over.
        early: events that lie before their decision, which were left out.
    """

    decisions: pd.DataFrame
    arm: NDArray[np.int64]
    probability: Floats
    outcome: Floats
    waiting: int
    early: int


def matured(log: DecisionLog, of: LearnableOutcome, now: datetime) -> Matured:
    """The decisions to do nothing or one of the outcome's actions whose window is over at ``now``.

    A label that is not ripe is left out, never counted as nothing. What was received after ``now`` is not known yet.
    Of decisions about a customer in another's window only the first counts: the outcome could be either's.
    """
    arms = {name: number for number, name in enumerate((NOTHING, *of.actions))}
    window = timedelta(days=of.window_days)
    ours = np.isin(log.decisions["chosen"].to_numpy(object), np.array(list(arms), dtype=object))
    ripe = np.asarray(_moments(log.decisions, "logged_at") + window <= pd.Timestamp(now))
    rows = np.flatnonzero(ours & ripe)
    rows = rows[_apart(log.decisions.iloc[rows], window)]
    decisions = log.decisions.iloc[rows].reset_index(drop=True)
    probability = np.array([[log.probabilities[row].get(name, 0.0) for name in arms] for row in rows.tolist()])
    probability = probability.reshape(len(rows), len(arms))
    outcome, early = _outcomes(decisions, log.feedback, of, now)
    return Matured(
        decisions=decisions,
        arm=decisions["chosen"].map(arms).to_numpy(np.int64),
        probability=probability / np.maximum(probability.sum(axis=1, keepdims=True), 1e-300),
        outcome=outcome,
        waiting=int(np.count_nonzero(ours & ~ripe)),
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


def _outcomes(
    decisions: pd.DataFrame, feedback: pd.DataFrame, of: LearnableOutcome, now: datetime
) -> tuple[Floats, int]:
    event = "converted" if of.kind == "binary" else "outcome_value"
    arrived = np.asarray(_moments(feedback, "received_at") <= pd.Timestamp(now))
    known = (feedback["event"].to_numpy(object) == event) & arrived
    joined = feedback.loc[known].merge(decisions, on="decision_id", suffixes=("", "_of_decision"))
    joined = joined.loc[joined["action"].to_numpy(object) == joined["chosen"].to_numpy(object)]
    after = _moments(joined, "event_time") - _moments(joined, "logged_at")
    early = np.asarray(after < -_EARLY)
    counted = joined.loc[~early & np.asarray(after <= timedelta(days=of.window_days))]
    skewed = int(np.count_nonzero(early))
    if of.kind == "binary":
        happened = np.isin(decisions["decision_id"].to_numpy(object), counted["decision_id"].to_numpy(object))
        return happened.astype(np.float64), skewed
    amounts: dict[str, float] = counted.groupby("decision_id")["value"].sum().to_dict()
    return np.array([amounts.get(name, 0.0) for name in decisions["decision_id"].tolist()]), skewed


def _moments(frame: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(frame[name], utc=True))
