"""Features of customers as of a moment, from unified profiles: the one door, whichever engine computes them."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Container, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet
from features.engine.embedded import by_duckdb

ROW_GROUP = 20_480
Engine = Callable[[Profiles, FeatureSet, Sequence[datetime]], Iterator[tuple[datetime, pa.Table]]]
"""What computes features: for each moment at least one table of ``customer_id`` and a column per feature (float64 or
text, NULL where unknown), some customers at a time, in the order of their ids. All engines agree (``tests/spark``)."""


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    return build_many(profiles, features, [as_of])[as_of]


def build_many(profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime]) -> dict[datetime, pd.DataFrame]:
    """The same for several moments, which share the work that does not depend on the moment."""
    if not as_ofs:
        return {}
    tables: dict[datetime, list[pa.Table]] = {as_of: [] for as_of in as_ofs}
    for as_of, table in feature_batches(profiles, features, as_ofs):
        tables[as_of].append(table)
    return {as_of: to_frame(pa.concat_tables(parts), features) for as_of, parts in tables.items()}


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
    return by_duckdb


def write_features(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
    """The same rows as one Parquet file, without a frame in between; returns how many.

    Columns: ``customer_id``, ``consent`` (may be profiled), one per feature: DOUBLE, or VARCHAR for words, NULL where
    unknown. Rows are in the order of the ids, in groups that are small enough to be read one at a time.
    """
    return write_tables(profiles, (table for _, table in feature_batches(profiles, features, [as_of])), file)


def write_tables(profiles: Profiles, tables: Iterable[pa.Table], file: Path) -> int:
    """Write tables of ``customer_id`` and features, in their order, as :func:`write_features` does."""
    without = profiles.without_consent()
    rows, writer, written = 0, None, None
    # While the next are computed: encoding a column takes one core and as long as computing it from yesterday's.
    with ThreadPoolExecutor(max_workers=1) as pool:
        try:
            for table in tables:
                table = table.add_column(1, "consent", _consent(table.column("customer_id"), without))
                if writer is None:
                    writer = _writer(file, table.schema)
                if written is not None:
                    written.result()
                written = pool.submit(writer.write_table, table.cast(writer.schema), row_group_size=ROW_GROUP)
                rows += table.num_rows
            if written is not None:
                written.result()
        finally:
            pool.shutdown()
            if writer is not None:
                writer.close()
    return rows


def _writer(file: Path, schema: pa.Schema) -> pq.ParquetWriter:
    # Dictionaries of numbers would make the file larger and three times as slow to read (measured: 61 columns, zstd).
    words = [field.name for field in schema if pa.types.is_string(field.type) and field.name != "customer_id"]
    options: dict[str, Any] = {"use_dictionary": words}  # a list of columns, which its type stubs do not know
    return pq.ParquetWriter(file, schema, compression="zstd", **options)


def _consent(ids: pa.ChunkedArray, without: Container[str]) -> pa.Array:
    return pa.array([name not in without for name in ids.to_pylist()], pa.bool_())


def definitions_digest(features: FeatureSet, attributes: Mapping[str, str]) -> str:
    """A hash of what the definitions compile to: an edit shows although nobody has raised a version."""
    # Ibis writes the columns that it leaves out in the order of a set, another one in each process.
    text = re.sub(
        r"EXCLUDE \(([^)]*)\)",
        lambda found: ",".join(sorted(found[1].split(", "))),
        compiled(features, tuple(attributes.items())),
    )
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def to_frame(table: pa.Table, features: FeatureSet) -> pd.DataFrame:
    """The Arrow table as :func:`build_features` gives it."""
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    return pd.DataFrame({f.name: _column(table.column(f.name), f, index) for f in features}, index=index)


def _column(values: pa.ChunkedArray, feature: Feature, index: pd.Index) -> pd.Series:
    # Said here and not left to pandas, which would take words for its own string type, with NaN where unknown.
    if feature.is_word:
        return pd.Series(values.to_pylist(), index=index, dtype="object")
    return pd.Series(values.to_numpy(), index=index, dtype="float64")
