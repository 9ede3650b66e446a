"""The 60 features that are measured, the moment, and what "the same values" means."""

from __future__ import annotations

import numpy as np
import pandas as pd

from features.definitions import feature_set
from features.engine.definition import FeatureSet
from kernel.clock import parse_as_of

AS_OF = parse_as_of("2023-12-31")
TOLERANCE = 1e-9
WINDOWS = (7, 14, 30, 60, 90, 180, 365)
IN_WINDOWS = ("orders", "spend", "mean_order", "max_order", "products", "categories")
PACES = (("spend", 30, 90), ("orders", 30, 90), ("spend", 90, 365), ("orders", 90, 365))
SO_FAR = (
    "days_since_last_purchase",
    "frequency",
    "recency_days",
    "T_days",
    "monetary_value",
    "net_spend",
    "days_since_first_purchase",
    "mean_gap_days",
    "std_gap_days",
    "longest_gap_days",
    "gap_variation",
    "overdue_ratio",
    "purchase_days_per_week",
    "spend_per_week",
)
NAMES = (
    *(f"{of}_{days}d" for days in WINDOWS for of in IN_WINDOWS),
    *SO_FAR,
    *(f"{of}_{short}d_to_{long}d" for of, short, long in PACES),
)
ZERO = (
    "frequency",
    "net_spend",
    *(f"{of}_{d}d" for d in WINDOWS for of in ("orders", "spend", "products", "categories")),
)
"""Those that are 0, not unknown, where a customer has no rows."""


def sixty() -> FeatureSet:
    """Their definitions."""
    return feature_set({}).only(set(NAMES))


def check_equal(ours: pd.DataFrame, baseline: pd.DataFrame, of: str = "pandas") -> None:
    """Raise AssertionError unless both have the same columns, and the same customers with values within TOLERANCE."""
    assert set(ours) == set(baseline), set(ours) ^ set(baseline)
    ours, baseline = ours.sort_index(), baseline.sort_index()
    assert ours.index.equals(baseline.index), f"{of} has other customers than ours"
    for name in ours:
        numbers = (part[name].to_numpy(dtype="float64", na_value=np.nan) for part in (ours, baseline))
        same = np.allclose(*numbers, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        assert same, f"'{name}' differs between {of} and ours"
