"""The churn model, fitted and described for the score."""

from __future__ import annotations

from datetime import datetime

import numpy as np
import pandas as pd
from scipy.stats import norm

from features.engine.definition import FeatureSet
from kernel.artefacts import ChurnManifest, FeatureColumn, Unseen, model_matrix, percentile_grid
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import NotEnoughDataError, UsageError, did_you_mean
from kernel.part import Floats
from kernel.settings import ChurnSettings, Settings
from kernel.trained_range import trained_range
from training.dataset import RecentPast, TrainingSet
from training.evaluation.discrimination import ranking_metrics
from training.evaluation.groups import CONFIDENCE, group_interval
from training.models.behaviours import behaviours
from training.models.columns import model_columns
from training.models.drift import Beginning, Drift, drift
from training.models.mixture import Recipe, fit_mixture

FEWEST_OF_EACH = 20  # churners, and stayers: fewer cannot carry five folds and a calibration
_FIX_OUTCOMES = "Change [churn] active_days or horizon_days so that both happen, or bring more customers."
_NEARLY_NEVER = 1e-6


def fit_churn(
    data: TrainingSet,
    population: pd.DataFrame,
    features: FeatureSet,
    settings: Settings,
    as_of: datetime,
    fingerprint: str,
    recent: RecentPast | None = None,
) -> ChurnPredictor:
    """Fit, calibrate and describe the churn model.

    Args:
        data: ripe rows of the churn cohort.
        population: features of the cohort at ``as_of``; percentiles and usual levels are read from it.
        fingerprint: of the data known at ``as_of``.
        recent: the windows that are not over; without them the level stays that of training.

    Raises:
        NotEnoughDataError: fewer than 20 customers churned, or stayed; or no feature differs between customers.
        UsageError: ``[churn.directions]`` names no number among the features.
    """
    recipe = churn_recipe(data, features, settings)
    columns, mixture = recipe.columns, fit_mixture(data, recipe)
    seen = data.rows(mixture.chosen)
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
        drift=0.0,
        interval=group_interval(mixture.unseen, seen.churned, seen.cutoff),
        unseen=_unseen(mixture.unseen, seen),
        base_rate=float(np.average(seen.churned, weights=seen.weight)),
        trained_range=trained_range(
            model_matrix(data.features, columns), np.array([column.categories is not None for column in columns])
        ),
        bands=settings.churn.bands,
        band_margin=settings.churn.band_margin,
    )
    model = ChurnPredictor(manifest, mixture.trees)
    if recent is not None:
        model = _moved(model, _drift(model, mixture.unseen, seen, recent))
    inputs = model.inputs(population)
    now = {"percentile_grid": percentile_grid(model.probability(inputs)), "behaviours": behaviours(columns, inputs)}
    return ChurnPredictor(model.manifest.model_copy(update=now), mixture.trees)


def _unseen(probability: Floats, rows: TrainingSet) -> Unseen:
    return Unseen(
        rows=len(rows),
        customers=rows.customers.nunique(),
        churners=rows.customers[rows.churned > 0].nunique(),
        auc=ranking_metrics(probability, rows.churned).get("auc"),
    )


def _drift(model: ChurnPredictor, unseen: Floats, seen: TrainingSet, recent: RecentPast) -> Drift:
    beginnings = [
        Beginning(days, model.log_odds(model.inputs(rows.features)), rows.churned) for days, rows in recent.beginnings
    ]
    sure = np.clip(unseen, _NEARLY_NEVER, 1 - _NEARLY_NEVER)
    log_odds = np.log(sure / (1 - sure))
    return drift(log_odds, lambda days: recent.early(seen, days), beginnings, model.manifest.horizon_days)


def _moved(model: ChurnPredictor, by: Drift) -> ChurnPredictor:
    """The same model with the level of today, and intervals that say how well it is known."""
    manifest = model.manifest
    odds = manifest.base_rate / (1 - manifest.base_rate) * np.exp(by.shift)
    moved = {
        "drift": by.shift,
        "intercept": manifest.intercept + by.shift,
        "base_rate": float(odds / (1 + odds)),
        "interval": manifest.interval.model_copy(
            update={"level": by.deviation * float(norm.ppf((1 + CONFIDENCE) / 2))}
        ),
    }
    return ChurnPredictor(manifest.model_copy(update=moved), model.booster)


def churn_recipe(data: TrainingSet, features: FeatureSet, settings: Settings) -> Recipe:
    """What the settings ask for, once the rows are enough for it.

    Raises:
        NotEnoughDataError: fewer than 20 customers churned, or stayed; or no feature differs between customers.
        UsageError: ``[churn.directions]`` names no number among the features.
    """
    check_outcomes(data, _FIX_OUTCOMES)
    columns = model_columns(features, data.features)
    if not columns:
        raise NotEnoughDataError(
            "Every feature is the same for all customers: nothing tells who leaves.",
            where="churn",
            fix="Bring more of what customers did, or look whether the tables repeat one customer.",
        )
    signs = _directions(settings.churn, columns, features)
    return Recipe(columns, settings.training.seed, settings.churn.trees, signs)


def _directions(churn: ChurnSettings, columns: tuple[FeatureColumn, ...], features: FeatureSet) -> tuple[int, ...]:
    """``[churn.directions]`` for each column: 1 up, -1 down, 0 where nothing is said; empty where nothing is at all."""
    numbers = [feature.name for feature in features if not feature.is_word]  # words rise and fall nowhere
    for name in churn.directions:
        if name not in numbers:
            raise UsageError(
                f"'{name}' is no feature that is a number.", where="churn.directions", fix=did_you_mean(name, numbers)
            )
    signs = {"up": 1, "down": -1}
    found = tuple(signs.get(churn.directions.get(column.name, ""), 0) for column in columns)
    return found if any(found) else ()


def check_outcomes(data: TrainingSet, fix: str) -> None:
    """Raise NotEnoughDataError unless 20 customers churned and 20 stayed; ``fix`` says what can be done about it."""
    churners = data.customers[data.churned == 1].nunique()
    stayers = data.customers[data.churned == 0].nunique()
    if min(churners, stayers) < FEWEST_OF_EACH:
        raise NotEnoughDataError(
            f"{churners} customers churned and {stayers} stayed in what there is to learn from; a model needs "
            f"{FEWEST_OF_EACH} of each.",
            where="churn",
            fix=fix,
        )
