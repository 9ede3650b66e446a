"""Customers whom a retention action reached: what they did is no witness of what comes without one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

import numpy as np

from features.contract.profiles import Profiles
from kernel.part import Floats
from kernel.settings import ChurnSettings
from training.labels.event import Event
from training.labels.window import LabelWindow
from training.models.habits import habit_regression, habits

if TYPE_CHECKING:
    from training.dataset import TrainingSet

MOST_WEIGHT = 10.0
"""Of one row: who is nearly always treated has hardly a witness left, and one must not speak for a hundred."""


@dataclass(frozen=True)
class Treatment:
    """The retention actions of the past, looked for in the ``days`` after each cut-off."""

    event: Event
    days: int
    policy: Literal["exclude", "weight"]

    def left_out(
        self, profiles: Profiles, rows: TrainingSet, known_at: datetime, days: int | None = None
    ) -> TrainingSet:
        """The rows, without a churn outcome where the customer was treated, and with weights by the policy.

        Args:
            rows: of one or many cut-offs.
            days: of the window that are over; None for all.

        Raises:
            NotEnoughDataError: the window is not over at ``known_at``.
            UsageError: the condition cannot be read.
        """
        window, treated = LabelWindow(days or self.days), np.zeros(len(rows), dtype=bool)
        for cutoff in np.unique(rows.cutoff):
            here = rows.cutoff == cutoff
            moment = cutoff.item().replace(tzinfo=UTC)
            found = self.event(profiles, rows.customers[here], moment, window, known_at)
            treated[here] = found.to_numpy() > 0
        weight = untreated_weights(rows, treated) if self.policy == "weight" else None
        return replace(rows, churned=np.where(treated, np.nan, rows.churned), treated=treated, weight=weight)


def treatment_of(churn: ChurnSettings) -> Treatment | None:
    """What ``[churn.treatment]`` says; None where it says nothing."""
    found = churn.treatment
    if found is None:
        return None
    event = Event(found.table, found.where, "churn.treatment.where")
    return Treatment(event, churn.horizon_days, found.policy)


def untreated_weights(rows: TrainingSet, treated: np.ndarray) -> Floats:
    """What each untreated row must count for so that together they stand for all (Horvitz and Thompson 1952).

    The chance to be treated is told from recency, frequency and money; a weight is the inverse of the chance not to
    be, ``MOST_WEIGHT`` at most, and they average 1.

    Args:
        treated: bool, shape (rows,).

    Returns:
        Shape (rows,); 0 for a treated row.
    """
    if not treated.any() or treated.all():
        return (~treated).astype(float)
    chance = habit_regression(rows.features, treated.astype(float)).predict_proba(habits(rows.features))
    weight = np.where(treated, 0.0, np.minimum(1 / np.maximum(chance[:, 0], 1e-9), MOST_WEIGHT))
    return weight / weight[~treated].mean()
