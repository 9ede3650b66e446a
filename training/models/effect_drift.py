"""Do actions still work as they did? Decisions of a year ago may tell of effects that there are no more."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import norm

from kernel.encoding import Encoding
from kernel.part import Floats
from training.evaluation.off_policy import standard_error
from training.models.uplift import least_errors, residual_slopes
from training.models.uplift_learners import (
    Trial,
    chosen_penalty,
    fit_shared_line,
    robust_effects,
    weighted_means,
)

_FOLDS = 3
_BY_CHANCE = 0.001  # how often effects that stay the same are taken for others
_FEWEST = 2000  # decisions of a half from which two halves are compared


@dataclass(frozen=True)
class Halves:
    """The newer half of the decisions beside the older one.

    Attributes:
        within: slope of each half's effects on what the same half says of unseen customers, the mean of both.
        across: the same on what the other half says.
        apart: by how many standard errors the slopes differ; where effects are the same, so are they.
        means: by how many standard errors mean effects differ, the most of all actions.
        differ: whether one of both is beyond chance.
    """

    within: float
    across: float
    apart: float
    means: float
    differ: bool


def newest_alike(trial: Trial, moment: Floats) -> tuple[NDArray[np.int64], Halves | None]:
    """Rows to learn from: all, or the newer half of them while it surely differs from the older one.

    Args:
        moment: of each decision, in any unit, shape (rows,).

    Returns:
        The rows, and the first comparison that found a difference; None where there is none.
    """
    rows = np.argsort(moment, kind="stable")
    found: Halves | None = None
    while len(rows) >= 2 * _FEWEST:
        older, newer = rows[: len(rows) // 2], rows[len(rows) // 2 :]
        halves = compared(trial.take(older), trial.take(newer))
        if not halves.differ:
            break
        found, rows = found or halves, newer
    return np.sort(rows), found


def compared(older: Trial, newer: Trial, seed: int = 0) -> Halves:
    """Compare what actions change in two sets of decisions, for whom and on the whole."""
    encoding = Encoding.of(newer.inputs, newer.categories)
    penalty = chosen_penalty(newer, encoding, seed)
    outcome = [_unseen(half, encoding, penalty, seed) for half in (older, newer)]
    within, across = np.zeros(2), np.zeros(2)
    variance = 0.0
    for i, (half, other) in enumerate(((older, newer), (newer, older))):
        # As many rows of the other half as those have that this half is told from, so that both are as sure.
        some = other.take(np.flatnonzero(other.folds(_FOLDS, seed) != 0))
        said = _effects(fit_shared_line(some, encoding, penalty).outcome(half.inputs))
        within[i], own = _slope(_effects(outcome[i]), outcome[i], half)
        across[i], error = _slope(said, outcome[i], half)
        variance += own + error
    apart = float((within - across).sum() / np.sqrt(variance)) if variance > 0 else 0.0
    means = _means_apart(older, outcome[0], newer, outcome[1])
    differ = apart > norm.isf(_BY_CHANCE) or means > norm.isf(_BY_CHANCE / 2 / newer.actions)
    return Halves(float(within.mean()), float(across.mean()), apart, means, bool(differ))


def _slope(effects: Floats, outcome: Floats, trial: Trial) -> tuple[float, float]:
    """And its variance; 0 where nobody differs."""
    if np.ptp(effects, axis=0).max() < 1e-12:
        return 0.0, 0.0
    [slope], [[variance]] = residual_slopes(effects[None], outcome, trial)
    return float(slope), float(variance)


def _unseen(trial: Trial, encoding: Encoding, penalty: float, seed: int) -> Floats:
    """Outcomes as lines expect them that had not seen the row, shape (rows, 1 + actions)."""
    fold = trial.folds(_FOLDS, seed)
    outcome = np.zeros((len(trial), trial.actions + 1))
    for number in range(_FOLDS):
        line = fit_shared_line(trial.take(fold != number), encoding, penalty)
        outcome[fold == number] = line.outcome(trial.inputs[fold == number])
    return outcome


def _effects(outcome: Floats) -> Floats:
    return outcome[:, 1:] - outcome[:, :1]


def _means_apart(older: Trial, old_outcome: Floats, newer: Trial, new_outcome: Floats) -> float:
    told: list[tuple[Floats, Floats]] = []
    for trial, outcome in ((older, old_outcome), (newer, new_outcome)):
        mean, parts = weighted_means(robust_effects(trial, outcome), trial.overlap)
        error = np.array([standard_error(len(part) * part, trial.customer)[0] for part in parts.T])
        missed = trial.outcome - outcome[np.arange(len(trial)), trial.arm]
        told.append((mean, np.maximum(error, least_errors(missed, trial))))
    (before, before_error), (after, after_error) = told
    return float(np.max(np.abs(after - before) / np.maximum(np.hypot(before_error, after_error), 1e-12), initial=0.0))
