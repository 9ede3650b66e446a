"""Who a prediction is made for; the same rule in training, in batch and in the service.

The rules read features, so whatever holds for features (nothing after ``as_of``) holds for cohorts.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from kernel.feature_rows import Features, rows_of


def has_history(features: Features) -> NDArray[np.bool_]:
    """Whether any purchase is known, shape (rows,)."""
    return ~np.isnan(rows_of(features).number("T_days"))


def is_active(features: Features, active_days: int) -> NDArray[np.bool_]:
    """Whether the customer bought in the ``active_days`` before ``as_of``: the cohort of churn, shape (rows,)."""
    return rows_of(features).number("days_since_last_purchase") <= active_days


def subscribes(features: Features) -> NDArray[np.bool_]:
    """Whether the customer has an active contract: the cohort of subscription churn, shape (rows,)."""
    return rows_of(features).number("active_subscriptions") > 0


def is_known(features: Features, definition: str) -> NDArray[np.bool_]:
    """Whether anything is known that a definition of churn can build on: a purchase, or a contract."""
    known = has_history(features)
    return known | subscribes(features) if definition == "subscriptions" else known


def at_risk(features: Features, definition: str, active_days: int) -> NDArray[np.bool_]:
    """The cohort of a definition of churn (``[churn] definition``), shape (rows,)."""
    return subscribes(features) if definition == "subscriptions" else is_active(features, active_days)
