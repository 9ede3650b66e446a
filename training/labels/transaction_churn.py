"""Transaction churn: no purchase in the window."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from features.contract.profiles import Profiles
from training.labels.window import LabelWindow, future_rows


def transaction_churn(
    profiles: Profiles, customers: pd.Index, cutoff: datetime, window: LabelWindow, known_at: datetime
) -> pd.Series:
    """1.0 for a customer without any purchase in the window, else 0.0; index = ``customers``."""
    purchases = future_rows(profiles, "count(*) FILTER (amount > 0)", cutoff, window, known_at)
    return (purchases.reindex(customers).fillna(0.0) == 0).astype("float64").rename("churned")
