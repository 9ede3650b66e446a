"""Features of customers as of a moment, from unified profiles."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

import pandas as pd
import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet
from features.engine.events import prepare
from features.engine.scope import apply_scope

ROWS_AT_ONCE = 4_000_000
"""Order lines and activities that one statement aggregates: bounds its memory, whatever the number of customers."""


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    table = pa.concat_tables(list(feature_batches(profiles, features, as_of)))
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    return pd.DataFrame({f.name: _column(table.column(f.name), f, index) for f in features}, index=index)


def feature_batches(profiles: Profiles, features: FeatureSet, as_of: datetime) -> Iterator[pa.Table]:
    """The same as Arrow tables, some customers at a time, in the order of their ids; at least one table."""
    prepare(profiles)
    cursor = profiles.connection.cursor()
    sql = compiled(features, tuple(profiles.attributes.items()))
    for customers in customer_ranges(profiles):
        apply_scope(cursor, profiles, as_of, customers)
        yield cursor.execute(
            f"SELECT c.customer_id, f.* EXCLUDE (customer_id) FROM ({sql}) f JOIN prepared.customers c "
            "ON c.customer = f.customer_id ORDER BY c.customer"
        ).to_arrow_table()


def customer_ranges(profiles: Profiles) -> list[range]:
    """All customers, in ranges of about ``ROWS_AT_ONCE`` rows each."""
    customers = profiles.count("customers")
    rows = profiles.count("transactions") + profiles.count("activities")
    parts = max(1, -(-rows // ROWS_AT_ONCE))
    edges = [customers * part // parts for part in range(parts + 1)]
    return [range(start, stop) for start, stop in zip(edges, edges[1:], strict=False)]


def _column(values: pa.ChunkedArray, feature: Feature, index: pd.Index) -> pd.Series:
    # Said here and not left to pandas, which would take words for its own string type, with NaN where unknown.
    if feature.is_word:
        return pd.Series(values.to_pylist(), index=index, dtype="object")
    return pd.Series(values.to_numpy(), index=index, dtype="float64")
