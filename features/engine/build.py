"""Features of customers as of a moment, from unified profiles: the one door, whichever engine computes them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

import pandas as pd
import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet
from features.engine.scope import apply_scope

Engine = Callable[[Profiles, FeatureSet, Sequence[datetime]], Iterator[tuple[datetime, pa.Table]]]
"""What computes features: for each moment at least one table of ``customer_id`` and a column per feature (float64 or
text, NULL where unknown), some customers at a time, in the order of their ids. All engines agree (``tests/spark``)."""


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    table = pa.concat_tables([table for _, table in feature_batches(profiles, features, [as_of])])
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    return pd.DataFrame({f.name: _column(table.column(f.name), f, index) for f in features}, index=index)


def feature_batches(
    profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime]
) -> Iterator[tuple[datetime, pa.Table]]:
    """Features as Arrow tables, by the engine that the project asks for: some customers at a time, for every moment."""
    return engine_of(profiles)(profiles, features, as_ofs)


def engine_of(profiles: Profiles) -> Engine:
    """The engine that the project asks for (``[engine] engine``)."""
    if profiles.engine.engine == "spark":
        from features.engine.spark import by_spark  # a project on DuckDB never pays for it

        return by_spark
    return _by_duckdb


def _by_duckdb(
    profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime]
) -> Iterator[tuple[datetime, pa.Table]]:
    cursor = profiles.connection.cursor()
    sql = compiled(features, tuple(profiles.attributes.items()))
    for as_of in as_ofs:
        apply_scope(cursor, profiles, as_of)
        yield as_of, cursor.execute(f"SELECT * FROM ({sql}) ORDER BY customer_id").to_arrow_table()


def _column(values: pa.ChunkedArray, feature: Feature, index: pd.Index) -> pd.Series:
    # Said here and not left to pandas, which would take words for its own string type, with NaN where unknown.
    if feature.is_word:
        return pd.Series(values.to_pylist(), index=index, dtype="object")
    return pd.Series(values.to_numpy(), index=index, dtype="float64")
