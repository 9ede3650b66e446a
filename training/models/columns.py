"""The inputs of a model, fixed when it is trained."""

from __future__ import annotations

import pandas as pd

from features.engine.definition import Feature, FeatureSet
from kernel.artefacts import FeatureColumn


def model_columns(features: FeatureSet, population: pd.DataFrame) -> tuple[FeatureColumn, ...]:
    """One column per feature that says anything in the population; words get their categories, numbers their median."""
    return tuple(
        _column(f, population.loc[:, f.name]) for f in features if len(population[f.name].dropna().unique()) > 1
    )


def _column(feature: Feature, values: pd.Series) -> FeatureColumn:
    known = values.dropna()
    return FeatureColumn(
        name=feature.name,
        group=feature.group,
        phrase=feature.phrase,
        unit=feature.unit.value,
        version=feature.version,
        categories=tuple(sorted(known.unique())) if feature.is_word else None,
        typical=None if feature.is_word else float(known.median()),
        usual=feature.usual,
    )
