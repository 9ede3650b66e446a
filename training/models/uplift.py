"""What each action changes for whom: three learners averaged, and their differences shrunk to what data confirm.

Raw uplifts of trees are spread up to nine times too wide; anything multiplied by money must be calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from scipy.stats import norm

from kernel.encoding import Encoding
from kernel.part import Floats
from kernel.uplift_predictor import Learners
from training.evaluation.off_policy import standard_error
from training.models.uplift_learners import (
    OutcomeModel,
    Trial,
    fit_outcomes,
    fit_robust_line,
    fit_shared_line,
    fit_x_learner,
    robust_effects,
)

_FOLDS = 5
_INNER_FOLDS = 2
_SIBLINGS = 3  # of fewer, no common mean is told


@dataclass(frozen=True)
class Calibration:
    """The best linear prediction of the effects from what the learners say (Chernozhukov et al. 2018), on rows that
    they had not seen, with one slope for all actions.

    Attributes:
        effect: mean effect of each action over the rows, doubly robust, shape (actions,).
        error: its standard error, shape (actions,).
        centre: mean of what the learners say, shape (actions,).
        raw_slope: of the effects on what the learners say; 1 where they are right, 0 where they tell nothing.
        slope_error: its standard error.
        slope: what is applied: its mean, given that it lies between 0 and 1.
    """

    effect: Floats
    error: Floats
    centre: Floats
    raw_slope: float
    slope_error: float
    slope: float

    def apply(self, raw: Floats) -> Floats:
        """Calibrated effects, shape (rows, actions), from what the learners say."""
        return self.effect + self.slope * (raw - self.centre)


@dataclass(frozen=True)
class UpliftFit:
    """A fitted and calibrated model of effects.

    Attributes:
        unseen: calibrated effect of each row of the trial by learners that had not seen it, shape (rows, actions).
        scores: doubly robust scores of the effects, of models that had not seen the row, shape (rows, actions).
        outcome: expected under every arm by such models, shape (rows, 1 + actions).
    """

    learners: Learners
    booster: lgb.Booster
    calibration: Calibration
    unseen: Floats
    scores: Floats
    outcome: Floats

    def effects(self, inputs: Floats) -> Floats:
        """Expected effect of every action, shape (rows, actions)."""
        return self.calibration.apply(self.learners.effects(self.booster, inputs).mean(axis=0))


def fit_uplift(trial: Trial, *, seed: int = 0) -> UpliftFit:
    """Fit the learners on all rows, and calibrate them by learners that left a fifth of the customers out."""
    fold = trial.folds(_FOLDS, seed)
    raw = np.zeros((len(trial), trial.actions))
    outcome = np.zeros((len(trial), trial.actions + 1))
    for number in range(_FOLDS):
        learners, booster, expected = _fit_learners(trial.take(fold != number), seed + number)
        unseen = fold == number
        raw[unseen] = learners.effects(booster, trial.inputs[unseen]).mean(axis=0)
        outcome[unseen] = expected(trial.inputs[unseen])
    scores = robust_effects(trial, outcome)
    calibration = calibrate(raw, scores, trial)
    learners, booster, _ = _fit_learners(trial, seed)
    return UpliftFit(learners, booster, calibration, calibration.apply(raw), scores, outcome)


def _fit_learners(trial: Trial, seed: int) -> tuple[Learners, lgb.Booster, OutcomeModel]:
    """The learners with their trees, and the expected outcomes that they were fitted with."""
    encoding = Encoding.of(trial.inputs, trial.categories)
    fold = trial.folds(_INNER_FOLDS, seed)
    expected = np.zeros((len(trial), trial.actions + 1))
    models: list[OutcomeModel] = []
    for number in range(_INNER_FOLDS):
        models.append(fit_outcomes(trial.take(fold != number), encoding, seed))
        expected[fold == number] = models[-1](trial.inputs[fold == number])
    line = fit_shared_line(trial, encoding, seed)
    trees = fit_x_learner(trial, expected, seed)
    robust = fit_robust_line(trial, robust_effects(trial, expected), encoding, seed)
    learners = Learners(
        kind=trial.kind,
        encoding=encoding,
        line=_columns(line.weights),
        robust=_columns(robust),
        level=tuple(trees.level),
        spread=tuple(trees.spread),
    )
    return learners, trees.booster, lambda inputs: np.mean([model(inputs) for model in models], axis=0)


def _columns(weights: Floats) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(column) for column in weights.T)


def calibrate(raw: Floats, scores: Floats, trial: Trial) -> Calibration:
    """Mean effects that lend each other strength, and one slope for all actions.

    Rows on which an action was seldom drawn tell little of the slope, and count as little.

    Args:
        raw: what learners say of rows that they had not seen, shape (rows, actions).
        scores: doubly robust, of the same rows, shape (rows, actions).
    """
    effect = scores.mean(axis=0)
    error = np.array([standard_error(column - column.mean(), trial.customer)[0] for column in scores.T])
    centre = raw.mean(axis=0)
    nothing, actions = trial.probability[:, :1], trial.probability[:, 1:]
    possible = (actions > 0) & (nothing > 0)
    sureness = np.where(possible, 1 / (1 / np.maximum(actions, 1e-9) + 1 / np.maximum(nothing, 1e-9)), 0.0)
    weight = sureness / np.maximum((sureness * (scores - effect) ** 2).mean(axis=0), 1e-12)
    level = np.maximum(weight.sum(axis=0), 1e-12)
    spread = raw - (weight * raw).sum(axis=0) / level
    missed = scores - (weight * scores).sum(axis=0) / level
    mass = float((weight * spread**2).sum())
    mean, mean_error = pooled_means(effect, error)
    if mass <= 1e-12:
        return Calibration(mean, mean_error, centre, 0.0, float("inf"), 0.0)
    raw_slope = float((weight * spread * missed).sum()) / mass
    terms = (weight * spread * (missed - raw_slope * spread)).sum(axis=1)
    slope_error = standard_error(terms, trial.customer)[0] * len(raw) / mass
    return Calibration(mean, mean_error, centre, raw_slope, slope_error, within_unit(raw_slope, slope_error))


def within_unit(estimate: float, error: float) -> float:
    """The mean of a number of which nothing is known but this estimate and that it lies between 0 and 1."""
    low, high = -estimate / error, (1 - estimate) / error
    if low > 8:  # far below 0: the normal's tail has run out of digits
        return 0.0
    if high < -8:
        return 1.0
    mass = float(norm.cdf(high) - norm.cdf(low))
    return float(np.clip(estimate + error * (norm.pdf(low) - norm.pdf(high)) / mass, 0, 1))


def pooled_means(estimate: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Effects of sibling actions drawn towards their common mean, the more the less surely each is known (random
    effects: DerSimonian and Laird 1986), with their standard errors."""
    if len(estimate) < _SIBLINGS:
        return estimate, error
    sure = 1 / error**2
    mean = float((sure * estimate).sum() / sure.sum())
    apart = float((sure * (estimate - mean) ** 2).sum()) - (len(estimate) - 1)
    between = max(0.0, apart / float(sure.sum() - (sure**2).sum() / sure.sum()))
    total = 1 / (error**2 + between)
    common = float((total * estimate).sum() / total.sum())
    own = between / (between + error**2)
    # Both what is left of an action's own error, and the error of the common mean.
    variance = own * error**2 + (1 - own) ** 2 / total.sum()
    return common + own * (estimate - common), np.sqrt(variance)
