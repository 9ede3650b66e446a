"""Effects of a catalogue's actions, learned from decisions on top of what siblings show and the business assumes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import lightgbm as lgb
import numpy as np

from kernel.part import Floats
from kernel.uplift_predictor import ActionEffect, EffectStatus, OutcomeEffects
from training.action_log import LearnableOutcome
from training.models.delayed_effects import DelayedEffects
from training.models.uplift import UpliftFit, fit_uplift, pooled_means, random_effects
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
    """What was learned of one outcome's actions.

    Attributes:
        effects: of those that were tried often enough, siblings drawn together, on top of the assumptions.
        alone: the same actions, each by its own decisions; ``spread`` is all by which customers differ.
        young: of actions whose decisions have not matured, by outcomes so far.
    """

    effects: OutcomeEffects
    booster: lgb.Booster
    fit: UpliftFit
    trial: Trial
    alone: tuple[ActionEffect, ...]
    young: tuple[ActionEffect, ...] = field(default=())


def learn_effects(
    of: LearnableOutcome,
    trial: Trial,
    assumed: Mapping[str, Assumption],
    *,
    delayed: DelayedEffects | None = None,
    seed: int = 0,
) -> Learned | None:
    """Fit the effects of all actions that were tried often enough; None where there is none such.

    Args:
        trial: its arms are doing nothing and ``of.actions`` in their order.
        assumed: action -> the assumption, which counts like an estimate of its own.
        delayed: what decisions whose window is not over tell of ``of.actions``. It counts for actions that are not yet
            calibrated, and in their mean effects only: who gains is told by matured decisions.
    """
    drawn = trial.in_arm.sum(axis=0)
    tried = [number for number in range(1, trial.actions + 1) if drawn[number] >= FEWEST]
    if drawn[0] < FEWEST or not tried or np.ptp(trial.outcome) == 0:
        return None
    part = _among(trial, [0, *tried])
    fit = fit_uplift(part, seed=seed)
    names = [of.actions[number - 1] for number in tried]
    positives = [int((part.outcome[part.arm == place + 1] > 0).sum()) for place in range(len(names))]
    estimate, error = fit.calibration.alone.copy(), fit.calibration.alone_error.copy()
    for place, number in enumerate(tried):
        if delayed is not None and np.isfinite(delayed.error[number - 1]) and positives[place] < CALIBRATED:
            estimate[place], error[place] = by_precision(
                (estimate[place], error[place]), (delayed.effect[number - 1], delayed.error[number - 1])
            )
    pooled = pooled_means(estimate, error)
    untold, said = _untold(fit, part), fit.unseen.std(axis=0)
    alone: list[ActionEffect] = []
    effects: list[ActionEffect] = []
    controls = int(drawn[0])
    for place, name in enumerate(names):
        enough = positives[place] >= CALIBRATED and controls >= CALIBRATED
        effect, deviation = combined(float(pooled[0][place]), float(pooled[1][place]), assumed[name])
        told = ActionEffect(
            action=name,
            effect=effect,
            error=deviation,
            centre=tuple(float(value) for value in fit.calibration.centre[:, place]),
            positives=positives[place],
            controls=controls,
            status=EffectStatus.CALIBRATED if enough else EffectStatus.LEARNING,
            spread=float(untold[place]),
        )
        effects.append(told)
        own = {"effect": float(estimate[place]), "error": float(error[place])}
        alone.append(told.model_copy(update=own | {"spread": float(np.hypot(untold[place], said[place]))}))
    learned = OutcomeEffects(
        outcome=of.name,
        actions=tuple(effects),
        learners=fit.learners,
        weights=tuple(fit.calibration.weights),
        uncertainty=tuple(tuple(row) for row in fit.calibration.uncertainty),
        booster=f"{of.name}.txt",
    )
    return Learned(learned, fit.booster, fit, part, tuple(alone), _young(of, set(names), delayed))


def from_siblings(
    alone: Sequence[ActionEffect], assumed: Mapping[str, Assumption], young: Sequence[ActionEffect] = ()
) -> tuple[ActionEffect, ...]:
    """Effects of actions without enough matured decisions, the same for everybody.

    Where at least two others of their group are known, this one is believed to lie about the group's mean as they do,
    and to differ as much between customers, though nobody knows yet between which. Where it has outcomes of its own so
    far, siblings and these count by their precision; without siblings the assumption does.

    Args:
        alone: of the known actions, each by its own decisions, see ``Learned``.
        young: of others by their outcomes so far.
    """
    known = {effect.action: effect for effect in alone}
    so_far = {effect.action: effect for effect in young}
    found: list[ActionEffect] = []
    for action, assumption in assumed.items():
        siblings = [known[name] for name in known if assumed[name].group == assumption.group]
        own = so_far.get(action)
        if action in known or (len(siblings) < 2 and own is None):
            continue
        effect, error, spread = assumption.mean, assumption.deviation, 0.0
        if len(siblings) >= 2:
            _, (effect, error) = random_effects(
                np.array([one.effect for one in siblings]), np.array([one.error for one in siblings])
            )
            spread = float(np.sqrt(np.mean([one.spread**2 for one in siblings])))
        if own is not None:
            effect, error = by_precision((own.effect, own.error), (effect, error))
        found.append(
            ActionEffect(
                action=action,
                effect=effect,
                error=error,
                centre=(),
                positives=0 if own is None else own.positives,
                controls=min(one.controls for one in siblings) if own is None else own.controls,
                status=EffectStatus.PRIOR if own is None else EffectStatus.LEARNING,
                spread=spread,
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


def _untold(fit: UpliftFit, trial: Trial) -> Floats:
    """By how much customers differ in each action's effect beyond what is said of them, shape (actions,).

    The effects of an action that was seldom tried differ as much as those of actions that were tried as often as the
    median one. What of that is left by so many decisions is what a regression on as many inputs would leave. What the
    learners say cannot tell: noise looks as sure as knowledge.
    """
    said = fit.unseen.var(axis=0)
    seldom = 1 - 1 / trial.thinness[1:]
    usual = float(said[seldom == 0].mean())
    noise = float(np.mean((trial.outcome - fit.outcome[np.arange(len(trial)), trial.arm]) ** 2))
    inputs = len(fit.learners.robust[0]) - 1
    needed = inputs * noise / max(usual, 1e-12)  # decisions that halve what is not known
    return np.sqrt(seldom * usual * needed / (needed + trial.in_arm[:, 1:].sum(axis=0)))


def _young(of: LearnableOutcome, tried: set[str], delayed: DelayedEffects | None) -> tuple[ActionEffect, ...]:
    if delayed is None:
        return ()
    return tuple(
        ActionEffect(
            action=name,
            effect=float(delayed.effect[number]),
            error=float(delayed.error[number]),
            centre=(),
            positives=int(delayed.positives[number]),
            controls=delayed.controls,
            status=EffectStatus.LEARNING,
        )
        for number, name in enumerate(of.actions)
        if name not in tried and np.isfinite(delayed.error[number])
    )


def combined(effect: float, error: float, assumption: Assumption) -> tuple[float, float]:
    """Estimate and assumption, each weighed by its precision, and the deviation of the result."""
    return by_precision((effect, error), (assumption.mean, assumption.deviation))


def by_precision(one: tuple[float, float], other: tuple[float, float]) -> tuple[float, float]:
    """Two estimates of the same with their errors, each weighed by its precision, and the error of the result."""
    first, second = 1 / max(one[1], 1e-12) ** 2, 1 / max(other[1], 1e-12) ** 2
    return (one[0] * first + other[0] * second) / (first + second), float((first + second) ** -0.5)
