"""May a policy take the place of the one in use? Judged on logged decisions, with what was known when each was made."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foresight.policy_replay import Replay, chosen_effects, replay, without_closed
from foresight.policy_rewards import (
    Measure,
    Rewards,
    dearest_contact,
    measure_of,
    outcomes_of,
    rewards_of,
    spend_after,
    spend_before,
    unsubscribed,
)
from kernel.artefacts import model_matrix
from kernel.clock import utc_now
from kernel.errors import NotEnoughDataError
from kernel.part import Floats
from kernel.settings import Settings
from serving.decisioning.action import Action, Outcome
from serving.decisioning.catalogue import Catalogue
from serving.feedback.history import History, history_of
from serving.runtime import LearnedEffects, open_catalogue, required
from training.action_log import NOTHING, DecisionLog, LearnableOutcome, Matured, matured
from training.evaluation.action_gains import OutcomeRows
from training.evaluation.policy_gate import Watched
from training.evaluation.policy_report import PolicyPage, render_policy_report
from training.evaluation.words import day
from training.models.columns import model_columns
from training.models.uplift_learners import Trial
from training.policy_evaluation import JudgedLog, Programme, evaluate, programme

if TYPE_CHECKING:
    from foresight.project import Project

FEWEST = 100
"""Decisions below which nothing is said; the gate asks for more, and says how many."""
FEWEST_OF_ACTION = 50
"""Decisions for an action, and to do nothing, below which its effect is not measured."""
MORE_CONTACTS = 0.25
"""By how much contacts may rise per decision."""
_DRAWN = ("greedy", "explore")
_HELD_OUT = "holdout"


@dataclass(frozen=True)
class _Question:
    """What is judged, and by what.

    Attributes:
        catalogue: of the judged policy.
        actions: by id, also those of the project's own catalogue.
        effects: that the judged policy goes by; None for the catalogue's assumptions.
        known_at: the moment up to which what followed is known.
    """

    project: Project
    catalogue: Catalogue
    actions: Mapping[str, Action]
    effects: LearnedEffects | None
    measure: Measure
    known_at: datetime

    @property
    def days(self) -> int:
        """Of the window in which a decision's reward is looked for."""
        return self.measure.window_days

    def names(self, history: History) -> tuple[str, ...]:
        """Of the actions' columns: doing nothing, the judged catalogue's, others that the log knows."""
        own = [NOTHING, *(action.id for action in self.catalogue.actions)]
        logged = {name for of in history.probabilities for name, chance in of.items() if chance > 0}
        logged |= {name for name in history.decisions["chosen"].tolist() if name is not None}
        return (*own, *sorted(logged - set(own)))

    def matured(self, history: History, rows: NDArray[np.bool_]) -> tuple[Matured, int]:
        """The decisions of some rows that have had their time, and how many lie in another's window."""
        log = _log(history, rows)
        found = matured(log, self.measure.asked_of(self.names(history)[1:]), self.known_at)
        return found, len(log.decisions) - found.waiting - len(found.arm)

    def rewards(self, found: Matured, contexts: Replay) -> Rewards:
        """What each decision brought."""
        lifetime = (
            None if self.measure.lifetime_share is None else contexts.lifetime_value[contexts.rows(found.decisions)]
        )
        return rewards_of(found, self.measure, self.actions, self.project.profiles, self.known_at, lifetime)


def evaluate_policy(
    project: Project,
    now: datetime,
    *,
    effects: str | None = None,
    catalogue: Path | None = None,
    margin_rate: float | None = None,
    more_contacts: float = MORE_CONTACTS,
    say: Callable[[str], None] = lambda step: None,
) -> PolicyPage:
    """Judge the policy of a catalogue and a model of effects on the decisions that another policy logged.

    Args:
        now: the moment of knowledge: what came later is not seen.
        effects: a version such as ``uplift/3``, or ``prior``; None for the newest model, see :func:`chosen_effects`.
        catalogue: of the judged policy; None for the project's.
        margin_rate: share of spend that is profit; given, purchases are the reward.
        more_contacts: by how many contacts per decision the judged policy may exceed the one in use.

    Raises:
        UsageError: the catalogue, the model of effects or the measure cannot be told.
        NotEnoughDataError: too few decisions can judge the policy.
        RegistryError: a champion is missing.
        StoreUnavailableError: the log cannot be read.
        DataError: the log's decisions are no draws with known probabilities.
    """
    asked = _question(project, now, effects, catalogue, margin_rate)
    say("read the log of decisions")
    history = history_of(project.settings, now)
    drawn = np.isin(history.decisions["mode"].to_numpy(object), np.array(_DRAWN, dtype=object))
    seen = _seen_by(asked.effects, history.decisions)
    found, overlapping = asked.matured(history, drawn & ~seen)
    left_out = _left_out(history, drawn, seen, found, overlapping, asked)
    _require_enough(len(found.arm), left_out)
    contexts = replay(project, asked.catalogue, asked.effects, _contexts_needed(asked, history, found), say)
    known = _known(contexts, found, asked.measure)
    left_out["of customers who are not in the tables, or may not be profiled"] = int((~known).sum())
    found = _take(found, known)
    _require_enough(len(found.arm), left_out)
    judged, rewards = _judged(asked, history, found, contexts, more_contacts)
    say(f"judge by {len(judged):,} decisions")
    counts = np.bincount(judged.action, minlength=len(judged.names)).tolist()
    logged_at = found.decisions["logged_at"]
    return PolicyPage(
        project=project.settings.project.name,
        currency=project.settings.project.currency,
        measure=asked.measure.words,
        window_days=asked.days,
        effects=_effects_words(asked.effects),
        catalogue=asked.catalogue.short_hash,
        policies=tuple(dict.fromkeys(found.decisions["policy_version"].tolist())),
        first=logged_at.min().to_pydatetime(),
        last=logged_at.max().to_pydatetime(),
        known_until=asked.known_at,
        made_at=utc_now(),
        decisions=len(judged),
        customers=int(np.unique(judged.customer).size),
        drawn={name: count for name, count in zip(judged.names, counts, strict=True) if count},
        left_out={why: count for why, count in left_out.items() if count},
        mean_cost=float(rewards.cost.mean()),
        contact_rate=float(rewards.contacted.mean()),
        programme=_programme(asked, history, drawn, contexts),
        evaluation=evaluate(judged),
    )


def write_policy_report(page: PolicyPage, path: Path) -> None:
    """Write the page; see :func:`foresight.check_page.check_target` for whether it can be."""
    path.write_text(render_policy_report(page), encoding="utf-8")


def _question(
    project: Project, now: datetime, effects: str | None, catalogue: Path | None, margin_rate: float | None
) -> _Question:
    settings = project.settings
    own = open_catalogue(settings, project.feature_set)
    judged = (
        required(own)
        if catalogue is None
        else required(open_catalogue(_with(settings, catalogue), project.feature_set))
    )
    actions = {action.id: action for of in (own, judged) if of is not None for action in of.actions}
    measure = measure_of(
        judged.actions, settings.project.currency, margin_rate=margin_rate, project_margin=settings.value.margin
    )
    # Purchases of days that the tables do not hold yet are unknown, not none.
    known_at = min(now, project.default_as_of()) if measure.kind == "purchases" else now
    return _Question(project, judged, actions, chosen_effects(project, effects), measure, known_at)


def _with(settings: Settings, catalogue: Path) -> Settings:
    return settings.model_copy(
        update={"actions": settings.actions.model_copy(update={"catalogue": str(catalogue.resolve())})}
    )


def _log(history: History, rows: NDArray[np.bool_]) -> DecisionLog:
    places = np.flatnonzero(rows)
    decisions = history.decisions.iloc[places].reset_index(drop=True)
    return DecisionLog(decisions, [history.probabilities[place] for place in places.tolist()], history.feedback)


def _seen_by(effects: LearnedEffects | None, decisions: pd.DataFrame) -> NDArray[np.bool_]:
    if effects is None:
        return np.zeros(len(decisions), dtype=np.bool_)
    return np.asarray(decisions["logged_at"] <= pd.Timestamp(effects.model.manifest.as_of), dtype=np.bool_)


def _left_out(
    history: History,
    drawn: NDArray[np.bool_],
    seen: NDArray[np.bool_],
    found: Matured,
    overlapping: int,
    asked: _Question,
) -> dict[str, int]:
    modes: list[str | None] = history.decisions.loc[~drawn, "mode"].tolist()
    counts = {
        f"not drawn by the policy ({mode or 'nothing decided'})": modes.count(mode) for mode in dict.fromkeys(modes)
    }
    if asked.effects is not None:
        trained = day(asked.effects.model.manifest.as_of)
        counts[f"logged by {trained}: {asked.effects.version} may have learned from them"] = int((drawn & seen).sum())
    counts[f"still within their {asked.days} days"] = found.waiting
    counts["in the window of an earlier decision about the same customer"] = overlapping
    return counts


def _require_enough(decisions: int, left_out: Mapping[str, int]) -> None:
    if decisions >= FEWEST:
        return
    why = "; ".join(f"{count:,} {reason}" for reason, count in left_out.items() if count)
    raise NotEnoughDataError(
        f"Only {decisions:,} logged decisions can judge this policy; at least {FEWEST:,} are needed.",
        where="the log of decisions",
        fix="Let the policy in use go on, and judge again once more outcomes have had their time; an earlier model of "
        f"effects (--effects) leaves out fewer. Left out: {why or 'none, the log holds no others'}.",
    )


def _contexts_needed(asked: _Question, history: History, found: Matured) -> pd.DataFrame:
    """Of the judged decisions; also of all others where a reward is a share of the lifetime value."""
    if asked.measure.lifetime_share is None or not _held_out(history).any():
        return found.decisions
    return history.decisions


def _known(contexts: Replay, found: Matured, measure: Measure) -> NDArray[np.bool_]:
    rows = contexts.rows(found.decisions)
    known = rows >= 0
    if measure.lifetime_share is not None and len(contexts.lifetime_value):
        known &= ~np.isnan(contexts.lifetime_value[rows])
    return known


def _take(found: Matured, rows: NDArray[np.bool_]) -> Matured:
    return replace(
        found,
        decisions=found.decisions.loc[rows].reset_index(drop=True),
        arm=found.arm[rows],
        probability=found.probability[rows],
        outcome=found.outcome[rows],
    )


def _judged(
    asked: _Question, history: History, found: Matured, contexts: Replay, more_contacts: float
) -> tuple[JudgedLog, Rewards]:
    decisions, names = found.decisions, asked.names(history)
    row, own = contexts.rows(decisions), 1 + len(asked.catalogue.actions)
    features = contexts.features.iloc[row]
    columns = model_columns(asked.project.feature_set, features)
    place = {name: number for number, name in enumerate(history.decisions["decision_id"].tolist())}
    logged = [place[name] for name in decisions["decision_id"].tolist()]
    rewards = asked.rewards(found, contexts)
    before = spend_before(asked.project.profiles, decisions, asked.days, asked.known_at)
    currency = asked.project.settings.project.currency
    dearest = dearest_contact(asked.actions.values())
    left = unsubscribed(decisions, history.feedback, asked.days, asked.known_at)
    inputs = model_matrix(features, columns)
    categories = tuple(len(column.categories or ()) for column in columns)
    closed = np.array([[name in history.closed[one] for name in names] for one in logged])
    worth = _wide(contexts.worth[row], names, own, np.nan)
    judged = JudgedLog(
        names=names,
        action=found.arm,
        reward=rewards.reward,
        propensity=decisions["propensity"].to_numpy(np.float64),
        logged=_table([history.probabilities[one] for one in logged], names, 0.0),
        target=without_closed(_wide(contexts.probability[row], names, own, 0.0), worth, closed),
        allowed=(_wide(contexts.allowed[row].astype(float), names, own, 0.0) > 0) & ~closed,
        worth_logged=_table([{NOTHING: 0.0} | dict(history.values[one]) for one in logged], names, np.nan),
        worth_target=np.where(closed, np.nan, worth),
        inputs=inputs,
        categories=categories,
        customer=decisions["customer_id"].to_numpy(),
        currency=currency,
        watched={
            "unsubscribes per decision": Watched(left),
            "contacts per decision": Watched(rewards.contacted, more_contacts),
            f"cost per decision in {currency}": Watched(rewards.cost, more_contacts * dearest),
        },
        segment=np.array([f"churn {band}" if " " not in band else band for band in contexts.band[row]], dtype=object),
        before=before if asked.measure.kind == "feedback" else before * (asked.measure.unit_value or 0.0),
        outcomes=_outcome_rows(asked, history, found, logged, contexts, inputs, categories),
    )
    return judged, rewards


def _table(rows: Sequence[Mapping[str, float]], names: Sequence[str], absent: float) -> Floats:
    return np.array([[of.get(name, absent) for name in names] for of in rows], dtype=np.float64)


def _wide(own: Floats, names: Sequence[str], columns: int, absent: float) -> Floats:
    """The judged catalogue's columns, and those of actions that it does not have."""
    return np.hstack([own, np.full((len(own), len(names) - columns), absent)])


def _outcome_rows(
    asked: _Question,
    history: History,
    found: Matured,
    logged: Sequence[int],
    contexts: Replay,
    inputs: Floats,
    categories: tuple[int, ...],
) -> tuple[OutcomeRows, ...]:
    """The judged decisions by outcome; actions that were hardly tried are left out."""
    counts = found.decisions["chosen"].value_counts().to_dict()
    if counts.get(NOTHING, 0) < FEWEST_OF_ACTION:
        return ()
    log = DecisionLog(found.decisions, [history.probabilities[one] for one in logged], history.feedback)
    place = {name: number for number, name in enumerate(found.decisions["decision_id"].tolist())}
    column = {action.id: number for number, action in enumerate(asked.catalogue.actions, start=1)}
    parts: list[OutcomeRows] = []
    for outcome, ids in outcomes_of(asked.catalogue.actions):
        tried = tuple(name for name in ids if counts.get(name, 0) >= FEWEST_OF_ACTION)
        if not tried:
            continue
        of = LearnableOutcome(outcome.name, outcome.kind, outcome.window_days, tried)
        part = matured(log, of, asked.known_at)
        followed = _followed(asked, outcome, part)
        if np.ptp(followed) == 0:
            continue
        rows = np.array([place[name] for name in part.decisions["decision_id"].tolist()], dtype=np.int64)
        trial = Trial(
            inputs=inputs[rows],
            categories=categories,
            arm=part.arm,
            outcome=followed,
            probability=part.probability,
            customer=part.decisions["customer_id"].to_numpy(),
            kind=outcome.kind,
        )
        uplift = contexts.uplift[contexts.rows(part.decisions)][:, [column[name] for name in tried]]
        parts.append(OutcomeRows(outcome.name.replace("_", " "), outcome.window_days, tried, trial, uplift))
    return tuple(parts)


def _followed(asked: _Question, outcome: Outcome, part: Matured) -> Floats:
    if outcome.measured_by == "feedback":
        return part.outcome
    spent = spend_after(asked.project.profiles, part.decisions, outcome.window_days, asked.known_at)
    return spent if outcome.kind == "value" else (spent > 0).astype(np.float64)


def _held_out(history: History) -> NDArray[np.bool_]:
    return np.asarray(history.decisions["mode"].to_numpy(object) == _HELD_OUT, dtype=np.bool_)


def _programme(asked: _Question, history: History, drawn: NDArray[np.bool_], contexts: Replay) -> Programme | None:
    """All decisions that the policy drew, whichever model they went by, against customers who were held out."""
    held = _held_out(history)
    if not held.any():
        return None
    # To be matured like the others, although nobody drew.
    as_nothing = history.decisions.assign(
        chosen=history.decisions["chosen"].where(~held, NOTHING), mode=history.decisions["mode"].where(~held, _DRAWN[0])
    )
    whole = replace(history, decisions=as_nothing)
    sides: list[tuple[Floats, NDArray[np.object_]]] = []
    for rows in (drawn, held):
        found, _ = asked.matured(whole, rows)
        if asked.measure.lifetime_share is not None:
            found = _take(found, _known(contexts, found, asked.measure))
        sides.append((asked.rewards(found, contexts).reward, found.decisions["customer_id"].to_numpy(object)))
    return programme(*sides[0], *sides[1])


def _effects_words(effects: LearnedEffects | None) -> str:
    if effects is None:
        return "the catalogue's assumptions"
    return f"{effects.version}, learned from what was known on {day(effects.model.manifest.as_of)}"
