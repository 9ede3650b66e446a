"""Features of customers as of a moment, from unified profiles."""

from __future__ import annotations

import hashlib
import re
from datetime import datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa

from features.contract.profiles import Profiles
from features.contract.sources import quoted
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet
from features.engine.scope import apply_scope

ROW_GROUP = 20_480  # a multiple of DuckDB's vectors of 2,048 rows


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
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    return pd.DataFrame({f.name: _column(table.column(f.name), f, index) for f in features}, index=index)


def write_features(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
    """The same rows as one Parquet file, without a frame in between; returns how many.

    Columns: ``customer_id``, ``consent`` (may be profiled), one per feature: DOUBLE, or VARCHAR for words, NULL where
    unknown. Rows are in the order of the ids, in groups that are small enough to be read one at a time.
    """
    cursor = profiles.connection.cursor()
    apply_scope(cursor, profiles, as_of)
    columns = "".join(f", {quoted(name)}" for name in features.names)
    select = (
        f"SELECT customer_id, coalesce(c.consent, FALSE) AS consent{columns} "
        f"FROM ({compiled(features, tuple(profiles.attributes.items()))}) AS built "
        "JOIN (SELECT customer_id, consent FROM customers) AS c USING (customer_id) ORDER BY customer_id"
    )
    place = str(file).replace("'", "''")
    options = f"FORMAT parquet, COMPRESSION zstd, ROW_GROUP_SIZE {ROW_GROUP}"
    written = cursor.execute(f"COPY ({select}) TO '{place}' ({options})").fetchone()
    assert written is not None
    return int(written[0])


def definitions_digest(features: FeatureSet, attributes: dict[str, str]) -> str:
    """A hash of what the definitions compile to: an edit shows although nobody has raised a version."""
    # Ibis writes the columns that it leaves out in the order of a set, another one in each process.
    text = re.sub(
        r"EXCLUDE \(([^)]*)\)",
        lambda found: ",".join(sorted(found[1].split(", "))),
        compiled(features, tuple(attributes.items())),
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _column(values: pa.ChunkedArray, feature: Feature, index: pd.Index) -> pd.Series:
    # Said here and not left to pandas, which would take words for its own string type, with NaN where unknown.
    if feature.is_word:
        return pd.Series(values.to_pylist(), index=index, dtype="object")
    return pd.Series(values.to_numpy(), index=index, dtype="float64")
