"""What each action changes for whom: three learners weighed by what data confirm of them.

Raw uplifts of trees are spread up to nine times too wide; anything multiplied by money must be calibrated.
"""

from __future__ import annotations

from dataclasses import dataclass

import lightgbm as lgb
import numpy as np
from scipy.optimize import nnls
from scipy.stats import norm

from kernel.encoding import Encoding
from kernel.part import Floats
from kernel.uplift_predictor import Learners
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import standard_error
from training.models.uplift_learners import (
    OutcomeModel,
    Trial,
    chosen_penalty,
    fit_outcomes,
    fit_robust_line,
    fit_shared_line,
    fit_x_learner,
    robust_effects,
    weighted_means,
)

_FOLDS = 5
_INNER_FOLDS = 2
_SIBLINGS = 3  # of fewer, no common mean is told
_AROUND = 0.25  # standard deviation of a learner's weight before there are data; the mean is a third
_UNKNOWN = 1000.0  # outcomes' standard deviations: the error of a mean effect of which nothing is known
_GRID = 40  # sizes of the differences between siblings that are looked at
_RAREST = 0.002  # variance of an outcome below which a row counts no more


@dataclass(frozen=True)
class Calibration:
    """What the learners are worth, on rows that they had not seen.

    Attributes:
        alone: mean effect of each action over the rows, doubly robust, shape (actions,); ``alone_error``: its standard
            error.
        effect: the same, siblings drawn together, shape (actions,).
        error: its standard error, shape (actions,).
        centre: mean of what each learner says, shape (3, actions).
        weights: of what each learner says beyond its mean, shape (3,); none negative, at most 1 in all.
        uncertainty: their covariance, shape (3, 3).
    """

    alone: Floats
    alone_error: Floats
    effect: Floats
    error: Floats
    centre: Floats
    weights: Floats
    uncertainty: Floats

    def apply(self, raw: Floats) -> Floats:
        """Calibrated effects, shape (rows, actions), from what the learners say, shape (3, rows, actions)."""
        return self.effect + np.einsum("l,lij->ij", self.weights, raw - self.centre[:, None])


@dataclass(frozen=True)
class UpliftFit:
    """A fitted and calibrated model of effects.

    Attributes:
        learners, booster: fitted on all rows.
        calibration: of learners that left a fifth of the customers out, on those.
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
        return self.calibration.apply(self.learners.effects(self.booster, inputs))


def fit_uplift(trial: Trial, *, seed: int = 0) -> UpliftFit:
    """Fit the learners on all rows, and calibrate them by learners that left a fifth of the customers out."""
    fold = trial.folds(_FOLDS, seed)
    raw = np.zeros((3, len(trial), trial.actions))
    outcome = np.zeros((len(trial), trial.actions + 1))
    for number in range(_FOLDS):
        learners, booster, expected = _fit_learners(trial.take(fold != number), seed + number)
        unseen = fold == number
        raw[:, unseen] = learners.effects(booster, trial.inputs[unseen])
        outcome[unseen] = expected(trial.inputs[unseen])
    scores = robust_effects(trial, outcome)
    calibration = calibrate(raw, scores, outcome, trial)
    learners, booster, _ = _fit_learners(trial, seed)
    return UpliftFit(learners, booster, calibration, calibration.apply(raw), scores, outcome)


def _fit_learners(trial: Trial, seed: int) -> tuple[Learners, lgb.Booster, OutcomeModel]:
    """The learners with their trees, and the expected outcomes that they were fitted with."""
    encoding = Encoding.of(trial.inputs, trial.categories)
    fold = trial.folds(_INNER_FOLDS, seed)
    penalty = chosen_penalty(trial, encoding, seed)
    expected = np.zeros((len(trial), trial.actions + 1))
    models: list[OutcomeModel] = []
    for number in range(_INNER_FOLDS):
        models.append(fit_outcomes(trial.take(fold != number), encoding, penalty, seed))
        expected[fold == number] = models[-1](trial.inputs[fold == number])
    line = fit_shared_line(trial, encoding, penalty)
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


def calibrate(raw: Floats, scores: Floats, outcome: Floats, trial: Trial) -> Calibration:
    """Mean effects from the doubly robust scores; weights of the learners from the residuals of the outcome.

    Before there are data each learner counts for a third, give or take a quarter; data move the weights as far as they
    are sure. A weight below 0 or a sum above 1 would spread customers against or beyond what the learners say.

    Args:
        raw: what learners say of rows that they had not seen, shape (3, rows, actions).
        scores: doubly robust, of the same rows, shape (rows, actions).
        outcome: expected under every arm by models that had not seen the row, shape (rows, 1 + actions).
    """
    centre = raw.mean(axis=1)
    found, covariance = residual_slopes(raw, outcome, trial)
    learners = len(raw)
    sure = np.linalg.inv(covariance + 1e-9 * np.eye(learners))
    before = np.eye(learners) / _AROUND**2
    root = np.linalg.cholesky(sure + before).T
    target = np.linalg.solve(root.T, sure @ found + before @ np.full(learners, 1 / learners))
    weights, _ = nnls(root, target)
    weights = weights / max(1.0, weights.sum())
    uncertainty = _inverse(sure + before)
    least = least_errors(trial.outcome - outcome[np.arange(len(trial)), trial.arm], trial)
    alone, alone_error = _means(raw - centre[:, None], scores, least, trial, weights, uncertainty)
    effect, error = pooled_means(alone, alone_error)
    return Calibration(alone, alone_error, effect, error, centre, weights, uncertainty)


def least_errors(missed: Floats, trial: Trial) -> Floats:
    """The standard error that the mean effect of each action has at least, shape (actions,): that of outcomes which
    vary about their models as much as those of all arms. Of twenty decisions none may convert; they would seem to be
    exact.

    Args:
        missed: actual less expected outcome, shape (rows,).
    """
    counted = np.where(trial.in_arm[:, 1:], trial.overlap / np.maximum(trial.probability[:, 1:], 1e-12), 0.0)
    rows = np.sqrt((counted**2).sum(axis=0)) / np.maximum(trial.overlap.sum(axis=0), 1e-12)
    spread = float(np.sqrt(np.mean(missed**2)))
    return np.where(rows > 0, rows * spread, _UNKNOWN * max(spread, 1e-12))


def _means(
    away: Floats, scores: Floats, least: Floats, trial: Trial, weights: Floats, uncertainty: Floats
) -> tuple[Floats, Floats]:
    """Mean effect of each action over all rows, and its standard error.

    Scores tell the mean over the rows in which the action was likely enough; from there the learners carry it to all.

    Args:
        away: what learners say beyond their means, shape (3, rows, actions).
        least: see ``least_errors``.
    """
    here, parts = weighted_means(scores, trial.overlap)
    error = np.array([standard_error(len(column) * column, trial.customer)[0] for column in parts.T])
    error = np.maximum(error, least)
    apart = np.stack([weighted_means(one, trial.overlap)[0] for one in away])
    carried = np.maximum(np.einsum("li,lm,mi->i", apart, uncertainty, apart), 0.0)
    return here - weights @ apart, np.sqrt(error**2 + carried)


def _inverse(matrix: Floats) -> Floats:
    return np.asarray(np.linalg.inv(matrix), dtype=np.float64)


def residual_slopes(effects: Floats, outcome: Floats, trial: Trial) -> tuple[Floats, Floats]:
    """Slopes of the actual on the given effects beyond their means, and their covariance, from the outcomes' residuals
    (Robinson 1988; Nie and Wager 2021).

    ``outcome - E(outcome)`` is regressed on ``(drawn - probability) * effect``, by the inverse variance of the outcome.
    That takes every arm for a control of every other, and tells slopes with far less noise than scores that weigh rows
    by inverse probabilities.

    Args:
        effects: of one or more models that had not seen the rows, shape (models, rows, actions).
    """
    level = np.einsum("ij,ij->i", trial.probability, outcome)
    surprise = trial.in_arm[:, 1:] - trial.probability[:, 1:]
    sureness = 1 / np.maximum(level * (1 - level), _RAREST) if trial.kind == "binary" else np.ones(len(trial))
    told = np.stack([(surprise * (one - one.mean(axis=0))).sum(axis=1) for one in effects], axis=1)
    columns = np.column_stack([told, surprise])
    weighted = columns * sureness[:, None]
    gram = columns.T @ weighted
    gram += 1e-9 * np.trace(gram) / len(gram) * np.eye(len(gram))
    slopes = np.linalg.solve(gram, weighted.T @ (trial.outcome - level))
    missed = weighted * (trial.outcome - level - columns @ slopes)[:, None]
    _, place = np.unique(trial.customer, return_inverse=True)
    sums = np.stack([np.bincount(place, weights=column) for column in missed.T], axis=1)
    spread = np.linalg.solve(gram, np.linalg.solve(gram, sums.T @ sums).T)
    return slopes[: len(effects)], spread[: len(effects), : len(effects)]


def effect_slope(effects: Floats, outcome: Floats, trial: Trial, confidence: float = 0.95) -> Interval:
    """Slope of the actual on predicted effects, 1 where they are as large as they turn out.

    Args:
        effects: of a model that had not seen the rows, shape (rows, actions).
        outcome: expected under every arm by models that had not seen the row, shape (rows, 1 + actions).
    """
    if np.ptp(effects, axis=0).max() < 1e-12:
        return Interval(0.0, -np.inf, np.inf, confidence)  # effects that are all alike have no slope
    [slope], [[variance]] = residual_slopes(effects[None], outcome, trial)
    reach = float(norm.isf((1 - confidence) / 2)) * float(np.sqrt(variance))
    return Interval(float(slope), float(slope) - reach, float(slope) + reach, confidence)


def pooled_means(estimate: Floats, error: Floats) -> tuple[Floats, Floats]:
    """Effects of sibling actions drawn towards their common mean, the more the less surely each is known, with their
    standard errors; see ``random_effects``. Of fewer than three nothing is drawn together."""
    if len(estimate) < _SIBLINGS:
        return estimate, error
    own, _ = random_effects(estimate, error)
    return own


def random_effects(estimate: Floats, error: Floats) -> tuple[tuple[Floats, Floats], tuple[float, float]]:
    """What is believed of the effects of sibling actions, and of one more of which nothing is known yet.

    Effects are normal about a common mean. By how much they differ is not known either: a half-Cauchy distribution of
    the size of their errors stands for it before there are data (Gelman 2006). One estimate of it would be 0 for half
    of the groups that differ little, and intervals then hold half as much as they say.

    Returns:
        Mean and standard deviation of each, shape (actions,), and of one more.
    """
    usual = float(np.sqrt(len(error) / np.sum(1 / error**2)))
    apart = usual * np.tan(np.pi / 2 * (np.arange(_GRID) + 0.5) / _GRID)[:, None]
    total = error**2 + apart**2
    sure = (1 / total).sum(axis=1, keepdims=True)
    common = (estimate / total).sum(axis=1, keepdims=True) / sure
    fit = -0.5 * (np.log(total) + (estimate - common) ** 2 / total).sum(axis=1) - 0.5 * np.log(sure[:, 0])
    share = np.exp(fit - fit.max())
    share /= share.sum()
    own = apart**2 / total
    each = common + own * (estimate - common)
    mean, next_mean = share @ each, float(share @ common[:, 0])
    # What is left of an action's own error, the error of the common mean, and how far it depends on the spread.
    variance = share @ (own * error**2 + (1 - own) ** 2 / sure + (each - mean) ** 2)
    next_variance = float(share @ (apart**2 + 1 / sure + (common - next_mean) ** 2)[:, 0])
    return (mean, np.sqrt(variance)), (next_mean, float(np.sqrt(next_variance)))
