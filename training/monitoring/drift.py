"""Features and scores of now beside those that a model was trained on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd

from kernel.alerts import Level
from kernel.artefacts import FeatureColumn
from kernel.monitoring_settings import MonitoringSettings
from kernel.types import Band, Status
from training.monitoring.figures import Bounded, within
from training.monitoring.outcomes import NUMBERS
from training.monitoring.reference import Reference
from training.monitoring.ripeness import Kind
from training.monitoring.shape import Psi, Shape, psi

LEAST_IMPORTANCE = 0.01
"""Share of what a model tells customers apart by, below which a feature's drift moves no score and raises no alert."""
_CONFIDENCE = 0.95
_FROM_NOTHING = 0.5


@dataclass(frozen=True, slots=True)
class FeatureDrift:
    """One feature, now beside the training.

    Attributes:
        column: as the model knows it.
        importance: its share in what the model tells customers apart by.
        psi: with an interval that holds for all important features of the model together.
        moved: the PSI that it moved by anyway, before training.
        then, now: in the same bins.
        level: by thresholds, and by ``moved`` where that is more.
        as_last_year: whether it is no other than a year before now; None where nothing is known of then, or nothing
            has to be explained.
    """

    column: FeatureColumn
    importance: float
    psi: Psi
    moved: float
    then: Shape
    now: Shape
    level: Level
    as_last_year: bool | None = None

    @property
    def matters(self) -> bool:
        """Whether it weighs enough in the model for an alert."""
        return self.importance >= LEAST_IMPORTANCE

    @property
    def rank(self) -> float:
        """How much of the model has moved: the change times the importance."""
        return self.psi.beyond_chance * self.importance

    @property
    def lost(self) -> bool:
        """Whether it is mostly a question of missing values: it was known, and now is not."""
        return self.now.missing - self.then.missing > _FROM_NOTHING * (1 - self.then.missing)


@dataclass(frozen=True, slots=True)
class ScoreDrift:
    """The scores of one moment by one model.

    Attributes:
        customers: with a number of it, and of ``Status.SCORED``.
        psi: against the customers of the training; None where these are not known.
        mean: of the number.
        shift: the mean less that of the training, with its interval.
        bands, statuses: share of the customers in each; bands of churn only.
        level: of the PSI.
    """

    as_of: datetime
    kind: Kind
    model: str
    customers: int
    psi: Psi | None
    mean: float
    shift: Bounded | None
    bands: Mapping[str, float]
    statuses: Mapping[str, float]
    level: Level


def feature_drift(
    reference: Reference,
    columns: Sequence[FeatureColumn],
    rows: pd.DataFrame,
    settings: MonitoringSettings,
    last_year: pd.DataFrame | None = None,
) -> list[FeatureDrift]:
    """Every feature of a model, those first that moved most of the model.

    Args:
        rows: features of the customers that the model speaks of now.
        last_year: the same a year before, where that is known.
    """
    important = sum(share >= LEAST_IMPORTANCE for share in reference.importance.values())
    # Of many features one moves far by chance: what is sure of one must be sure of all that can raise an alert.
    confidence = 1 - (1 - _CONFIDENCE) / max(1, important)
    found = [_one(reference, column, rows, settings, last_year, confidence) for column in columns]
    return sorted(found, key=lambda one: (-one.rank, one.column.name))


def _one(
    reference: Reference,
    column: FeatureColumn,
    rows: pd.DataFrame,
    settings: MonitoringSettings,
    last_year: pd.DataFrame | None,
    confidence: float,
) -> FeatureDrift:
    then, moved = reference.shapes[column.name], reference.moved[column.name]
    now = then.of(rows.loc[:, column.name])
    found = psi(then, now, confidence)
    level = psi_level(found, settings, moved)
    as_last_year = None
    if level is not Level.OK and last_year is not None:
        year = psi(then.of(last_year.loc[:, column.name]), now, confidence)
        as_last_year = psi_level(year, settings) is Level.OK
    importance = reference.importance.get(column.name, 0.0)
    return FeatureDrift(column, importance, found, moved, then, now, level, as_last_year)


def psi_level(found: Psi, settings: MonitoringSettings, moved: float = 0.0) -> Level:
    """Alarm or watch where the whole interval lies beyond the threshold, and beyond what is usual."""
    if found.low > max(settings.psi_alarm, moved):
        return Level.ALARM
    return Level.WATCH if found.low > max(settings.psi_watch, moved) else Level.OK


def score_drift(
    kind: Kind,
    model: str,
    scores: pd.DataFrame,
    as_of: datetime,
    reference: Reference | None,
    settings: MonitoringSettings,
) -> ScoreDrift:
    """Compare the scores of one moment by one model with those of its training.

    Args:
        scores: columns ``status``, ``churn_band`` and the number of the kind; a row a customer.
        reference: of the model that scored; None where it is not known.
    """
    scored = scores.loc[scored_by(kind, scores)]
    values = scored[NUMBERS[kind]]
    numbers = values.to_numpy(float)
    found = None if reference is None else psi(reference.score, reference.score.of(values))
    return ScoreDrift(
        as_of,
        kind,
        model,
        len(scored),
        found,
        float(numbers.mean()) if len(numbers) else float("nan"),
        None if reference is None or len(numbers) < 2 else _shift(reference.score, numbers),
        _shares(scored.loc[:, "churn_band"], Band) if kind == "churn" else {},
        _shares(scores.loc[:, "status"], Status),
        Level.OK if found is None else psi_level(found, settings),
    )


def scored_by(kind: Kind, scores: pd.DataFrame) -> np.ndarray:
    """Whose number is the model's own: churn of the cohort; value also of those who are inactive; bool."""
    own = [Status.SCORED] if kind == "churn" else [Status.SCORED, Status.INACTIVE]
    return (scores["status"].isin([str(one) for one in own]) & scores[NUMBERS[kind]].notna()).to_numpy(bool)


def _shares(values: pd.Series, names: Iterable[str]) -> dict[str, float]:
    return {str(name): float(np.mean((values == str(name)).to_numpy(bool))) if len(values) else 0.0 for name in names}


def _shift(then: Shape, now: np.ndarray) -> Bounded:
    assert then.mean is not None
    assert then.deviation is not None
    error = (then.deviation**2 / then.customers + float(now.var(ddof=1)) / len(now)) ** 0.5
    return within(float(now.mean()) - then.mean, error)
