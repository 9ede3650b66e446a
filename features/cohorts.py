"""Who a prediction is made for; the same rule in training, in batch and in the service.

The rules read features, so whatever holds for features (nothing after ``as_of``) holds for cohorts.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from numpy.typing import NDArray


def has_history(features: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether any purchase is known, shape (rows,)."""
    return features["T_days"].notna().to_numpy()


def is_active(features: pd.DataFrame, active_days: int) -> NDArray[np.bool_]:
    """Whether the customer bought in the ``active_days`` before ``as_of``: the cohort of churn, shape (rows,)."""
    return (features["days_since_last_purchase"] <= active_days).to_numpy()


def subscribes(features: pd.DataFrame) -> NDArray[np.bool_]:
    """Whether the customer has an active contract: the cohort of subscription churn, shape (rows,)."""
    return (features["active_subscriptions"] > 0).to_numpy()


def is_known(features: pd.DataFrame, definition: str) -> NDArray[np.bool_]:
    """Whether anything is known that a definition of churn can build on: a purchase, or a contract."""
    known = has_history(features)
    return known | subscribes(features) if definition == "subscriptions" else known


def at_risk(features: pd.DataFrame, definition: str, active_days: int) -> NDArray[np.bool_]:
    """The cohort of a definition of churn (``[churn] definition``), shape (rows,)."""
    return subscribes(features) if definition == "subscriptions" else is_active(features, active_days)
