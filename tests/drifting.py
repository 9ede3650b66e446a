"""Simulated customers of a model: features of many kinds, none of which changed, or one that did."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from kernel.alerts import Level, worst
from kernel.artefacts import FeatureColumn
from kernel.monitoring_settings import MonitoringSettings
from training.monitoring.drift import FeatureDrift, feature_drift
from training.monitoring.reference import Reference
from training.monitoring.shape import number_shape, word_shape

WORDS = ("north", "south", "west")
NUMBERS = 24
SETTINGS = MonitoringSettings()


def column(name: str, words: tuple[str, ...] | None = None) -> FeatureColumn:
    return FeatureColumn(
        name=name, group="rfm", phrase=name.replace("_", " "), unit="", version=1, categories=words, typical=None
    )


COLUMNS = (*(column(f"x{place}") for place in range(NUMBERS)), column("region", WORDS))


def customers(random: np.random.Generator, rows: int, shift: float = 0.0) -> pd.DataFrame:
    """Normal, skewed, mostly zero, and mostly unknown numbers in turn, and words; ``shift`` moves the first."""
    normal, found = random.normal(size=(rows, NUMBERS)), {}
    for place in range(NUMBERS):
        values = normal[:, place]
        kind = place % 4
        if kind == 1:
            values = np.exp(values)
        elif kind == 2:
            values = np.floor(np.maximum(values, 0) * 3)
        elif kind == 3:
            values = np.where(random.random(rows) < 0.6, np.nan, values)
        found[f"x{place}"] = values
    found["x0"] = found["x0"] + shift
    frame = pd.DataFrame(found)
    frame["region"] = random.choice(np.array([*WORDS, None], dtype=object), rows, p=[0.5, 0.3, 0.15, 0.05])
    return frame


def reference(frame: pd.DataFrame, moved: float = 0.0) -> Reference:
    """What a model trained on these customers keeps; all features weigh the same."""
    shapes = {one.name: number_shape(frame[one.name].to_numpy(float)) for one in COLUMNS[:NUMBERS]}
    shapes["region"] = word_shape(frame["region"], WORDS)
    return Reference(
        as_of=datetime(2024, 1, 1, tzinfo=UTC),
        customers=len(frame),
        shapes=shapes,
        importance=dict.fromkeys(shapes, 1 / len(shapes)),
        moved=dict.fromkeys(shapes, moved),
        score=number_shape(frame["x0"].to_numpy(float)),
    )


def drifted(seed: int, then: int, now: int, shift: float = 0.0) -> list[FeatureDrift]:
    """One look at a model: two draws from the same customers, but for ``shift``."""
    random = np.random.default_rng(seed)
    known = reference(customers(random, then))
    return feature_drift(known, COLUMNS, customers(random, now, shift), SETTINGS)


def share_of_alarms(runs: int, then: int, now: int, shift: float = 0.0) -> tuple[float, float]:
    """Share of looks in which any feature was in alarm, and in which any was at least watched."""
    levels = [worst(one.level for one in drifted(seed, then, now, shift)) for seed in range(runs)]
    return sum(one is Level.ALARM for one in levels) / runs, sum(one is not Level.OK for one in levels) / runs
