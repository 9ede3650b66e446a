"""The inputs of a model, fixed when it is trained."""

from __future__ import annotations

import pandas as pd

from features.engine.definition import Feature, FeatureSet
from kernel.artefacts import FeatureColumn

MOST_WORDS = 50
"""Of one column: the most frequent. The others are too rare to tell anything, and count as unknown."""


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
        categories=frequent_words(known) if feature.is_word else None,
        typical=None if feature.is_word else float(known.median()),
        usual=feature.usual,
    )


def frequent_words(known: pd.Series) -> tuple[str, ...]:
    """The ``MOST_WORDS`` most frequent, in alphabetical order; of equally frequent ones the first in it."""
    counts: dict[str, int] = known.value_counts().to_dict()
    ranked = sorted(counts, key=lambda word: (-counts[word], word))
    return tuple(sorted(ranked[:MOST_WORDS]))
