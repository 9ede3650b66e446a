"""Effects of a catalogue's actions, learned from matured decisions on top of what the business assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import lightgbm as lgb
import numpy as np

from kernel.part import Floats
from kernel.uplift_predictor import ActionEffect, EffectStatus, OutcomeEffects
from training.action_log import LearnableOutcome
from training.models.uplift import UpliftFit, fit_uplift, pooled_means
from training.models.uplift_learners import Trial

FEWEST = 50  # decisions for an action, and to do nothing, below which nothing is learned of it
CALIBRATED = 200  # positives and controls from which an effect counts as calibrated


@dataclass(frozen=True, slots=True)
class Assumption:
    """What the business assumes of an action's effect.

    Attributes:
        mean: of the effect.
        deviation: how unsure it is of it.
        group: sibling actions share one.
    """

    mean: float
    deviation: float
    group: str


@dataclass(frozen=True)
class Learned:
    """What was learned of one outcome's actions."""

    effects: OutcomeEffects
    booster: lgb.Booster
    fit: UpliftFit
    trial: Trial


def learn_effects(
    of: LearnableOutcome, trial: Trial, assumed: Mapping[str, Assumption], *, seed: int = 0
) -> Learned | None:
    """Fit the effects of all actions that were tried often enough; None where there is none such.

    Args:
        trial: its arms are doing nothing and ``of.actions`` in their order.
        assumed: action -> the assumption, which counts like an estimate of its own.
    """
    sizes = trial.in_arm.sum(axis=0)
    tried = [number for number in range(1, trial.actions + 1) if sizes[number] >= FEWEST]
    if sizes[0] < FEWEST or not tried or np.ptp(trial.outcome) == 0:
        return None
    part = _among(trial, [0, *tried])
    fit = fit_uplift(part, seed=seed)
    names = [of.actions[number - 1] for number in tried]
    effects = tuple(_effect(names[i], i, part, fit, assumed[names[i]]) for i in range(len(names)))
    learned = OutcomeEffects(
        outcome=of.name,
        actions=effects,
        learners=fit.learners,
        weights=tuple(fit.calibration.weights),
        uncertainty=tuple(tuple(row) for row in fit.calibration.uncertainty),
        booster=f"{of.name}.txt",
    )
    return Learned(learned, fit.booster, fit, part)


def from_siblings(learned: Sequence[ActionEffect], assumed: Mapping[str, Assumption]) -> tuple[ActionEffect, ...]:
    """Effects of actions that were hardly tried, where at least two others of their group were: those lie about the
    group's mean, and this one does so too."""
    known = {effect.action: effect for effect in learned}
    found: list[ActionEffect] = []
    for action, assumption in assumed.items():
        siblings = [known[name] for name in known if assumed[name].group == assumption.group]
        if action in known or len(siblings) < 2:
            continue
        effects = np.array([effect.effect for effect in siblings])
        errors = np.array([effect.error for effect in siblings])
        mean, error = pooled_means(effects, errors)
        apart = float(np.var(mean, ddof=1)) + float(np.mean(error**2))
        found.append(
            ActionEffect(
                action=action,
                effect=float(mean.mean()),
                error=float(np.sqrt(apart)),
                centre=(),
                positives=0,
                controls=min(effect.controls for effect in siblings),
                status=EffectStatus.PRIOR,
            )
        )
    return tuple(found)


def _among(trial: Trial, arms: list[int]) -> Trial:
    """Only the rows of these arms, numbered anew; their probabilities are given that one of them was drawn."""
    kept = trial.take(np.flatnonzero(np.isin(trial.arm, arms)))
    probability = kept.probability[:, arms]
    place = {arm: number for number, arm in enumerate(arms)}
    return replace(
        kept,
        arm=np.array([place[arm] for arm in kept.arm.tolist()], dtype=np.int64),
        probability=probability / probability.sum(axis=1, keepdims=True),
    )


def _effect(name: str, number: int, trial: Trial, fit: UpliftFit, assumption: Assumption) -> ActionEffect:
    effect, error = combined(float(fit.calibration.effect[number]), float(fit.calibration.error[number]), assumption)
    positives = int((trial.outcome[trial.arm == number + 1] > 0).sum())
    controls = int((trial.arm == 0).sum())
    enough = positives >= CALIBRATED and controls >= CALIBRATED
    return ActionEffect(
        action=name,
        effect=effect,
        error=error,
        centre=tuple(_column(fit.calibration.centre, number)),
        positives=positives,
        controls=controls,
        status=EffectStatus.CALIBRATED if enough else EffectStatus.LEARNING,
    )


def combined(effect: float, error: float, assumption: Assumption) -> tuple[float, float]:
    """Estimate and assumption, each weighed by its precision, and the deviation of the result."""
    own, assumed = 1 / max(error, 1e-12) ** 2, 1 / assumption.deviation**2
    return (effect * own + assumption.mean * assumed) / (own + assumed), float((own + assumed) ** -0.5)


def _column(table: Floats, number: int) -> list[float]:
    return [float(value) for value in table[:, number]]
