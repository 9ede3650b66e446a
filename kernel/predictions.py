"""A model's folder, whatever its kind, as one table of predictions: what the registry's MLflow models answer."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ConfigDict

from kernel.artefacts import MANIFEST, Floats, read_manifest
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import RegistryError
from kernel.part import Part
from kernel.uplift_predictor import UpliftPredictor
from kernel.value_predictor import ValuePredictor

Predictor = ChurnPredictor | ValuePredictor | UpliftPredictor


class AnyManifest(Part):
    """The part that the manifests of all kinds share."""

    model_config = ConfigDict(extra="ignore")

    kind: str


def load_predictor(folder: Path) -> Predictor:
    """The predictor of the kind that the folder's manifest names.

    Raises:
        RegistryError: the folder holds no model, or one of an unknown kind.
    """
    kind = read_manifest(folder, AnyManifest).kind
    if kind == "churn":
        return ChurnPredictor.load(folder)
    if kind == "value":
        return ValuePredictor.load(folder)
    if kind == "uplift":
        return UpliftPredictor.load(folder)
    raise RegistryError(
        f"There is no predictor for models of the kind '{kind}'.",
        where=str(folder / MANIFEST),
        fix="Train again with this version.",
    )


def predictions(predictor: Predictor, features: pd.DataFrame) -> pd.DataFrame:
    """One row per row of ``features``, under the same index.

    Returns:
        Churn: ``churn_probability``, ``churn_probability_low``, ``churn_probability_high`` in [0, 1],
        ``churn_percentile`` in [0, 100]. Value: what ``ValueNumbers.columns`` lists. Uplift: for each action
        ``uplift_<action>`` and its standard deviation ``uplift_<action>_error``. All float64.

    Raises:
        RegistryError: a feature that the model needs is missing.
    """
    if isinstance(predictor, ValuePredictor):
        return pd.DataFrame(predictor.numbers(features).columns(), index=features.index)
    if isinstance(predictor, UpliftPredictor):
        return pd.DataFrame(_uplift(predictor, features), index=features.index)
    return pd.DataFrame(_churn(predictor, features), index=features.index)


def _churn(predictor: ChurnPredictor, features: pd.DataFrame) -> dict[str, Floats]:
    probability = predictor.probability(predictor.inputs(features))
    low, high = predictor.interval(probability)
    return {
        "churn_probability": probability,
        "churn_probability_low": low,
        "churn_probability_high": high,
        "churn_percentile": predictor.percentile(probability),
    }


def _uplift(predictor: UpliftPredictor, features: pd.DataFrame) -> dict[str, Floats]:
    found: dict[str, Floats] = {}
    for action, effects in predictor.effects(features).items():
        found[f"uplift_{action}"] = np.broadcast_to(effects.mean, (len(features),))
        found[f"uplift_{action}_error"] = np.broadcast_to(effects.error, (len(features),))
    return found
