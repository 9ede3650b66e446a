"""Features of customers as of a moment, from unified profiles."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import Feature, FeatureSet
from features.engine.events import SCHEMA, choose, prepare
from features.engine.scope import apply_scope

ROW_GROUP = 20_480
ROWS_AT_ONCE = 4_000_000
"""Order lines and activities that one statement aggregates: bounds its memory, whatever the number of customers."""


def build_features(profiles: Profiles, features: FeatureSet, as_of: datetime) -> pd.DataFrame:
    """Every customer known at ``as_of``, in the order of their ids.

    Returns:
        index ``customer_id`` (str), one column per feature: float64 with NaN where unknown, object (str or None) for
        words.
    """
    return build_many(profiles, features, [as_of])[as_of]


def build_many(profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime]) -> dict[datetime, pd.DataFrame]:
    """The same for several moments, which share the work that does not depend on the moment."""
    tables: dict[datetime, list[pa.Table]] = {as_of: [] for as_of in as_ofs}
    for as_of, table in feature_batches(profiles, features, as_ofs):
        tables[as_of].append(table)
    return {as_of: to_frame(pa.concat_tables(parts), features) for as_of, parts in tables.items()}


def feature_batches(
    profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime], *, numbers: bool = False
) -> Iterator[tuple[datetime, pa.Table]]:
    """Features as Arrow tables: some customers at a time, for each of them every moment; customers in order of id.

    Args:
        numbers: leave ``customer_id`` the number that stands for the customer in ``prepared.customers``.
    """
    prepare(profiles)
    cursor = profiles.connection.cursor()
    sql = compiled(features, tuple(profiles.attributes.items()))
    if not numbers:
        sql = (
            f"SELECT c.customer_id, f.* EXCLUDE (customer_id) FROM ({sql}) f JOIN {SCHEMA}.customers c "
            "ON c.customer = f.customer_id ORDER BY c.customer"
        )
    for customers in customer_ranges(profiles):
        choose(cursor, features.views, f"customer >= {customers.start} AND customer < {customers.stop}")
        for as_of in as_ofs:
            apply_scope(cursor, profiles, as_of, features.views)
            yield as_of, cursor.execute(sql).to_arrow_table()


def rows_of(table: pa.Table) -> NDArray[np.int64]:
    """The customers' numbers of a table with ``numbers``."""
    return table.column("customer_id").to_numpy().astype(np.int64)


def write_features(profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
    """The same rows as one Parquet file, without a frame in between; returns how many.

    Columns: ``customer_id``, ``consent`` (may be profiled), one per feature: DOUBLE, or VARCHAR for words, NULL where
    unknown. Rows are in the order of the ids, in groups that are small enough to be read one at a time.
    """
    return write_tables(profiles, (table for _, table in feature_batches(profiles, features, [as_of])), file)


def write_tables(profiles: Profiles, tables: Iterable[pa.Table], file: Path) -> int:
    """Write tables of ``customer_id`` and features, in their order, as :func:`write_features` does."""
    without = pa.array(sorted(profiles.without_consent()), pa.string())
    rows, writer = 0, None
    try:
        for table in tables:
            consent = pc.invert(pc.is_in(table.column("customer_id"), value_set=without))
            table = table.add_column(1, "consent", consent)
            writer = writer or pq.ParquetWriter(file, table.schema, compression="zstd")
            writer.write_table(table.cast(writer.schema), row_group_size=ROW_GROUP)
            rows += table.num_rows
    finally:
        if writer is not None:
            writer.close()
    return rows


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
