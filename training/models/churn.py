"""The churn model, fitted and described for the score."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from features.engine.definition import FeatureSet
from kernel.artefacts import ChurnManifest, percentile_grid
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import NotEnoughDataError
from kernel.settings import Settings
from training.dataset import TrainingSet
from training.evaluation.groups import group_interval
from training.models.columns import model_columns
from training.models.mixture import fit_mixture

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
    check_outcomes(data)
    columns = model_columns(features, data.features)
    mixture = fit_mixture(data, columns, settings.training.seed)
    happened, cutoff = data.churned[mixture.chosen], data.cutoff[mixture.chosen]
    manifest = ChurnManifest(
        project=settings.project.name,
        currency=settings.project.currency,
        as_of=as_of,
        horizon_days=settings.churn.horizon_days,
        definition=settings.churn.definition,
        active_days=settings.churn.active_days,
        data_fingerprint=fingerprint,
        columns=columns,
        percentile_grid=(0.0, 1.0),
        trees_weight=mixture.trees_weight,
        linear=mixture.line,
        slope=mixture.slope,
        intercept=mixture.intercept,
        interval=group_interval(mixture.unseen, happened, cutoff),
        base_rate=float(happened.mean()),
        bands=settings.churn.bands,
    )
    model = ChurnPredictor(manifest, mixture.trees)
    grid = percentile_grid(model.probability(model.inputs(population)))
    return ChurnPredictor(manifest.model_copy(update={"percentile_grid": grid}), mixture.trees)


def check_outcomes(data: TrainingSet) -> None:
    """Raise NotEnoughDataError unless 20 customers churned and 20 stayed."""
    churners = data.customers[data.churned == 1].nunique()
    stayers = data.customers[data.churned == 0].nunique()
    if min(churners, stayers) < FEWEST_OF_EACH:
        raise NotEnoughDataError(
            f"{churners} customers churned and {stayers} stayed in the training windows; a model needs {FEWEST_OF_EACH}"
            " of each.",
            where="churn",
            fix="Change [churn] active_days or horizon_days so that both happen, or bring more customers.",
        )
