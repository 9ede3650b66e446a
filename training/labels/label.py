"""A label as an object: what is looked for after a cut-off, when, and of whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.cohorts import has_history, is_active
from features.contract.profiles import Profiles
from kernel.settings import ChurnSettings, ValueSettings
from training.labels.future_spend import future_spend
from training.labels.transaction_churn import transaction_churn
from training.labels.window import LabelWindow

Outcomes = Callable[[Profiles, pd.Index, datetime, LabelWindow, datetime], pd.Series]
Cohort = Callable[[pd.DataFrame], NDArray[np.bool_]]


@dataclass(frozen=True, slots=True)
class Label:
    """One outcome.

    Attributes:
        name: of the column.
        window: where it is looked for, after each cut-off.
        outcomes: (profiles, customers, cutoff, window, known_at) -> float64, index = customers.
        cohort: features -> of whom the prediction is made, shape (rows,).
    """

    name: str
    window: LabelWindow
    outcomes: Outcomes
    cohort: Cohort = has_history


def churn_label(settings: ChurnSettings, *, gap_days: int = 0) -> Label:
    """No purchase in ``horizon_days``, of customers with one in the ``active_days`` before the cut-off."""
    window = LabelWindow(settings.horizon_days, gap_days)
    return Label("churned", window, transaction_churn, lambda features: is_active(features, settings.active_days))


def spend_label(settings: ValueSettings, *, gap_days: int = 0) -> Label:
    """Net spend in ``horizon_days``, of customers who ever bought."""
    return Label("spend", LabelWindow(settings.horizon_days, gap_days), future_spend)
