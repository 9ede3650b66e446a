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

    def log_odds(self, frame: pd.DataFrame) -> Floats:
        """Calibrated log-odds of churn, shape (rows,)."""
        # One thread: for single rows OpenMP's spinning costs more than the work, and the result is the same.
        raw = self.booster.predict(self._matrix(frame), raw_score=True, num_threads=1 if len(frame) < 1000 else 0)
        return self.manifest.slope * np.asarray(raw) + self.manifest.intercept

    def probability(self, frame: pd.DataFrame) -> Floats:
        """Probability of churn within the horizon, shape (rows,), in [0, 1]."""
        return 1 / (1 + np.exp(-self.log_odds(frame)))

    def interval(self, probability: Floats) -> tuple[Floats, Floats]:
        """Bounds of the churn rate among customers with such a probability; they always enclose it."""
        low, high = self.manifest.intervals.bounds(probability)
        return np.minimum(low, probability), np.maximum(high, probability)

    def percentile(self, probability: Floats) -> Floats:
        """Rank of a probability within the population scored at training, 0-100."""
        return percentiles(probability, self.manifest.percentile_grid)

    def contributions(self, frame: pd.DataFrame) -> Floats:
        """Exact TreeSHAP parts of the calibrated log-odds, shape (rows, columns + 1); the last column is the base.

        Each row sums to :meth:`log_odds` (Lundberg et al. 2020).
        """
        threads = 1 if len(frame) < 100 else 0
        parts = self.booster.predict(self._matrix(frame), pred_contrib=True, num_threads=threads)
        scaled = self.manifest.slope * np.asarray(parts)
        scaled[:, -1] += self.manifest.intercept
        return scaled

    def _matrix(self, frame: pd.DataFrame) -> Floats:
        return model_matrix(frame, self.manifest.columns)
