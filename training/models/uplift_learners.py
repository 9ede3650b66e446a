"""Three cheap learners of what an action changes for whom: each is blind in another way, so that all are asked.

Sources: Künzel, Sekhon, Bickel and Yu 2019 (S- and X-learner); Kennedy 2020 (regression of doubly robust scores).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any, Literal

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from kernel.encoding import Encoding
from kernel.part import Floats

Ints = NDArray[np.int64]

PENALTIES = (10.0, 1.0, 0.3, 0.1, 0.03, 0.01, 0.003)
"""Of half a squared weight, beside the mean loss of a row; the first leaves nothing but the mean."""
_SHARED_PENALTY = 0.001
_FOLDS = 3
_STEPS = 50
_ENOUGH = 1e-8  # of the loss of a row
_SMALLEST_STEP = 1e-4
_LARGEST_WEIGHT = 1000.0
_SELDOM = 2.0  # times as often as a seldom arm the median action was drawn
_SHRUNK = 0.5  # squares of deviations are so much smaller than what they estimate, for a ridge holds them
_RARE = 0.05  # probability of an arm below which a row tells too little of it to count in full
_ROUNDS = 80
_SMALL = 20_000
_TREES: dict[str, Any] = {
    "learning_rate": 0.06,
    "num_leaves": 8,
    "max_depth": 3,
    "min_data_in_leaf": 1,  # rows without weight count as well; the sum of weights is what limits a leaf
    "min_sum_hessian_in_leaf": 60.0,
    "lambda_l2": 30.0,
    "deterministic": True,
    "force_row_wise": True,
    "verbose": -1,
}


@dataclass(frozen=True)
class Trial:
    """Who got which action, with which probability, and what followed.

    Attributes:
        inputs: of the model, NaN where unknown, shape (rows, columns).
        categories: number of words of each column, 0 for a number.
        arm: number of the action, 0 for doing nothing, shape (rows,).
        outcome: 1.0 or 0.0, or money, shape (rows,).
        probability: with which each arm was drawn, shape (rows, 1 + actions); 0 where it could not be.
        customer: whose row it is; rows of one customer stay together in every split, shape (rows,).
        kind: of the outcome.
    """

    inputs: Floats
    categories: tuple[int, ...]
    arm: Ints
    outcome: Floats
    probability: Floats
    customer: NDArray[Any]
    kind: Literal["binary", "value"] = "binary"

    def __len__(self) -> int:
        return len(self.arm)

    @property
    def actions(self) -> int:
        """How many there are, without doing nothing."""
        return self.probability.shape[1] - 1

    @cached_property
    def in_arm(self) -> NDArray[np.bool_]:
        """Shape (rows, 1 + actions)."""
        return self.arm[:, None] == np.arange(self.actions + 1)

    @cached_property
    def overlap(self) -> Floats:
        """How much each row counts in the mean of an action's scores, see ``counted_fully``."""
        return counted_fully(self.probability)

    @cached_property
    def thinness(self) -> Floats:
        """How many times as often as each arm the median action was drawn, at least 1, shape (1 + actions,)."""
        drawn = self.in_arm.sum(axis=0)
        return np.maximum(1.0, np.median(drawn[1:]) / np.maximum(drawn, 1))

    def take(self, rows: NDArray[Any]) -> Trial:
        """Some rows only."""
        return replace(
            self,
            inputs=self.inputs[rows],
            arm=self.arm[rows],
            outcome=self.outcome[rows],
            probability=self.probability[rows],
            customer=self.customer[rows],
        )

    def folds(self, count: int, seed: int) -> Ints:
        """The fold of each row, shape (rows,); a customer is in one."""
        _, place = np.unique(self.customer, return_inverse=True)
        return np.random.default_rng(seed).permutation(int(place.max()) + 1)[place] % count


def counted_fully(probability: Floats) -> Floats:
    """How much each row counts in the mean of an action's scores, shape (rows, actions): less, the less likely the
    action or doing nothing was there, and nothing where it could not be drawn. Scores are weighed by inverse
    probabilities, and a few of them would drown the rest.

    Args:
        probability: of each arm, doing nothing first, shape (rows, 1 + actions).
    """
    return np.minimum(np.minimum(1.0, probability[:, :1] / _RARE), probability[:, 1:] / _RARE)


@dataclass(frozen=True)
class SharedLine:
    """S-learner: one line for the outcome of all arms, and each arm's own deviation from it, held short by a ridge.

    Attributes:
        weights: on the design and a column of ones, by arm, shape (width + 1, 1 + actions).
    """

    encoding: Encoding
    weights: Floats
    kind: Literal["binary", "value"]

    def outcome(self, inputs: Floats) -> Floats:
        """Expected outcome under every arm, shape (rows, 1 + actions)."""
        score = _with_ones(self.encoding.design(inputs)) @ self.weights
        return expit(score) if self.kind == "binary" else score


def chosen_penalty(trial: Trial, encoding: Encoding, seed: int) -> float:
    """The ridge of the deviations with the least loss on rows that they were not fitted on."""
    design = _with_ones(encoding.design(trial.inputs))
    fold = trial.folds(_FOLDS, seed)
    loss = np.zeros(len(PENALTIES))
    for number in range(_FOLDS):
        seen, unseen = trial.take(fold != number), trial.take(fold == number)
        shared = _shared_weights(seen, design[fold != number])
        deviations: Floats | None = None
        for i, penalty in enumerate(PENALTIES):
            deviations = _deviations(seen, design[fold != number], shared, penalty, deviations)
            loss[i] += _loss(unseen, design[fold == number] @ (shared[:, None] + deviations))
    return PENALTIES[int(np.argmin(loss))]


def fit_shared_line(trial: Trial, encoding: Encoding, penalty: float) -> SharedLine:
    """Fit the line of all arms, then each arm's deviation from it.

    Args:
        penalty: of the deviations, see ``PENALTIES``.
    """
    design = _with_ones(encoding.design(trial.inputs))
    shared = _shared_weights(trial, design)
    return SharedLine(encoding, shared[:, None] + _deviations(trial, design, shared, penalty), trial.kind)


def _shared_weights(trial: Trial, design: Floats) -> Floats:
    """Weights of the line that all arms share, shape (width + 1,); arms differ in level only."""
    levels = trial.in_arm[:, 1:].astype(float)
    penalty = np.full(design.shape[1] + levels.shape[1], _SHARED_PENALTY)
    penalty[design.shape[1] - 1] = 0.0
    columns = np.hstack([design, levels])
    return _ridge(columns, trial.outcome, np.zeros(len(trial)), penalty, trial.kind)[: design.shape[1]]


def _deviations(trial: Trial, design: Floats, shared: Floats, penalty: float, start: Floats | None = None) -> Floats:
    """Each arm's deviation from the shared line, shape (width + 1, 1 + actions).

    A penalty stands beside the mean loss of a row. An arm that was seldom drawn is held towards what the other actions
    make of doing nothing, as far as they agree, and lies as far from there as they do (empirical Bayes).

    Args:
        start: where to begin the search.
    """
    found = np.zeros((design.shape[1], trial.actions + 1))
    often = trial.thinness < _SELDOM
    for arm in np.flatnonzero(often).tolist():
        found[:, arm] = _deviation(trial, arm, design, shared, np.full(design.shape[1], penalty), start)
    if often.all():
        return found
    centre, square = _usual_deviation(found, often)
    before = _SHRUNK * _noise(trial, design, shared[:, None] + found) / max(square, 1e-12)
    for arm in np.flatnonzero(~often).tolist():
        held = max(penalty, before / max(1, np.count_nonzero(trial.arm == arm)))
        towards = centre if arm else np.zeros(len(centre))
        own = _deviation(trial, arm, design, shared + towards, np.full(design.shape[1], held), None)
        found[:, arm] = towards + own
    return found


def _deviation(
    trial: Trial, arm: int, design: Floats, shared: Floats, penalties: Floats, start: Floats | None
) -> Floats:
    rows = trial.in_arm[:, arm]
    penalties[-1] = 1e-6 if trial.kind == "value" else 1 / max(1, np.count_nonzero(rows))
    begin = None if start is None else start[:, arm]
    return _ridge(design[rows], trial.outcome[rows], design[rows] @ shared, penalties, trial.kind, begin)


def _usual_deviation(found: Floats, often: NDArray[np.bool_]) -> tuple[Floats, float]:
    """Where the deviation of one more action is to be expected, shape (width + 1,), and the mean square of how far from
    there it will lie: actions that each work in their own way have a mean too, which tells nothing of another."""
    effects = (found - found[:, :1])[:-1, 1:][:, often[1:]]
    mean = effects.mean(axis=1)
    actions = effects.shape[1]
    by_chance = float(effects.var(axis=1).mean()) / max(1, actions - 1)
    agreed = max(0.0, 1 - by_chance / max(float(np.mean(mean**2)), 1e-12)) if actions > 1 else 0.0
    centre = found[:, 0].copy()
    centre[:-1] += agreed * mean
    return centre, float(np.mean((effects - agreed * mean[:, None]) ** 2))


def _noise(trial: Trial, design: Floats, weights: Floats) -> float:
    """What the loss of a row is measured in: 1 for log-odds, the variance about the line for money."""
    if trial.kind == "binary":
        return 1.0
    return float(np.mean((trial.outcome - (design @ weights)[np.arange(len(trial)), trial.arm]) ** 2))


def _ridge(
    design: Floats,
    target: Floats,
    offset: Floats,
    penalty: Floats,
    kind: Literal["binary", "value"],
    start: Floats | None = None,
) -> Floats:
    """Weights that minimise mean loss + penalty * weight^2 / 2, by Newton's steps; shape (columns,).

    A step is halved while it does not lower the loss, so that separated outcomes end at the penalty's optimum.
    """
    weights = np.zeros(design.shape[1]) if start is None else start
    if not len(target):
        return weights
    score = offset if start is None else offset + design @ start

    def objective(score: Floats, weights: Floats) -> float:
        return _mean_loss(target, score, kind) + 0.5 * float(penalty @ weights**2)

    best = objective(score, weights)
    for _ in range(_STEPS):
        mean = expit(score) if kind == "binary" else score
        curvature = mean * (1 - mean) if kind == "binary" else np.ones(len(target))
        slope = design.T @ (mean - target) / len(target) + penalty * weights
        hessian = (design.T * curvature) @ design / len(target) + np.diag(penalty + 1e-10)
        step = np.linalg.solve(hessian, slope)
        # Twice what the step would gain if the loss were a parabola.
        if float(slope @ step) < _ENOUGH:
            break
        size = 1.0
        while size > _SMALLEST_STEP:
            tried = weights - size * step
            reached = offset + design @ tried
            value = objective(reached, tried)
            if value <= best:
                weights, score, best = tried, reached, value
                break
            size /= 2
        else:
            break
    return weights


def _mean_loss(target: Floats, score: Floats, kind: Literal["binary", "value"]) -> float:
    if kind == "value":
        return float(np.mean((target - score) ** 2)) / 2
    return float(np.mean(np.logaddexp(0, score) - target * score))


def _loss(trial: Trial, scores: Floats) -> float:
    return len(trial) * _mean_loss(trial.outcome, scores[np.arange(len(trial)), trial.arm], trial.kind)


@dataclass(frozen=True)
class Trees:
    """A booster with one output per arm or action, in units of ``spread`` on top of ``level``; both of shape
    (outputs,)."""

    booster: lgb.Booster
    level: Floats
    spread: Floats

    def outputs(self, inputs: Floats) -> Floats:
        """Shape (rows, outputs)."""
        raw = np.asarray(self.booster.predict(inputs, raw_score=True, num_threads=1 if len(inputs) < 1000 else 0))
        return self.level + self.spread * raw.reshape(len(inputs), -1)


def fit_trees(inputs: Floats, categories: tuple[int, ...], target: Floats, weight: Floats, seed: int) -> Trees:
    """Least squares on every output at once.

    Args:
        target: shape (rows, outputs).
        weight: of each row in each output, shape (rows, outputs); 0 where it does not count.
    """
    counts = weight > 0
    total = np.maximum(weight.sum(axis=0), 1e-12)
    level = (weight * target).sum(axis=0) / total
    # Weights average 1 where they count, so that a leaf's limit is a number of rows.
    scaled = weight * (counts.sum(axis=0) / total)
    rest = np.where(counts, target - level, 0.0)
    # In units of the targets' own spread, so that money and probabilities are held short alike.
    spread = np.sqrt((scaled * rest**2).sum(axis=0) / np.maximum(counts.sum(axis=0), 1))
    spread = np.where(spread > 0, spread, 1.0)

    def squares(predicted: Floats, _: lgb.Dataset) -> tuple[Floats, Floats]:
        shaped = predicted.reshape(rest.shape) if predicted.ndim == 1 else predicted
        slope, curvature = scaled * (shaped - rest / spread), scaled
        return (slope.ravel(), curvature.ravel()) if predicted.ndim == 1 else (slope, curvature)

    data = lgb.Dataset(inputs, rest[:, 0], categorical_feature=[i for i, count in enumerate(categories) if count])
    threads = 1 if len(inputs) < _SMALL else 0  # waiting for each other costs more than the work on few rows
    settings = _TREES | {"objective": squares, "num_class": target.shape[1], "seed": seed, "num_threads": threads}
    booster = lgb.train(settings, data, num_boost_round=_ROUNDS)
    return Trees(booster, level, spread)


OutcomeModel = Callable[[Floats], Floats]


def fit_outcomes(trial: Trial, encoding: Encoding, penalty: float, seed: int) -> OutcomeModel:
    """The outcome under every arm as the S-learner's line and trees see it, averaged: shape (rows, 1 + actions)."""
    line = fit_shared_line(trial, encoding, penalty)
    target = np.repeat(trial.outcome[:, None], trial.actions + 1, axis=1)
    trees = fit_trees(trial.inputs, trial.categories, target, trial.in_arm.astype(float), seed)
    return lambda inputs: (line.outcome(inputs) + trees.outputs(inputs)) / 2


def fit_x_learner(trial: Trial, outcome: Floats, seed: int) -> Trees:
    """Trees on the effects that each row shows against the other arm's expected outcome.

    Both regressions of the paper are one, in which rows of an action weigh (1 - g) / g and those of doing nothing
    g / (1 - g): where g, the action's share of the two, is small, the effect is read off the rows of the action.

    Args:
        outcome: expected under every arm by a model that has not seen the row, shape (rows, 1 + actions).
    """
    nothing, actions = trial.probability[:, :1], trial.probability[:, 1:]
    share = np.clip(actions / np.maximum(actions + nothing, 1e-12), 0.02, 0.98)
    treated, untreated = trial.in_arm[:, 1:], trial.in_arm[:, :1]
    possible = actions > 0
    effect = np.where(treated, trial.outcome[:, None] - outcome[:, :1], outcome[:, 1:] - trial.outcome[:, None])
    weight = np.where(treated, (1 - share) / share, np.where(untreated & possible, share / (1 - share), 0.0))
    found = fit_trees(trial.inputs, trial.categories, effect, weight, seed)
    # Rows of doing nothing do not make up for those that a seldom action lacks.
    return replace(found, spread=found.spread / trial.thinness[1:])


def robust_effects(trial: Trial, outcome: Floats) -> Floats:
    """Doubly robust score of every action's effect on each row, shape (rows, actions); their mean is the mean effect.

    Args:
        outcome: expected under every arm by a model that has not seen the row, shape (rows, 1 + actions).
    """
    weight = np.where(trial.in_arm, 1 / np.maximum(trial.probability, 1e-12), 0.0)
    corrected = outcome + np.minimum(weight, _LARGEST_WEIGHT) * (trial.outcome[:, None] - outcome)
    return corrected[:, 1:] - corrected[:, :1]


def fit_robust_line(trial: Trial, scores: Floats, encoding: Encoding, seed: int) -> Floats:
    """Ridge regression of the doubly robust scores, weights on the design and ones, shape (width + 1, actions).

    One ridge for all actions: the one with the least squared error on rows that it was not fitted on.
    """
    design, fold = _with_ones(encoding.design(trial.inputs)), trial.folds(_FOLDS, seed)
    weight, thinness = trial.overlap, trial.thinness[1:]
    mean, _ = weighted_means(scores, weight)
    scale = np.sqrt((weight * (scores - mean) ** 2).sum(axis=0) / np.maximum(weight.sum(axis=0), 1e-12))
    scale = np.where(scale > 0, scale, 1.0)
    loss = np.zeros(len(PENALTIES))
    for number in range(_FOLDS):
        seen, unseen = fold != number, fold == number
        for i, penalty in enumerate(PENALTIES):
            fitted = _straight_fits(design[seen], scores[seen], weight[seen], penalty * thinness)
            missed = scores[unseen] - design[unseen] @ fitted
            loss[i] += float((weight[unseen] * (missed / scale) ** 2).sum())
    return _straight_fits(design, scores, weight, PENALTIES[int(np.argmin(loss))] * thinness)


def weighted_means(scores: Floats, weight: Floats) -> tuple[Floats, Floats]:
    """Weighted mean of every column, shape (columns,), and what each row adds to it, shape (rows, columns), which sums
    to 0."""
    total = np.maximum(weight.sum(axis=0), 1e-12)
    mean = (weight * scores).sum(axis=0) / total
    return mean, weight * (scores - mean) / total


def _straight_fits(design: Floats, target: Floats, weight: Floats, penalty: Floats) -> Floats:
    """One fit by column of ``target``, each with its weights and its penalty, shape (width, columns)."""
    found: list[Floats] = []
    for column in range(target.shape[1]):
        penalties = np.full(design.shape[1], penalty[column])
        penalties[-1] = 0.0
        weighed = (design * weight[:, [column]]).T / max(float(weight[:, column].sum()), 1e-12)
        gram = weighed @ design + np.diag(penalties + 1e-10)
        found.append(np.asarray(np.linalg.solve(gram, weighed @ target[:, column]), dtype=np.float64))
    return np.stack(found, axis=1)


def _with_ones(design: Floats) -> Floats:
    return np.hstack([design, np.ones((len(design), 1))])
