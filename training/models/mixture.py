"""Boosted trees and a ridge regression, mixed and calibrated on customers they did not see."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from sklearn.linear_model import LogisticRegression

from kernel.artefacts import FeatureColumn, model_matrix
from kernel.churn_predictor import raw_log_odds
from kernel.linear_part import LinearPart
from kernel.part import Floats
from training.dataset import Flags, TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.models.boosting import fit_booster
from training.models.linear import PENALTIES, fit_linear

# Random thresholds, and a third of the features a tree: chosen, with the number of rounds, on Complete Journey's
# cut-offs of June and July 2017, by AUC and average precision.
TREES: dict[str, Any] = {"objective": "binary", "extra_trees": True, "feature_fraction": 0.3}
ROUNDS = 400
WEIGHTS = (0.5, 1.0, 0.0)
"""Of the trees beside the line; the first that nothing beats is taken."""
_MOST_ROWS = 20_000
"""Of the line, which has few weights and gains nothing from more."""


@dataclass(frozen=True)
class Mixture:
    """Log-odds = slope x (weight x trees + (1 - weight) x line) + intercept.

    Attributes:
        line: None where the trees have all the weight.
        chosen: the rows of training that the calibration looked at, shape (rows,).
        unseen: their calibrated probabilities, by models that had not seen their customer, shape (chosen rows,).
    """

    trees: lgb.Booster
    line: LinearPart | None
    trees_weight: float
    slope: float
    intercept: float
    chosen: Flags
    unseen: Floats

    def of(self, columns: tuple[FeatureColumn, ...]) -> Callable[[TrainingSet], Floats]:
        """Rows -> their probabilities, shape (rows,)."""

        def probability(rows: TrainingSet) -> Floats:
            inputs = model_matrix(rows.features, columns)
            raw = raw_log_odds(self.trees, self.line, self.trees_weight, inputs)
            return 1 / (1 + np.exp(-(self.slope * raw + self.intercept)))

        return probability


def fit_mixture(data: TrainingSet, columns: tuple[FeatureColumn, ...], seed: int) -> Mixture:
    """Fit both, choose the line's penalty and the weights by what is unexplained of unseen customers, and calibrate."""
    chosen = newest_half(data)
    happened = data.churned[chosen]
    raw = out_of_fold(data, lambda rows: _fit(rows, columns, seed, PENALTIES).raw)[chosen]
    penalty = min(range(len(PENALTIES)), key=lambda i: _unexplained(raw[:, 1 + i], happened))
    mixed = {weight: weight * raw[:, 0] + (1 - weight) * raw[:, 1 + penalty] for weight in WEIGHTS}
    weight = min(WEIGHTS, key=lambda weight: _unexplained(mixed[weight], happened))
    slope, intercept = platt(mixed[weight], happened)
    final = _fit(data, columns, seed, [PENALTIES[penalty]] if weight < 1 else [])
    return Mixture(
        final.trees,
        final.lines[0] if final.lines else None,
        weight,
        slope,
        intercept,
        chosen,
        1 / (1 + np.exp(-(slope * mixed[weight] + intercept))),
    )


def platt(raw: Floats, happened: Floats) -> tuple[float, float]:
    """Slope and intercept that make raw log-odds probabilities (Platt 1999); the order of scores never changes."""
    model = LogisticRegression(C=np.inf).fit(raw.reshape(-1, 1), happened)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    # A slope at or below 0 means that the score ranks nothing out of customer: leave it as it was fitted.
    return (slope, intercept) if slope > 0 else (1.0, 0.0)


@dataclass(frozen=True)
class _Fitted:
    columns: tuple[FeatureColumn, ...]
    trees: lgb.Booster
    lines: list[LinearPart]

    def raw(self, rows: TrainingSet) -> Floats:
        """Log-odds of the trees, then of each line, shape (rows, 1 + lines)."""
        inputs = model_matrix(rows.features, self.columns)
        trees = np.asarray(self.trees.predict(inputs, raw_score=True))
        return np.column_stack([trees, *(line.log_odds(inputs) for line in self.lines)])


def _fit(rows: TrainingSet, columns: tuple[FeatureColumn, ...], seed: int, penalties: Sequence[float]) -> _Fitted:
    trees = fit_booster(rows.features, columns, rows.churned, seed=seed, rounds=ROUNDS, **TREES)
    some = rows.at_most(_MOST_ROWS, "line")
    inputs = model_matrix(some.features, columns)
    return _Fitted(columns, trees, [fit_linear(inputs, columns, some.churned, penalty) for penalty in penalties])


def _unexplained(raw: Floats, happened: Floats) -> float:
    """Mean log-loss of raw log-odds, once calibrated."""
    slope, intercept = platt(raw, happened)
    log_odds = slope * raw + intercept
    return float(np.mean(np.logaddexp(0, log_odds) - happened * log_odds))
