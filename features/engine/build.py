"""Features of customers as of a moment, from unified profiles."""

from __future__ import annotations

from datetime import datetime

import pandas as pd

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import FeatureSet
from features.engine.scope import apply_scope


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    cursor = profiles.connection.cursor()
    apply_scope(cursor, profiles, as_of)
    sql = compiled(features, tuple(profiles.attributes.items()))
    table = cursor.execute(f"SELECT * FROM ({sql}) ORDER BY customer_id").to_arrow_table()
    return pd.DataFrame(
        {feature.name: _column(table, feature.name, feature.is_word) for feature in features},
        index=pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object"),
    )


def _column(table, name: str, word: bool):  # type: ignore[no-untyped-def]
    column = table.column(name)
    return pd.array(column.to_pylist(), dtype="object") if word else column.to_numpy(zero_copy_only=False)
