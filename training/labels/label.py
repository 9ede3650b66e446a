"""A label as an object: what is looked for after a cut-off, when, and of whom."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from features.cohorts import at_risk, has_history
from features.contract.profiles import Profiles
from kernel.settings import ChurnSettings, ValueSettings
from training.labels.event import Event
from training.labels.future_spend import future_spend
from training.labels.subscription_churn import SubscriptionChurn
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
        outcomes: (profiles, customers, cutoff, window, known_at) -> float64, index = customers; NaN where the customer
            has none, as after a competing end.
        cohort: features -> of whom the prediction is made, shape (rows,).
    """

    name: str
    window: LabelWindow
    outcomes: Outcomes
    cohort: Cohort = has_history


def churn_label(settings: ChurnSettings, *, gap_days: int = 0) -> Label:
    """The outcome and the cohort of ``[churn] definition``."""
    window = LabelWindow(settings.horizon_days, gap_days, settings.maturity_days)
    cohort = partial(at_risk, definition=settings.definition, active_days=settings.active_days)
    if settings.definition == "subscriptions":
        return Label("churned", window, SubscriptionChurn(settings.competing_ends), cohort)
    if settings.event is not None:
        return Label("happened", window, Event(settings.event.table, settings.event.where), cohort)
    return Label("churned", window, transaction_churn, cohort)


def spend_label(settings: ValueSettings, *, gap_days: int = 0) -> Label:
    """Net spend in ``horizon_days``, of customers who ever bought."""
    return Label("spend", LabelWindow(settings.horizon_days, gap_days), future_spend)
