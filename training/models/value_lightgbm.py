"""Two-part lifetime value: P(buys) x E(spend | buys), the second as a change of the customer's current pace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import lightgbm as lgb
import numpy as np
from scipy.optimize import nnls

from kernel.artefacts import FeatureColumn, Floats, model_matrix
from kernel.value_predictor import current_pace, spend_at_pace
from training.dataset import TrainingSet
from training.models.boosting import fit_booster

# Tweedie between Poisson (1) and gamma (2), whose variance grows like mean ** 1.5: a few large baskets do not rule the
# fit, and the mean, unlike a median's, still carries a total.
_SPEND: dict[str, Any] = {"objective": "tweedie", "tweedie_variance_power": 1.5}


@dataclass(frozen=True)
class TwoPart:
    """The fitted parts; ``pace_weights`` make the expected spend if the current pace goes on."""

    columns: tuple[FeatureColumn, ...]
    pace_weights: dict[str, float]
    horizon_days: int
    buy: lgb.Booster
    spend: lgb.Booster

    def predict(self, rows: TrainingSet) -> Floats:
        """Expected spend over the horizon, shape (rows,)."""
        matrix = model_matrix(rows.features, self.columns)
        pace = spend_at_pace(rows.features, self.pace_weights, self.horizon_days)
        change = np.asarray(self.spend.predict(matrix, raw_score=True))
        return np.asarray(self.buy.predict(matrix)) * pace * np.exp(change)


def fit_two_part(data: TrainingSet, columns: tuple[FeatureColumn, ...], horizon_days: int, seed: int) -> TwoPart:
    """Fit both parts on every row with a history.

    The log of the spend at the current pace is an offset, as exposure is in insurance: the trees only learn by how
    much a customer departs from it.
    """
    weights = fit_pace(data, horizon_days)
    buys = data.spend > 0
    buy = fit_booster(data.features, columns, buys.astype(float), seed=seed, objective="binary")
    buyers = data.rows(buys)
    pace = spend_at_pace(buyers.features, weights, horizon_days)
    level = float(np.log(buyers.spend.sum() / pace.sum()))
    spend = fit_booster(buyers.features, columns, buyers.spend, seed=seed, offset=np.log(pace) + level, **_SPEND)
    # The level belongs to the pace, so that the stored booster holds only the change.
    scaled = {name: weight * float(np.exp(level)) for name, weight in weights.items()}
    return TwoPart(columns, scaled, horizon_days, buy, spend)


def fit_pace(data: TrainingSet, horizon_days: int) -> dict[str, float]:
    """Non-negative weights of the paces at several memories that best foretell the spend (Lawson & Hanson 1974).

    Rows are weighted by the inverse root of their own pace: variance grows with spend.
    """
    paces = current_pace(data.features) | {"constant": np.full(len(data), 1 / horizon_days)}
    design = horizon_days * np.column_stack(list(paces.values()))
    scale = 1 / np.sqrt(design.mean(axis=1) + max(float(data.spend.mean()) / 10, 0.01))
    weights, _ = nnls(design * scale[:, None], np.maximum(data.spend, 0) * scale)
    return {name: float(weight) for name, weight in zip(paces, weights, strict=True)}
