"""Cut-offs: the moments at which the past is looked at as if it were the present."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from kernel.errors import NotEnoughDataError
from kernel.settings import TrainingSettings
from training.labels.window import LabelWindow


@dataclass(frozen=True, slots=True)
class TemporalSplit:
    """Train on several earlier cut-offs, test on one later: every training label is ripe at ``test``."""

    train: tuple[datetime, ...]
    test: datetime


def training_cutoffs(
    first_event: datetime, known_at: datetime, window: LabelWindow, settings: TrainingSettings
) -> tuple[datetime, ...]:
    """Cut-offs in rising order whose labels are ripe at ``known_at``: the newest possible one, then back in steps.

    Raises:
        NotEnoughDataError: fewer than two fit between the first event and ``known_at``.
    """
    newest = known_at - timedelta(days=window.days)
    earliest = first_event + timedelta(days=settings.history_days)
    cutoffs: list[datetime] = []
    cutoff = newest
    while cutoff >= earliest and len(cutoffs) < settings.max_cutoffs:
        cutoffs.append(cutoff)
        cutoff -= timedelta(days=settings.step_days)
    if len(cutoffs) < 2:
        needed = settings.history_days + window.days + settings.step_days
        have = (known_at - first_event).days
        raise NotEnoughDataError(
            f"{have} days of transactions before {known_at:%Y-%m-%d} are too few to train on.",
            where="training",
            fix=f"{needed} days are needed: shorten horizon_days or history_days, or wait {needed - have} days.",
        )
    return tuple(reversed(cutoffs))
