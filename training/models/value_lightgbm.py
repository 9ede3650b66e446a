"""Boosted trees of spend, as a change of what BTYD and the customer's current pace foretell."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
import pandas as pd
from scipy.optimize import nnls

from kernel.artefacts import FeatureColumn, Floats, model_matrix
from kernel.value_predictor import all_paces, spend_at_pace
from training.dataset import TrainingSet
from training.models.boosting import fit_booster

# Tweedie between Poisson (1) and gamma (2), whose variance grows like mean ** 1.5: it holds those who buy nothing, a
# few large baskets do not rule the fit, and the mean, unlike a median's, still carries a total.
_SPEND: dict[str, Any] = {"objective": "tweedie", "tweedie_variance_power": 1.5}
# As the churn model's trees: random thresholds and a third of the features a tree. Chosen on cut-offs of Complete
# Journey and Online Retail before the summer, and on CDNOW (docs/adr/0014).
_TREES: dict[str, Any] = {"rounds": 400, "extra_trees": True, "feature_fraction": 0.3}
WINSOR = 0.999
"""Spend above this quantile of those who bought counts as the quantile while the trees are grown; totals are calibrated
on all of it afterwards."""


@dataclass(frozen=True)
class Trees:
    """One booster for all of the spend, also of those who buy nothing."""

    recipe: SpendRecipe
    pace_weights: dict[str, float]
    trees: lgb.Booster

    @property
    def boosters(self) -> dict[str, lgb.Booster]:
        """By the name of their file."""
        return {"trees": self.trees}

    def predict(self, rows: TrainingSet) -> Floats:
        """Expected spend over the horizon, shape (rows,)."""
        change = self.trees.predict(self.recipe.inputs(rows), raw_score=True)
        return self.recipe.at_pace(rows, self.pace_weights) * np.exp(np.asarray(change))


@dataclass(frozen=True)
class TwoPart:
    """P(buys) x E(spend | buys)."""

    recipe: SpendRecipe
    pace_weights: dict[str, float]
    buy: lgb.Booster
    spend: lgb.Booster

    @property
    def boosters(self) -> dict[str, lgb.Booster]:
        """By the name of their file."""
        return {"buy": self.buy, "spend": self.spend}

    def predict(self, rows: TrainingSet) -> Floats:
        """Expected spend over the horizon, shape (rows,)."""
        inputs = self.recipe.inputs(rows)
        change = np.asarray(self.spend.predict(inputs, raw_score=True))
        pace = self.recipe.at_pace(rows, self.pace_weights)
        return np.asarray(self.buy.predict(inputs)) * pace * np.exp(change)


@dataclass(frozen=True)
class SpendRecipe:
    """What the fits are told.

    Attributes:
        columns: the models' inputs.
        btyd: features -> spend over the horizon that BTYD expects, shape (rows,).
    """

    columns: tuple[FeatureColumn, ...]
    btyd: Callable[[pd.DataFrame], Floats]
    horizon_days: int
    seed: int

    def inputs(self, rows: TrainingSet) -> Floats:
        """The models' inputs, shape (rows, columns)."""
        return model_matrix(rows.features, self.columns)

    def at_pace(self, rows: TrainingSet, weights: dict[str, float]) -> Floats:
        """Expected spend if nothing changes, shape (rows,)."""
        return spend_at_pace(rows.features, self.btyd(rows.features), weights, self.horizon_days)

    def trees(self, data: TrainingSet) -> Trees:
        """One booster, fitted on every row with a history."""
        target = winsorised(data.spend)
        weights, pace = self._pace(data, target)
        fitted = fit_booster(
            data.features, self.columns, target, seed=self.seed, offset=np.log(pace), **_SPEND, **_TREES
        )
        return Trees(self, weights, fitted)

    def two_part(self, data: TrainingSet) -> TwoPart:
        """Two boosters, the second of those who bought alone."""
        buys = data.spend > 0
        buy = fit_booster(data.features, self.columns, buys.astype(float), seed=self.seed, objective="binary")
        buyers, target = data.rows(buys), winsorised(data.spend)[buys]
        weights, pace = self._pace(buyers, target)
        spend = fit_booster(buyers.features, self.columns, target, seed=self.seed, offset=np.log(pace), **_SPEND)
        return TwoPart(self, weights, buy, spend)

    def _pace(self, data: TrainingSet, target: Floats) -> tuple[dict[str, float], Floats]:
        """Weights of the paces, and what they expect of each row.

        It is an offset, as exposure is in insurance: the trees only learn by how much a customer departs from it.
        """
        weights = fit_pace(data, self.btyd(data.features), self.horizon_days)
        pace = self.at_pace(data, weights)
        # The level belongs to the pace, so that the stored booster holds only the change.
        level = float(target.sum() / pace.sum())
        return {name: weight * level for name, weight in weights.items()}, pace * level


def winsorised(spend: Floats) -> Floats:
    """Spend from 0 to the ``WINSOR`` quantile of those who bought, shape (rows,)."""
    bought = spend[spend > 0]
    return np.clip(spend, 0.0, np.quantile(bought, WINSOR)) if len(bought) else np.zeros(len(spend))


def fit_pace(data: TrainingSet, btyd: Floats, horizon_days: int) -> dict[str, float]:
    """Non-negative weights of the paces at several memories that best foretell the spend (Lawson & Hanson 1974).

    Rows are weighted by the inverse root of their own pace: variance grows with spend.
    """
    paces = all_paces(data.features, btyd, horizon_days)
    design = np.column_stack(list(paces.values()))
    scale = 1 / np.sqrt(design.mean(axis=1) + max(float(data.spend.mean()) / 10, 0.01))
    weights, _ = nnls(design * scale[:, None], np.maximum(data.spend, 0) * scale)
    return {name: float(weight) for name, weight in zip(paces, weights, strict=True)}
