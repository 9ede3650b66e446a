"""What a model was trained on and what it promised, kept beside it: monitoring works when the data of then is gone."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
from pydantic import ValidationError

from features.cohorts import at_risk, has_history
from kernel.artefacts import FeatureColumn
from kernel.churn_predictor import ChurnPredictor
from kernel.errors import RegistryError
from kernel.part import Floats, Part
from kernel.value_predictor import ValuePredictor
from training.monitoring.figures import ChurnFigures, ValueFigures
from training.monitoring.shape import Shape, number_shape, psi, word_shape

REFERENCE = "reference.json"
_FOR_IMPORTANCE = 2000  # rows; exact contributions take a while


class Promise(Part):
    """What the back-test beside a training showed: the models of then, on the window from ``as_of``."""

    as_of: datetime
    churn: ChurnFigures | None = None
    value: ValueFigures | None = None


class Reference(Part):
    """The customers that a model speaks of, at the moment of its training.

    Attributes:
        as_of: that moment.
        customers: how many.
        shapes: of each of the model's features.
        importance: of each, its share in what tells customers apart; they sum to 1 (empty where it uses none).
        moved: the PSI of each, beyond chance, from the newest cut-off of training until then: how much it moves anyway.
        score: the shape of the probability, or of the expected spend.
        promise: None where the history was too short for a back-test.
    """

    as_of: datetime
    customers: int
    shapes: dict[str, Shape]
    importance: dict[str, float]
    moved: dict[str, float]
    score: Shape
    promise: Promise | None = None


def make_reference(
    predictor: ChurnPredictor | ValuePredictor,
    population: pd.DataFrame,
    before: pd.DataFrame,
    promise: Promise | None = None,
) -> Reference:
    """Describe a model's customers.

    Args:
        population: features of everybody with a history when the model was trained, shape (customers, features).
        before: the same at the newest cut-off of training, or any earlier moment.
        promise: of the back-test.
    """
    rows, earlier = model_rows(predictor, population), model_rows(predictor, before)
    columns = predictor.manifest.columns
    shapes = {column.name: _shape(column, rows.loc[:, column.name]) for column in columns}
    return Reference(
        as_of=predictor.manifest.as_of,
        customers=len(rows),
        shapes=shapes,
        importance=_importance(predictor, rows),
        moved={name: psi(shape, shape.of(earlier.loc[:, name])).beyond_chance for name, shape in shapes.items()},
        score=number_shape(model_scores(predictor, rows)),
        promise=promise,
    )


def model_rows(predictor: ChurnPredictor | ValuePredictor, population: pd.DataFrame) -> pd.DataFrame:
    """The customers that a model speaks of."""
    if isinstance(predictor, ChurnPredictor):
        of = predictor.manifest
        return population.loc[at_risk(population, of.definition, of.active_days)]
    return population.loc[has_history(population)]


def model_scores(predictor: ChurnPredictor | ValuePredictor, rows: pd.DataFrame) -> Floats:
    """What a model says of its customers: probability of churn, or expected spend; shape (rows,)."""
    if isinstance(predictor, ChurnPredictor):
        return predictor.probability(predictor.inputs(rows))
    return predictor.expected_spend(rows)


def write_reference(folder: Path, reference: Reference) -> None:
    """Write it into a model's folder."""
    (folder / REFERENCE).write_text(reference.model_dump_json(), encoding="utf-8")


def read_reference(folder: Path) -> Reference | None:
    """That of a model's folder; None where the model was trained before there were any.

    Raises:
        RegistryError: it cannot be read.
    """
    file = folder / REFERENCE
    if not file.exists():
        return None
    try:
        return Reference.model_validate_json(file.read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise RegistryError(
            f"What the model was trained on cannot be read ({type(error).__name__}).",
            where=str(file),
            fix="Train again with this version.",
        ) from error


def _shape(column: FeatureColumn, values: pd.Series) -> Shape:
    if column.categories is not None:
        return word_shape(values, column.categories)
    return number_shape(values.to_numpy(dtype="float64", na_value=np.nan))


def _importance(predictor: ChurnPredictor | ValuePredictor, rows: pd.DataFrame) -> dict[str, float]:
    names = [column.name for column in predictor.manifest.columns]
    if isinstance(predictor, ChurnPredictor):
        some = rows.iloc[:: max(1, len(rows) // _FOR_IMPORTANCE)]
        parts = predictor.contributions(predictor.inputs(some))[:, :-1]
        return _shares(dict(zip(names, np.abs(parts - parts.mean(axis=0)).mean(axis=0), strict=True)))
    if not names:
        return {}
    gains = sum(booster.feature_importance("gain")[: len(names)] for booster in predictor.boosters.values())
    return _shares(dict(zip(names, np.asarray(gains, dtype=float), strict=True)))


def _shares(weights: Mapping[str, float]) -> dict[str, float]:
    total = float(sum(weights.values()))
    return {name: float(weight) / total if total else 0.0 for name, weight in weights.items()}
