"""Learn from logged decisions what the catalogue's actions change: the model of effects that decisions go by."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from kernel.artefacts import FeatureColumn, model_matrix
from kernel.clock import iso
from kernel.errors import NotEnoughDataError
from kernel.model_registry import CHALLENGER, ModelVersion, TrainingData, TrainingRun
from kernel.uplift_predictor import ActionEffect, UpliftManifest, UpliftPredictor
from serving.decisioning.action import Outcome
from serving.decisioning.catalogue import Catalogue
from serving.feedback.history import history_of
from serving.runtime import open_catalogue, required
from training.action_log import NOTHING, DecisionLog, LearnableOutcome, Matured, matured
from training.evaluation.policy_checks import slope_check
from training.models.action_effects import Assumption, Learned, from_siblings, learn_effects
from training.models.columns import model_columns
from training.models.delayed_effects import DelayedEffects, delayed_effects
from training.models.effect_drift import Halves, newest_alike
from training.models.uplift import effect_slope
from training.models.uplift_learners import Trial
from training.purchases import purchases_after

if TYPE_CHECKING:
    from foresight.project import Project


@dataclass(frozen=True)
class ActionTraining:
    """What was learned, and what became of it.

    Attributes:
        version: of the stored model.
        promoted: whether decisions go by it from now on.
        effects: by action, as they were learned.
        notes: what a person should know: what is still too thin, what was left out, why it was not promoted.
    """

    version: ModelVersion
    promoted: bool
    effects: tuple[ActionEffect, ...]
    notes: tuple[str, ...]


def train_actions(project: Project, now: datetime, *, say: Callable[[str], None] = lambda step: None) -> ActionTraining:
    """Fit the effects of all actions whose decisions have matured, and register them as the project's ``uplift`` model.

    Args:
        now: the moment of knowledge: decisions and feedback that came later are not seen.

    Raises:
        UsageError: the project has no catalogue.
        NotEnoughDataError: no action has enough matured decisions.
        StoreUnavailableError: the log cannot be read.
    """
    catalogue = required(open_catalogue(project.settings, project.feature_set))
    say("read the log of decisions")
    log = _log(project, now)
    assumed = _assumptions(catalogue)
    ripe = [(of, _matured(project, log, of, now)) for of in learnable_outcomes(catalogue)]
    say("compute what was known of the customers")
    features = _features(project, ripe)
    columns = model_columns(project.feature_set, features)
    learned: list[Learned] = []
    notes = _withdrawn(catalogue, log)
    for of, seen in ripe:
        say(f"learn from {len(seen.arm):,} decisions about {of.name}")
        found, newest = None, None
        if len(seen.arm):
            trial = _trial(of, seen, features, columns)
            rows, newest = newest_alike(trial, seen.decisions["logged_at"].astype("int64").to_numpy(float))
            found = learn_effects(of, trial.take(rows), assumed, delayed=_delayed(seen))
            notes += _drift_notes(of, seen, rows, newest)
        notes += _notes(of, seen, found)
        learned += [] if found is None else [found]
    if not learned:
        raise NotEnoughDataError(
            "No action has enough matured decisions to learn from.",
            where="the log of decisions",
            fix=f"Decisions are needed for an action and for doing nothing. {' '.join(notes)}",
        )
    return _register(project, now, log, columns, learned, assumed, features, notes)


def _log(project: Project, now: datetime) -> DecisionLog:
    history = history_of(project.settings, now)
    return DecisionLog(history.decisions, history.probabilities, history.feedback)


def _matured(project: Project, log: DecisionLog, of: LearnableOutcome, now: datetime) -> Matured:
    if of.measured_by == "feedback":
        return matured(log, of, now)
    return matured(log, of, now, purchases_after(project.profiles, log.decisions, of.window_days, now))


def learnable_outcomes(catalogue: Catalogue) -> list[LearnableOutcome]:
    """One for each name, kind, window and measure: what counts within 30 days is another outcome than within 60."""
    groups: dict[Outcome, list[str]] = {}
    for action in catalogue.actions:
        groups.setdefault(action.outcome, []).append(action.id)
    shared = Counter((of.name, of.window_days) for of in groups)
    return [
        LearnableOutcome(
            f"{of.name}_{of.window_days}d"
            + (f"_{of.kind}_{of.measured_by}" if shared[of.name, of.window_days] > 1 else ""),
            of.kind,
            of.window_days,
            tuple(actions),
            of.measured_by,
        )
        for of, actions in groups.items()
    ]


def _delayed(seen: Matured) -> DelayedEffects | None:
    """What decisions tell whose window is not over; None where none has matured."""
    return delayed_effects(seen.unripe, seen.delays, float(seen.outcome.mean())) if len(seen.outcome) else None


def _assumptions(catalogue: Catalogue) -> dict[str, Assumption]:
    """The catalogue's priors as mean and deviation."""
    return {action.id: Assumption(*action.prior.moments(), action.group) for action in catalogue.actions}


def _features(project: Project, ripe: list[tuple[LearnableOutcome, Matured]]) -> pd.DataFrame:
    """What was known of each customer when the decision was made: index (as_of, customer_id)."""
    asked = pd.concat([seen.decisions[["as_of", "customer_id"]] for _, seen in ripe]).drop_duplicates()
    moments = sorted({moment.to_pydatetime() for moment in asked["as_of"].tolist()})
    if not moments:
        return pd.DataFrame(columns=[feature.name for feature in project.feature_set])
    built = project.features_of(moments)
    parts = [
        built[moment].reindex(asked.loc[(asked["as_of"] == moment).to_numpy(bool), "customer_id"]) for moment in moments
    ]
    return pd.concat(parts, keys=[pd.Timestamp(moment) for moment in moments])


def _trial(of: LearnableOutcome, seen: Matured, features: pd.DataFrame, columns: tuple[FeatureColumn, ...]) -> Trial:
    rows = pd.MultiIndex.from_arrays([seen.decisions["as_of"], seen.decisions["customer_id"]])
    return Trial(
        inputs=model_matrix(features.loc[rows], columns),
        categories=tuple(len(column.categories or ()) for column in columns),
        arm=seen.arm,
        outcome=seen.outcome,
        probability=seen.probability,
        customer=seen.decisions["customer_id"].to_numpy(),
        kind=of.kind,
    )


def _notes(of: LearnableOutcome, seen: Matured, found: Learned | None) -> list[str]:
    notes: list[str] = []
    if found is None:
        counts = np.bincount(seen.arm, minlength=1 + len(of.actions))
        listed = ", ".join(f"{name} {count:,}" for name, count in zip(of.actions, counts[1:].tolist(), strict=True))
        notes.append(f"{of.name}: too few matured decisions (doing nothing {counts[0]:,}, {listed}).")
    if seen.waiting:
        notes.append(f"{of.name}: {seen.waiting:,} decisions are still within their {of.window_days} days.")
    if seen.beyond:
        notes.append(
            f"{of.name}: of {seen.beyond:,} decisions the {of.window_days} days reach beyond the end of the tables; "
            "they wait for newer ones."
        )
    if found is not None and found.young:
        names = ", ".join(effect.action for effect in found.young)
        notes.append(
            f"{of.name}: of {names} only outcomes so far are known, taken for the share that has come by then."
        )
    if seen.early:
        notes.append(f"{of.name}: {seen.early:,} events lie before their decision and were left out.")
    return notes


def _withdrawn(catalogue: Catalogue, log: DecisionLog) -> list[str]:
    known = {NOTHING, *(action.id for action in (*catalogue.actions, *catalogue.mandatory))}
    gone = Counter(str(name) for name in log.decisions["chosen"].dropna() if name not in known)
    listed = ", ".join(f"{name} {count:,}" for name, count in sorted(gone.items()))
    return [f"Left out are decisions for actions that the catalogue no longer has: {listed}."] if gone else []


def _drift_notes(of: LearnableOutcome, seen: Matured, rows: NDArray[np.int64], found: Halves | None) -> list[str]:
    if found is None:
        return []
    since = f"{seen.decisions['logged_at'].iloc[rows].min():%Y-%m-%d}"
    return [
        f"{of.name}: effects have changed (seen as 1 in one half of the decisions, an effect turns out as "
        f"{found.across:.2f} in the other, and as {found.within:.2f} in its own): learned from the {len(rows):,} "
        f"decisions since {since}."
    ]


def _register(
    project: Project,
    now: datetime,
    log: DecisionLog,
    columns: tuple[FeatureColumn, ...],
    learned: list[Learned],
    assumed: Mapping[str, Assumption],
    features: pd.DataFrame,
    notes: list[str],
) -> ActionTraining:
    settings = project.settings
    effects = [effect for one in learned for effect in one.effects.actions]
    siblings = from_siblings(
        [effect for one in learned for effect in one.alone],
        assumed,
        [effect for one in learned for effect in one.young],
    )
    fingerprint = hashlib.sha256("\n".join(log.decisions["decision_id"].tolist()).encode()).hexdigest()
    manifest = UpliftManifest(
        project=settings.project.name,
        currency=settings.project.currency,
        as_of=now,
        data_fingerprint=fingerprint,
        columns=columns,
        outcomes=tuple(one.effects for one in learned),
        siblings=siblings,
    )
    slopes = {one.effects.outcome: effect_slope(one.fit.unseen, one.fit.outcome, one.trial) for one in learned}
    checks = {name: slope_check(slope) for name, slope in slopes.items()}
    name = settings.model_name("uplift")
    with tempfile.TemporaryDirectory() as written:
        UpliftPredictor(manifest, {one.effects.booster: one.booster for one in learned}).save(Path(written))
        version = project.registry.log_and_register(
            TrainingRun(
                name=name,
                kind="uplift",
                project=settings.project.name,
                folder=Path(written),
                parameters={"known_until": iso(now), "columns": len(columns)},
                metrics={f"slope_{outcome}": slope.estimate for outcome, slope in slopes.items()}
                | {f"effect_{effect.action}": effect.effect for effect in effects},
                data=TrainingData(settings.project.name, fingerprint, now, sum(len(one.trial) for one in learned)),
                input_example=features.droplevel(0).head(5),
            )
        )
    project.registry.set_alias(name, CHALLENGER, version.version)
    broken = [f"{outcome}: {check.found}" for outcome, check in checks.items() if not check.holds]
    if not broken:
        project.registry.promote(name, version.version)
    else:
        notes = [*notes, *(f"Not promoted: {found}." for found in broken)]
    return ActionTraining(version, not broken, (*effects, *siblings), tuple(notes))
