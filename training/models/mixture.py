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
from kernel.settings import TreesSettings
from training.dataset import Flags, TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.models.boosting import fit_booster
from training.models.linear import PENALTIES, fit_linear

TREES = TreesSettings()
"""Random thresholds, and a third of the features a tree: chosen, with the number of rounds, on Complete Journey's
cut-offs of June and July 2017, by AUC and average precision."""
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


@dataclass(frozen=True)
class Recipe:
    """What the fit is told.

    Attributes:
        columns: the model's inputs.
        directions: of each column, 1 where the risk only rises with it, -1 where it falls, 0 where nobody says; empty
            for none.
    """

    columns: tuple[FeatureColumn, ...]
    seed: int
    trees: TreesSettings = TREES
    directions: tuple[int, ...] = ()

    def inputs(self, rows: TrainingSet) -> Floats:
        """The model's inputs, shape (rows, columns)."""
        return model_matrix(rows.features, self.columns)

    def fit_trees(self, rows: TrainingSet) -> lgb.Booster:
        """The trees alone, uncalibrated."""
        parameters: dict[str, Any] = self.trees.model_dump()
        if any(self.directions):
            parameters["monotone_constraints"] = list(self.directions)
        return fit_booster(
            rows.features,
            self.columns,
            rows.churned,
            seed=self.seed,
            weight=rows.weight,
            objective="binary",
            **parameters,
        )


def fit_mixture(data: TrainingSet, recipe: Recipe) -> Mixture:
    """Fit both, choose the line's penalty and the weights by what is unexplained of unseen customers, and calibrate."""
    chosen = newest_half(data)
    rows = data.rows(chosen)
    raw = out_of_fold(data, lambda some: _fit(some, recipe, PENALTIES).raw)[chosen]
    penalty = min(range(len(PENALTIES)), key=lambda i: unexplained(raw[:, 1 + i], rows).mean())
    mixed = {weight: weight * raw[:, 0] + (1 - weight) * raw[:, 1 + penalty] for weight in WEIGHTS}
    weight = min(WEIGHTS, key=lambda weight: unexplained(mixed[weight], rows).mean())
    slope, intercept = platt(mixed[weight], rows)
    final = _fit(data, recipe, [PENALTIES[penalty]] if weight < 1 else [])
    return Mixture(
        final.trees,
        final.lines[0] if final.lines else None,
        weight,
        slope,
        intercept,
        chosen,
        1 / (1 + np.exp(-(slope * mixed[weight] + intercept))),
    )


def platt(raw: Floats, rows: TrainingSet) -> tuple[float, float]:
    """Slope and intercept that make raw log-odds probabilities (Platt 1999); the order of scores never changes."""
    model = LogisticRegression(C=np.inf).fit(raw.reshape(-1, 1), rows.churned, rows.weight)
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


def _fit(rows: TrainingSet, recipe: Recipe, penalties: Sequence[float]) -> _Fitted:
    some, columns = rows.at_most(_MOST_ROWS, "line"), recipe.columns
    inputs = model_matrix(some.features, columns)
    lines = [
        fit_linear(inputs, columns, some.churned, penalty, weight=some.weight, directions=recipe.directions)
        for penalty in penalties
    ]
    return _Fitted(columns, recipe.fit_trees(rows), lines)


def unexplained(raw: Floats, rows: TrainingSet) -> Floats:
    """Log-loss of each row, times its weight, by raw log-odds that were calibrated on the same rows, shape (rows,)."""
    slope, intercept = platt(raw, rows)
    log_odds = slope * raw + intercept
    loss = np.logaddexp(0, log_odds) - rows.churned * log_odds
    return loss if rows.weight is None else loss * rows.weight
