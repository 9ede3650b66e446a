"""A logistic regression on recency, frequency and money: what an analyst would fit first."""

from __future__ import annotations

import numpy as np
import pandas as pd
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import StandardScaler

from kernel.part import Floats

HABITS = [
    "days_since_last_purchase",
    "frequency",
    "recency_days",
    "T_days",
    "monetary_value",
    "spend_90d",
    "orders_30d",
]


def habit_regression(features: pd.DataFrame, happened: Floats) -> Pipeline:
    """The regression, fitted; it reads :func:`habits`.

    Args:
        happened: 1.0 or 0.0, both of which occur, shape (rows,).
    """
    model = make_pipeline(SimpleImputer(strategy="median"), StandardScaler(), LogisticRegression(max_iter=1000))
    return model.fit(habits(features), happened)


def habits(features: pd.DataFrame) -> Floats:
    """Their logarithms, shape (rows, len(HABITS)): counts and money are skewed, and a straight line can use these."""
    return np.log1p(np.maximum(features[HABITS].to_numpy(dtype="float64"), 0))
