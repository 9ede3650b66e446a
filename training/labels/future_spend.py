"""Future spend: net of returns, in the project's currency."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from features.contract.profiles import Profiles
from training.labels.window import LabelWindow, future_rows


def future_spend(
    profiles: Profiles, customers: pd.Index, cutoff: datetime, window: LabelWindow, known_at: datetime
) -> pd.Series:
    """Sum of the amounts in the window (a return is negative), 0.0 without any; index = ``customers``."""
    spend = future_rows(profiles, "sum(amount)", cutoff, window, known_at)
    return spend.reindex(customers).fillna(0.0).rename("spend")
