"""Does the score put those first on whom an action works, and are the effects as large as it says?

All figures rest on the effect scores of randomised decisions: numbers whose mean over any customers is the mean effect
on them, by the known probabilities alone (``weighted_effects``) or doubly robust.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from kernel.part import Floats
from training.evaluation.discrimination import Interval
from training.evaluation.off_policy import clustered_interval

Ints = NDArray[np.int64]


def weighted_effects(arm: Ints, outcome: Floats, probability: Floats) -> Floats:
    """Effect scores by inverse probabilities, shape (rows, actions).

    Args:
        arm: 0 for doing nothing, shape (rows,).
        probability: with which each arm was drawn, shape (rows, 1 + actions).
    """
    drawn = arm[:, None] == np.arange(probability.shape[1])
    weighted = np.where(drawn, outcome[:, None] / np.maximum(probability, 1e-12), 0.0)
    return weighted[:, 1:] - weighted[:, :1]


def gain_curve(score: Floats, effect: Floats) -> tuple[Floats, Floats]:
    """What treating the customers with the highest scores brings, per customer of all.

    Args:
        score: the higher the sooner treated, shape (rows,). Of equal scores each counts as the mean of theirs.
        effect: effect scores of one action, shape (rows,).

    Returns:
        Share of customers treated, from 0 to 1, and gain; both of shape (rows + 1,).
    """
    order = np.argsort(-score, kind="stable")
    _, place, counts = np.unique(-score[order], return_inverse=True, return_counts=True)
    alike = (np.bincount(place, weights=effect[order]) / counts)[place]
    return np.linspace(0, 1, len(score) + 1), np.concatenate([[0.0], np.cumsum(alike)]) / len(score)


def qini(score: Floats, effect: Floats) -> float:
    """Area between the gain curve and that of a random order, over the mean effect (Radcliffe 2007, per customer).

    Its sign and size mean nothing where the mean effect is near 0; look at ``gain_curve`` there.
    """
    share, gain = gain_curve(score, effect)
    area = float(np.trapezoid(gain, share)) - gain[-1] / 2
    return float(area / gain[-1])


def qini_difference(
    score: Floats,
    other: Floats,
    effect: Floats,
    fold: Ints,
    *,
    draws: int = 400,
    seed: int = 0,
    confidence: float = 0.95,
) -> Interval:
    """By how much the Qini of ``score`` lies above that of ``other``: the mean over folds, and a bootstrap interval.

    Scores of different folds are of different models, so that each fold is ranked on its own.

    Args:
        fold: of each row, shape (rows,).
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(fold == number) for number in np.unique(fold)]

    def difference(rows_by_fold: list[NDArray[np.int64]]) -> float:
        return float(np.mean([qini(score[r], effect[r]) - qini(other[r], effect[r]) for r in rows_by_fold]))

    drawn = [difference([random.choice(rows, len(rows)) for rows in members]) for _ in range(draws)]
    tail = (1 - confidence) / 2
    low, high = np.quantile(drawn, [tail, 1 - tail])
    return Interval(difference(members), float(low), float(high), confidence)


def effect_by_group(
    score: Floats, effect: Floats, customer: NDArray[Any], groups: int = 10, confidence: float = 0.9
) -> list[tuple[float, Interval]]:
    """Predicted and actual mean effect of equal groups by rising prediction, the actual one with its interval."""
    order = np.argsort(score, kind="stable")
    found: list[tuple[float, Interval]] = []
    for rows in np.array_split(order, groups):
        mean = float(effect[rows].mean())
        found.append(
            (float(score[rows].mean()), clustered_interval(mean, effect[rows] - mean, customer[rows], confidence))
        )
    return found


def greedy_arms(effect: Floats, value: float | Floats, cost: Floats) -> Ints:
    """The arm worth most to each customer, 0 for doing nothing; shape (rows,).

    Args:
        effect: expected, shape (rows, actions).
        value: of one unit of the outcome.
        cost: of one contact, shape (actions,).
    """
    worth = np.hstack([np.zeros((len(effect), 1)), effect * value - cost])
    return worth.argmax(axis=1)
