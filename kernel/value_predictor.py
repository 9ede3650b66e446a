"""Expected spend, P(alive) and expected purchases, from a stored model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

from kernel.artefacts import Floats, ValueManifest, model_matrix, percentiles, read_manifest, write_manifest
from kernel.btyd import BgNbd, GammaGamma

BUY, SPEND = "buy.txt", "spend.txt"


def current_pace(frame: pd.DataFrame) -> dict[str, Floats]:
    """Spend a day at several memories, each shape (rows,), never below 0: what comes if nothing changes."""

    def column(name: str) -> Floats:
        return frame[name].to_numpy(dtype="float64", na_value=np.nan)

    tenure = np.nan_to_num(column("T_days"))
    paces = {
        "spend_30d": column("spend_30d") / 30,
        "spend_90d": column("spend_90d") / 90,
        # A week more than the tenure: a customer of yesterday has no daily rate yet.
        "spend_365d": column("spend_365d") / np.minimum(tenure + 7, 365),
        "net_spend": column("net_spend") / (tenure + 14),
    }
    return {name: np.maximum(pace, 0) for name, pace in paces.items()}


def spend_at_pace(frame: pd.DataFrame, weights: dict[str, float], horizon_days: int) -> Floats:
    """Expected spend over the horizon if the weighted pace goes on, shape (rows,), at least 1 % of a currency unit."""
    paces = current_pace(frame) | {"constant": np.full(len(frame), 1 / horizon_days)}
    total = sum((weights[name] * paces[name] for name in weights), np.zeros(len(frame)))
    return np.maximum(horizon_days * total, 0.01)


@dataclass(frozen=True)
class ValuePredictor:
    """Two-part LightGBM (P(buys) x E(spend | buys), the latter an offset from the current pace) or BG/NBD with
    Gamma-Gamma, whichever won the back-test."""

    manifest: ValueManifest
    buy: lgb.Booster | None
    spend: lgb.Booster | None

    @classmethod
    def load(cls, folder: Path) -> ValuePredictor:
        """Read a model's folder. Raises RegistryError when it is none."""
        manifest = read_manifest(folder, ValueManifest)
        boosters = [lgb.Booster(model_file=str(folder / n)) if (folder / n).exists() else None for n in (BUY, SPEND)]
        return cls(manifest, *boosters)

    def save(self, folder: Path) -> None:
        """Write the model's native files."""
        for name, booster in ((BUY, self.buy), (SPEND, self.spend)):
            if booster is not None:
                booster.save_model(str(folder / name))
        write_manifest(folder, self.manifest)

    def expected_spend(self, frame: pd.DataFrame) -> Floats:
        """Expected net spend over the horizon, shape (rows,), in the project's currency."""
        by_model = self.spend_two_part if self.manifest.spend_model == "two_part" else self.spend_btyd
        return self.manifest.scale * by_model(frame)

    def interval(self, expected_spend: Floats) -> tuple[Floats, Floats]:
        """Where the actual spend of a customer with such an expectation lies; the bounds always enclose it."""
        low, high = self.manifest.intervals.bounds(expected_spend)
        return np.minimum(low, 1) * expected_spend, np.maximum(high, 1) * expected_spend

    def percentile(self, expected_spend: Floats) -> Floats:
        """Rank of an expected spend within the population scored at training, 0-100."""
        return percentiles(expected_spend, self.manifest.percentile_grid)

    def is_high_value(self, expected_spend: Floats) -> np.ndarray:
        """Whether the customer is among those of highest value, shape (rows,), bool."""
        return expected_spend >= self.manifest.high_value_from

    def probability_alive(self, frame: pd.DataFrame) -> Floats:
        """BG/NBD probability that the customer still buys, shape (rows,); NaN without a purchase."""
        known, history = _history(frame)
        return _where_known(known, lambda: self._bg_nbd.probability_alive(*history))

    def expected_purchases(self, frame: pd.DataFrame) -> Floats:
        """BG/NBD expected purchase days over the horizon, shape (rows,); NaN without a purchase."""
        known, history = _history(frame)
        horizon = self.manifest.horizon_days
        return _where_known(known, lambda: self._bg_nbd.expected_purchases(horizon, *history))

    def prior_purchases(self) -> float:
        """Expected purchase days over the horizon of a customer of whom nothing is known but the first purchase."""
        return float(self._bg_nbd.population(self.manifest.horizon_days))

    def spend_btyd(self, frame: pd.DataFrame) -> Floats:
        """Expected purchases x expected order value, net of the usual returns; 0 without a purchase."""
        monetary = frame["monetary_value"].to_numpy(dtype="float64", na_value=np.nan)
        frequency = frame["frequency"].to_numpy(dtype="float64", na_value=np.nan)
        usable = (frequency > 0) & (monetary > 0)
        order = self._gamma_gamma.expected_order_value(
            np.where(usable, frequency, 0.0), np.where(usable, monetary, 0.0)
        )
        return np.nan_to_num(self.expected_purchases(frame)) * order * self.manifest.net_share

    def spend_two_part(self, frame: pd.DataFrame) -> Floats:
        """P(buys) x E(spend | buys), before the total's calibration."""
        assert self.buy is not None and self.spend is not None
        matrix = model_matrix(frame, self.manifest.columns)
        threads = 1 if len(frame) < 1000 else 0
        buys = np.asarray(self.buy.predict(matrix, num_threads=threads))
        change = np.asarray(self.spend.predict(matrix, raw_score=True, num_threads=threads))
        pace = spend_at_pace(frame, self.manifest.pace_weights, self.manifest.horizon_days)
        return buys * pace * np.exp(change)

    @property
    def _bg_nbd(self) -> BgNbd:
        return BgNbd(**self.manifest.bg_nbd.model_dump())

    @property
    def _gamma_gamma(self) -> GammaGamma:
        return GammaGamma(**self.manifest.gamma_gamma.model_dump())


def _history(frame: pd.DataFrame) -> tuple[np.ndarray, tuple[Floats, Floats, Floats]]:
    x, t_x, T = (frame[n].to_numpy(dtype="float64", na_value=np.nan) for n in ("frequency", "recency_days", "T_days"))
    known = np.isfinite(t_x) & np.isfinite(T)
    return known, (x[known], t_x[known], T[known])


def _where_known(known: np.ndarray, compute):  # type: ignore[no-untyped-def]
    values = np.full(len(known), np.nan)
    if known.any():
        values[known] = compute()
    return values
