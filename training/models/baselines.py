"""What a user would do without us; every report sets a model beside these."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kernel.artefacts import Floats
from training.dataset import TrainingSet

_RFM = ["days_since_last_purchase", "frequency", "recency_days", "T_days", "monetary_value", "spend_90d", "orders_30d"]


def recency_rule(features: pd.DataFrame) -> Floats:
    """Who has been away longest leaves first: days since the last purchase, shape (rows,)."""
    return features["days_since_last_purchase"].to_numpy()


def logistic_churn(train: TrainingSet, features: pd.DataFrame) -> Floats:
    """Churn probabilities of a logistic regression on recency, frequency and money, shape (rows,)."""
    # Counts and money are skewed: their logarithm is what a straight line can use.
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))
    model.fit(_logs(train.features), train.churned)
    return model.predict_proba(_logs(features))[:, 1]


def carry_forward(features: pd.DataFrame, horizon_days: int) -> Floats:
    """The spend of the last days goes on: the window nearest to the horizon, scaled to it, shape (rows,)."""
    window = min((30, 60, 90, 365), key=lambda days: abs(days - horizon_days))
    return features[f"spend_{window}d"].to_numpy() * horizon_days / window


def _logs(features: pd.DataFrame) -> Floats:
    return np.log1p(np.maximum(features[_RFM].to_numpy(dtype="float64"), 0))
