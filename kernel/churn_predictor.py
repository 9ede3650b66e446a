"""Churn probabilities and their exact reasons, from a stored model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

from kernel.artefacts import ChurnManifest, Floats, model_matrix, percentiles, read_manifest, write_manifest

BOOSTER = "booster.txt"


@dataclass(frozen=True)
class ChurnPredictor:
    """A LightGBM booster with a linear calibration of its log-odds, so that contributions stay additive."""

    manifest: ChurnManifest
    booster: lgb.Booster

    @classmethod
    def load(cls, folder: Path) -> ChurnPredictor:
        """Read a model's folder. Raises RegistryError when it is none."""
        manifest = read_manifest(folder, ChurnManifest)
        return cls(manifest, lgb.Booster(model_file=str(folder / BOOSTER)))

    def save(self, folder: Path) -> None:
        """Write the model's native files."""
        self.booster.save_model(str(folder / BOOSTER))
        write_manifest(folder, self.manifest)

    def inputs(self, frame: pd.DataFrame) -> Floats:
        """The model's inputs, shape (rows, columns). Raises RegistryError when a feature is missing."""
        return model_matrix(frame, self.manifest.columns)

    def log_odds(self, inputs: Floats) -> Floats:
        """Calibrated log-odds of churn, shape (rows,)."""
        # One thread: for single rows OpenMP's spinning costs more than the work, and the result is the same.
        raw = self.booster.predict(inputs, raw_score=True, num_threads=1 if len(inputs) < 1000 else 0)
        return self.manifest.slope * np.asarray(raw) + self.manifest.intercept

    def probability(self, inputs: Floats) -> Floats:
        """Probability of churn within the horizon, shape (rows,), in [0, 1]."""
        return 1 / (1 + np.exp(-self.log_odds(inputs)))

    def interval(self, probability: Floats) -> tuple[Floats, Floats]:
        """Bounds of the churn rate among customers with such a probability; they always enclose it."""
        curve = self.manifest.intervals
        at, low, high = np.array(curve.prediction), np.array(curve.low), np.array(curve.high)
        # The distance to the bounds is what is carried over: beyond the last point the bounds move with the prediction.
        below, above = np.interp(probability, at, np.minimum(low - at, 0)), np.interp(probability, at, high - at)
        return np.clip(probability + below, 0, 1), np.clip(probability + np.maximum(above, 0), 0, 1)

    def percentile(self, probability: Floats) -> Floats:
        """Rank of a probability within the population scored at training, 0-100."""
        return percentiles(probability, self.manifest.percentile_grid)

    def contributions(self, inputs: Floats) -> Floats:
        """Exact TreeSHAP parts of the calibrated log-odds, shape (rows, columns + 1); the last column is the base.

        Each row sums to :meth:`log_odds` (Lundberg et al. 2020).
        """
        parts = self.booster.predict(inputs, pred_contrib=True, num_threads=1 if len(inputs) < 100 else 0)
        scaled = self.manifest.slope * np.asarray(parts)
        scaled[:, -1] += self.manifest.intercept
        return scaled
