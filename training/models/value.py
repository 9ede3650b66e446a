"""The lifetime-value model: both families fitted, one chosen, everything described for the score."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import numpy as np
import pandas as pd

from features.engine.definition import FeatureSet
from kernel.artefacts import (
    BgNbdParameters,
    Floats,
    GammaGammaParameters,
    Similar,
    ValueManifest,
    percentile_grid,
)
from kernel.settings import Settings
from kernel.value_predictor import ValuePredictor
from training.dataset import TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.evaluation.similar import ratio_intervals
from training.models.columns import model_columns
from training.models.value_btyd import fit_bg_nbd, fit_gamma_gamma
from training.models.value_lightgbm import TwoPart, fit_two_part

SpendModel = Literal["btyd", "two_part"]
_HISTORY = ["frequency", "recency_days", "T_days", "monetary_value"]


def fit_value(
    data: TrainingSet,
    population: pd.DataFrame,
    features: FeatureSet,
    settings: Settings,
    as_of: datetime,
    fingerprint: str,
    spend_model: SpendModel,
) -> ValuePredictor:
    """Fit BTYD on the histories known at ``as_of`` and the two-part model on ripe rows.

    Args:
        data: ripe rows of every customer with a history.
        population: features of every customer with a history at ``as_of``.
        spend_model: which of the two gives the expected spend; the back-test decides (training.champion).

    Raises:
        NotEnoughDataError: too few repeat buyers for BTYD.
    """
    columns = model_columns(features, data.features)
    horizon, seed = settings.value.horizon_days, settings.training.seed
    parts = fit_two_part(data, columns, horizon, seed)
    manifest = _described(settings, as_of, fingerprint, population, parts, spend_model)
    unscaled = ValuePredictor(manifest, parts.buy, parts.spend)
    newest = newest_half(data)
    if spend_model == "two_part":
        expected = out_of_fold(data, lambda rows: fit_two_part(rows, columns, horizon, seed).predict)[newest]
    else:
        # Four parameters for all customers: a customer's own rows do not bend them, so no folds are needed.
        expected = unscaled.spend_btyd(data.features.loc[newest])
    actual = data.spend[newest]
    scale = float(actual.sum() / expected.sum()) if expected.sum() > 0 and actual.sum() > 0 else 1.0
    expected = np.maximum(expected * scale, 0.01)
    now = scale * (
        unscaled.spend_two_part(population) if spend_model == "two_part" else unscaled.spend_btyd(population)
    )
    return ValuePredictor(
        manifest.model_copy(
            update={
                "scale": scale,
                "intervals": ratio_intervals(expected, actual),
                "percentile_grid": percentile_grid(now),
                "high_value_from": float(np.quantile(now, 1 - settings.value.high_value_share)),
                "prior_spend": float(np.mean(now)),
                **_spread(actual),
            }
        ),
        parts.buy,
        parts.spend,
    )


def _described(
    settings: Settings,
    as_of: datetime,
    fingerprint: str,
    population: pd.DataFrame,
    parts: TwoPart,
    spend_model: SpendModel,
) -> ValueManifest:
    history = population.loc[:, _HISTORY]
    bg_nbd, gamma_gamma = fit_bg_nbd(history).model, fit_gamma_gamma(history).model
    net = population["net_spend"].to_numpy()
    # Who returned everything has no gross spend that could be told from the net one.
    gross = net / np.maximum(1 - population["returned_share"].fillna(0).to_numpy(), 0.01)
    return ValueManifest(
        project=settings.project.name,
        currency=settings.project.currency,
        as_of=as_of,
        horizon_days=settings.value.horizon_days,
        data_fingerprint=fingerprint,
        columns=parts.columns,
        percentile_grid=(0.0,),
        intervals=Similar(
            method="none", confidence=0.0, customers_per_point=0, prediction=(0.0,), low=(1.0,), high=(1.0,)
        ),
        spend_model=spend_model,
        bg_nbd=BgNbdParameters(**bg_nbd.to_dict()),
        gamma_gamma=GammaGammaParameters(**gamma_gamma.to_dict()),
        net_share=float(net.sum() / gross.sum()),
        pace_weights=parts.pace_weights,
        scale=1.0,
        prior_spend=0.0,
        prior_low=0.0,
        prior_high=0.0,
        high_value_from=0.0,
    )


def _spread(actual: Floats) -> dict[str, float]:
    low, high = np.quantile(actual, [0.05, 0.95])
    return {"prior_low": float(low), "prior_high": float(high)}
