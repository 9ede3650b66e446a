"""Features of customers as of a moment, from unified profiles: the one door, whichever engine computes them."""

from __future__ import annotations

from datetime import datetime

import pandas as pd
import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.definition import Feature, FeatureSet
from features.engine.engines import engine_of


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    table = engine_of(profiles).table(profiles, features, as_of)
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    return pd.DataFrame({f.name: _column(table.column(f.name), f, index) for f in features}, index=index)


def _column(values: pa.ChunkedArray, feature: Feature, index: pd.Index) -> pd.Series:
    # Said here and not left to pandas, which would take words for its own string type, with NaN where unknown.
    if feature.is_word:
        return pd.Series(values.to_pylist(), index=index, dtype="object")
    return pd.Series(values.to_numpy(), index=index, dtype="float64")
