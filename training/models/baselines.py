"""What a user would do without us; every report sets a model beside these."""

from __future__ import annotations

import numpy as np
import pandas as pd

from kernel.artefacts import Floats
from training.dataset import TrainingSet
from training.models.habits import habit_regression, habits


def recency_rule(features: pd.DataFrame) -> Floats:
    """Who has been away longest leaves first: days since the last purchase, shape (rows,)."""
    return features["days_since_last_purchase"].to_numpy()


def logistic_churn(train: TrainingSet, features: pd.DataFrame) -> Floats:
    """Churn probabilities of a logistic regression on recency, frequency and money, shape (rows,)."""
    return np.asarray(habit_regression(train.features, train.churned).predict_proba(habits(features)))[:, 1]


def carry_forward(features: pd.DataFrame, horizon_days: int) -> Floats:
    """The spend of the last days goes on: the window nearest to the horizon, scaled to it, shape (rows,)."""
    window = min((30, 60, 90, 365), key=lambda days: abs(days - horizon_days))
    return features[f"spend_{window}d"].to_numpy() * horizon_days / window
