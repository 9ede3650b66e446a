"""Churn by gradient boosting, calibrated on customers it did not see."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

import lightgbm as lgb
import numpy as np
import pandas as pd
from sklearn.linear_model import LogisticRegression

from features.engine.definition import FeatureSet
from kernel.artefacts import ChurnManifest, FeatureColumn, Floats, model_matrix, percentile_grid
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import NotEnoughDataError
from kernel.settings import Settings
from training.dataset import TrainingSet
from training.evaluation.out_of_fold import newest_half, out_of_fold
from training.evaluation.similar import rate_intervals
from training.models.boosting import fit_booster
from training.models.columns import model_columns

FEWEST_OF_EACH = 20  # churners, and stayers: fewer cannot carry five folds and a calibration


def fit_churn(
    data: TrainingSet,
    population: pd.DataFrame,
    features: FeatureSet,
    settings: Settings,
    as_of: datetime,
    fingerprint: str,
) -> ChurnPredictor:
    """Fit, calibrate and describe the churn model.

    Args:
        data: ripe rows of the churn cohort.
        population: features of the cohort at ``as_of``; percentiles and usual levels are read from it.
        fingerprint: of the data known at ``as_of``.

    Raises:
        NotEnoughDataError: fewer than 20 customers churned, or stayed.
    """
    _check_outcomes(data)
    columns = model_columns(features, data.features)

    def fit(rows: TrainingSet) -> lgb.Booster:
        return fit_booster(rows.features, columns, rows.churned, seed=settings.training.seed, objective="binary")

    newest = newest_half(data)
    raw = out_of_fold(data, lambda rows: _raw_scores(fit(rows), columns))[newest]
    happened, customers = data.churned[newest], data.customers[newest]
    slope, intercept = platt(raw, happened)
    booster = fit(data)
    raw_now = np.asarray(booster.predict(model_matrix(population, columns), raw_score=True))
    manifest = ChurnManifest(
        project=settings.project.name,
        currency=settings.project.currency,
        as_of=as_of,
        horizon_days=settings.churn.horizon_days,
        definition=settings.churn.definition,
        active_days=settings.churn.active_days,
        data_fingerprint=fingerprint,
        columns=columns,
        percentile_grid=percentile_grid(_sigmoid(slope * raw_now + intercept)),
        intervals=rate_intervals(_sigmoid(slope * raw + intercept), happened, customers),
        slope=slope,
        intercept=intercept,
        base_rate=float(happened.mean()),
        bands=settings.churn.bands,
    )
    return ChurnPredictor(manifest, booster)


def platt(raw: Floats, happened: Floats) -> tuple[float, float]:
    """Slope and intercept that make raw log-odds probabilities (Platt 1999); the order of scores never changes."""
    model = LogisticRegression(C=np.inf).fit(raw.reshape(-1, 1), happened)
    slope, intercept = float(model.coef_[0, 0]), float(model.intercept_[0])
    # A slope at or below 0 means that the score ranks nothing out of customer: leave it as it was fitted.
    return (slope, intercept) if slope > 0 else (1.0, 0.0)


def _raw_scores(booster: lgb.Booster, columns: tuple[FeatureColumn, ...]) -> Callable[[TrainingSet], Floats]:
    return lambda rows: np.asarray(booster.predict(model_matrix(rows.features, columns), raw_score=True))


def _sigmoid(log_odds: Floats) -> Floats:
    return 1 / (1 + np.exp(-log_odds))


def _check_outcomes(data: TrainingSet) -> None:
    churners = data.customers[data.churned == 1].nunique()
    stayers = data.customers[data.churned == 0].nunique()
    if min(churners, stayers) < FEWEST_OF_EACH:
        raise NotEnoughDataError(
            f"{churners} customers churned and {stayers} stayed in the training windows; a model needs {FEWEST_OF_EACH}"
            " of each.",
            where="churn",
            fix="Change [churn] active_days or horizon_days so that both happen, or bring more customers.",
        )
