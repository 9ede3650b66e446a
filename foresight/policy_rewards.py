"""What followed a decision, in money: the same measure whatever was decided."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal

import numpy as np
import pandas as pd

from features.contract.profiles import Profiles
from kernel.errors import DataError, UsageError
from kernel.part import Floats
from serving.decisioning.action import Action, Outcome
from training.action_log import NOTHING, LearnableOutcome, Matured
from training.labels.spend_between import spend_between


@dataclass(frozen=True)
class Measure:
    """How a decision's reward is measured.

    Attributes:
        kind: "purchases": net spend of the customer in the window; "feedback": what the CRM reports.
        window_days: the longest of the catalogue's outcomes.
        unit_value: money for one unit of spend, conversion or outcome value; None where ``lifetime_share`` is given.
        lifetime_share: of the customer's lifetime value, for one conversion.
        amount: whether a unit is one of money (spend, outcome value), not a conversion.
        words: the same for people, without costs.
    """

    kind: Literal["purchases", "feedback"]
    window_days: int
    unit_value: float | None
    lifetime_share: float | None
    amount: bool
    words: str

    def asked_of(self, actions: Iterable[str]) -> LearnableOutcome:
        """The outcome by which decisions mature: all actions', within the window."""
        reported = self.kind == "feedback" and self.amount
        return LearnableOutcome("reward", "value" if reported else "binary", self.window_days, tuple(actions))


@dataclass(frozen=True)
class Rewards:
    """Of decisions; money per decision, each of shape (decisions,).

    Attributes:
        reward: what came of it, less its cost.
        cost: of the contact, and of the incentive where the customer took it.
        contacted: 1.0 where an action was drawn.
    """

    reward: Floats
    cost: Floats
    contacted: Floats


def measure_of(
    actions: Sequence[Action], currency: str, *, margin_rate: float | None, project_margin: float | None
) -> Measure:
    """The measure that fits a catalogue; see ``docs/reference/policy-evaluation.md``.

    Args:
        margin_rate: share of spend that is profit, as the user gave it: purchases are asked for.
        project_margin: the same of the project's settings.

    Raises:
        UsageError: neither purchases nor feedback can be told in money.
    """
    window = max(action.outcome.window_days for action in actions)
    outcomes = {_identity(action.outcome) for action in actions}
    worth = {(action.value.margin, action.value.lifetime_value_share) for action in actions}
    by_purchases = all(action.outcome.measured_by == "purchases" for action in actions)
    if margin_rate is None and not by_purchases and len(outcomes) == 1 and len(worth) == 1:
        [(margin, share)] = worth
        return _by_feedback(actions[0].outcome, margin, share, currency)
    rate = next((one for one in (margin_rate, project_margin, _told_rate(actions)) if one is not None), None)
    if rate is None:
        why = (
            "its outcomes are measured by purchases"
            if by_purchases
            else f"it has {len(outcomes):,} outcomes"
            if len(outcomes) > 1
            else "its actions give one conversion different values"
        )
        raise UsageError(
            f"The catalogue does not say what purchases bring ({why}), and one measure is needed for all actions.",
            where="--margin-rate",
            fix="Give the share of spend that is profit, such as --margin-rate 0.3, or set [value] margin.",
        )
    words = f"net spend in the {window} days after the decision, times a margin of {100 * rate:g} %"
    return Measure("purchases", window, rate, None, True, words)


def rewards_of(
    found: Matured,
    measure: Measure,
    actions: Mapping[str, Action],
    profiles: Profiles,
    known_at: datetime,
    lifetime_value: Floats | None,
) -> Rewards:
    """What each matured decision brought.

    Args:
        found: the decisions, matured as ``measure.asked_of`` says.
        actions: by id, each that was drawn.
        lifetime_value: of each customer when it was decided, where the measure needs it.

    Raises:
        DataError: an action was drawn that no catalogue describes.
    """
    decisions = found.decisions
    chosen = decisions["chosen"].to_numpy(object)
    unknown = sorted(set(chosen) - set(actions) - {NOTHING})
    if unknown:
        raise DataError(
            f"The log has decisions for actions that no catalogue describes: {', '.join(unknown)}.",
            where="the log of decisions",
            fix="Their costs are needed: keep retired actions in the catalogue, with an 'end' date.",
        )
    spent = np.zeros(len(decisions))
    by_purchases = np.array(
        [name != NOTHING and actions[name].outcome.measured_by == "purchases" for name in chosen], dtype=np.bool_
    )
    if measure.kind == "purchases" or by_purchases.any():
        spent = spend_after(profiles, decisions, measure.window_days, known_at)
    converted = np.where(by_purchases, spent > 0, found.outcome != 0)
    contact = np.array([0.0 if name == NOTHING else actions[name].cost.contact for name in chosen])
    incentive = np.array([0.0 if name == NOTHING else actions[name].cost.incentive_if_converted for name in chosen])
    cost = contact + incentive * converted
    units = spent if measure.kind == "purchases" else found.outcome
    value: float | Floats = 0.0 if measure.unit_value is None else measure.unit_value
    if measure.lifetime_share is not None and lifetime_value is not None:
        value = measure.lifetime_share * lifetime_value
    return Rewards(units * value - cost, cost, (chosen != NOTHING).astype(np.float64))


def spend_after(profiles: Profiles, decisions: pd.DataFrame, days: int, known_at: datetime) -> Floats:
    """Net spend in the days after each decision, shape (decisions,)."""
    logged = _moments(decisions, "logged_at")
    return spend_between(profiles, decisions["customer_id"].tolist(), logged, logged + timedelta(days=days), known_at)


def spend_before(profiles: Profiles, decisions: pd.DataFrame, days: int, known_at: datetime) -> Floats:
    """Net spend in the days before each decision, shape (decisions,)."""
    logged = _moments(decisions, "logged_at")
    return spend_between(profiles, decisions["customer_id"].tolist(), logged - timedelta(days=days), logged, known_at)


def unsubscribed(decisions: pd.DataFrame, feedback: pd.DataFrame, days: int, known_at: datetime) -> Floats:
    """1.0 where the customer unsubscribed in the days after the decision, shape (decisions,)."""
    arrived = np.asarray(_moments(feedback, "received_at") <= pd.Timestamp(known_at))
    events = feedback.loc[arrived & (feedback["event"].to_numpy(object) == "unsubscribed")]
    joined = events.merge(decisions[["decision_id", "logged_at"]], on="decision_id")
    after = _moments(joined, "event_time") - _moments(joined, "logged_at")
    left = joined.loc[np.asarray(after <= timedelta(days=days)), "decision_id"]
    return np.isin(decisions["decision_id"].to_numpy(object), left.to_numpy(object)).astype(np.float64)


def outcomes_of(actions: Iterable[Action]) -> list[tuple[Outcome, tuple[str, ...]]]:
    """The outcomes of a catalogue, each with the ids of its actions."""
    groups: dict[tuple[str, str, int, str], list[Action]] = {}
    for action in actions:
        groups.setdefault((*_identity(action.outcome), action.outcome.measured_by), []).append(action)
    return [(some[0].outcome, tuple(action.id for action in some)) for some in groups.values()]


def dearest_contact(actions: Iterable[Action]) -> float:
    """What the dearest action costs where its incentive is taken."""
    return max(action.cost.contact + action.cost.incentive_if_converted for action in actions)


def _identity(outcome: Outcome) -> tuple[str, str, int]:
    return outcome.name, outcome.kind, outcome.window_days


def _by_feedback(outcome: Outcome, margin: float | None, share: float | None, currency: str) -> Measure:
    name, days = outcome.name.replace("_", " "), outcome.window_days
    if outcome.kind == "value":
        each = f"{margin:g}" if margin is not None else f"{100 * (share or 0):g} % of the lifetime value"
        words = f"what the CRM reported of '{name}' within {days} days, in {currency}, times {each}"
        return Measure("feedback", days, margin, share, True, words)
    each = f"{margin:,g} {currency}" if margin is not None else f"{100 * (share or 0):g} % of the lifetime value"
    words = f"'{name}' within {days} days as the CRM reported it, {each} each"
    return Measure("feedback", days, margin, share, False, words)


def _told_rate(actions: Sequence[Action]) -> float | None:
    """The share of spend that is profit, where all actions that say it agree: a share of the lifetime value, which is
    spend, or the margin of an outcome of money."""
    rates = {action.value.lifetime_value_share for action in actions if action.value.lifetime_value_share is not None}
    rates |= {
        action.value.margin
        for action in actions
        if action.outcome.kind == "value" and action.value.margin is not None and action.value.margin <= 1
    }
    return rates.pop() if len(rates) == 1 else None


def _moments(frame: pd.DataFrame, name: str) -> pd.DatetimeIndex:
    return pd.DatetimeIndex(pd.to_datetime(frame[name], utc=True))
