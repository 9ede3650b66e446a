"""Churn probabilities and their exact reasons, from a stored model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
from numpy.typing import NDArray

from kernel.artefacts import (
    ChurnManifest,
    Floats,
    read_manifest,
    write_manifest,
)
from kernel.behaviours import Change, nearest_changes
from kernel.feature_rows import Features, rows_of
from kernel.linear_part import LinearPart
from kernel.trees import predicted
from kernel.types import Band

BOOSTER = "booster.txt"
_BANDS = (Band.LOW, Band.MEDIUM, Band.HIGH)


@dataclass(frozen=True)
class ChurnPredictor:
    """Trees and a straight line, mixed and calibrated on the scale of log-odds, so that contributions stay additive."""

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

    def inputs(self, features: Features) -> Floats:
        """The model's inputs, shape (rows, columns). Raises RegistryError when a feature is missing."""
        return self.manifest.inputs.matrix(rows_of(features))

    def line(self, inputs: Floats) -> Floats | None:
        """The effects of the straight line, shape (rows, columns); None of a model without one."""
        return None if self.manifest.linear is None else self.manifest.linear.effects(inputs)

    def log_odds(self, inputs: Floats, line: Floats | None = None) -> Floats:
        """Calibrated log-odds of churn, shape (rows,); ``line``: of :meth:`line`, where it is known already."""
        manifest = self.manifest
        raw = raw_log_odds(self.booster, manifest.linear, manifest.trees_weight, inputs, line)
        return manifest.slope * raw + manifest.intercept

    def probability(self, inputs: Floats, line: Floats | None = None) -> Floats:
        """Probability of churn within the horizon, shape (rows,), in [0, 1]."""
        return 1 / (1 + np.exp(-self.log_odds(inputs, line)))

    def interval(self, probability: Floats) -> tuple[Floats, Floats]:
        """Bounds of the churn rate among 100 customers with such a probability; they always enclose it."""
        return self.manifest.interval.bounds(probability)

    def population_interval(self) -> tuple[float, float]:
        """Where the churn rate lies for nine in ten customers of whom nothing else is known."""
        grid = self.manifest.percentile_grid
        low, _ = self.interval(np.quantile(grid, [0.05]))
        _, high = self.interval(np.quantile(grid, [0.95]))
        return min(float(low[0]), self.manifest.base_rate), max(float(high[0]), self.manifest.base_rate)

    def percentile(self, probability: Floats) -> Floats:
        """Rank of a probability within the population scored at training, 0-100."""
        return self.manifest.percentile(probability)

    def bands(self, percentile: Floats, held: NDArray[np.object_] | None = None) -> NDArray[np.object_]:
        """The band of each percentile, shape (rows,); None where it is NaN.

        Args:
            held: each customer's band in the scores before, None where there was none. It is kept until the percentile
                lies ``band_margin`` points beyond its limit, so that who stands at a limit does not change daily.
        """
        limits, margin = self.manifest.bands, self.manifest.band_margin
        level = _level(percentile, limits)
        if held is not None:
            before = np.array([-1 if band is None else _BANDS.index(band) for band in held], dtype=int)
            kept = np.clip(
                before,
                _level(percentile, (limits[0] + margin, limits[1] + margin)),
                _level(percentile, (limits[0] - margin, limits[1] - margin)),
            )
            level = np.where(before < 0, level, kept)
        bands = np.array(_BANDS, dtype=object)[level]
        bands[np.isnan(percentile)] = None
        return bands

    def changes(self, inputs: Floats, band: Band) -> list[Change]:
        """What would bring one customer into a lower band than ``band``, the nearest first; nothing for the lowest.

        It is what the model would say of another customer, who is like this one but for one behaviour. Whether an
        action brings the behaviour about, and whether the risk then falls, only an experiment tells.

        Args:
            inputs: shape (columns,).
        """
        if band is Band.LOW:
            return []
        below = self.manifest.bands[_BANDS.index(band) - 1]
        return nearest_changes(self.manifest.behaviours, inputs, self.probability, self.percentile, below)

    def contributions(self, inputs: Floats, line: Floats | None = None) -> Floats:
        """Exact parts of the calibrated log-odds, shape (rows, columns + 1); the last column is the base.

        TreeSHAP of the trees (Lundberg et al. 2020) and the effects of the line; each row sums to :meth:`log_odds`.
        """
        manifest = self.manifest
        parts = manifest.slope * manifest.trees_weight * predicted(self.booster, inputs, "contributions")
        parts[:, -1] += manifest.intercept
        if manifest.linear is not None:
            share = manifest.slope * (1 - manifest.trees_weight)
            parts[:, :-1] += share * (manifest.linear.effects(inputs) if line is None else line)
            parts[:, -1] += share * manifest.linear.intercept
        return parts


def _level(percentile: Floats, limits: tuple[float, float]) -> NDArray[np.int_]:
    return (percentile >= limits[0]).astype(int) + (percentile >= limits[1])


def raw_log_odds(
    trees: lgb.Booster, line: LinearPart | None, trees_weight: float, inputs: Floats, effects: Floats | None = None
) -> Floats:
    """What trees and line say, mixed, before it is calibrated, shape (rows,); ``effects``: of the line, if known."""
    raw = trees_weight * predicted(trees, inputs, "raw")
    return raw if line is None else raw + (1 - trees_weight) * line.log_odds(inputs, effects)
