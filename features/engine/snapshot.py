"""One snapshot as it is read: in chunks, by id, or whole; always the same numbers to the last bit."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Protocol

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from features.engine.manifest import SnapshotManifest
from kernel.feature_rows import FeatureRows, FrameRows

KEYS = ("customer_id", "consent")


@dataclass(frozen=True)
class StoredRows:
    """Features of some customers as a snapshot has them.

    Attributes:
        manifest: the snapshot that every row is from.
        rows: the features. Ids that the snapshot does not have are left out.
        consent: whether each may be profiled, shape (rows,).
    """

    manifest: SnapshotManifest
    rows: FeatureRows
    consent: NDArray[np.bool_]

    @property
    def features(self) -> pd.DataFrame:
        """The rows as a frame: index customer_id, one column per feature: float64 with NaN where unknown, object (str
        or None) for words."""
        return self.rows.frame


class StoredFeatures(Protocol):
    """Where features of stored customers are looked up. Every method may be called from several threads at once."""

    def current_manifest(self) -> SnapshotManifest:
        """The snapshot that answers now.

        Raises:
            NotFoundError: none was published yet.
        """
        ...

    def look_up(self, customer_ids: Sequence[str]) -> StoredRows:
        """The rows of these customers, each once and all from one snapshot.

        Raises:
            NotFoundError: none was published yet.
        """
        ...

    def history(self, customer_id: str) -> bytes | None:
        """The customer's packed history (``features.engine.histories``); None where none is stored."""
        ...


@dataclass(frozen=True)
class Snapshot:
    """Features of every customer as of a moment, in a Parquet file; nothing is in memory until it is asked for."""

    manifest: SnapshotManifest
    file: Path

    @property
    def id(self) -> str:
        """The snapshot's name."""
        return self.manifest.id

    @property
    def as_of(self) -> datetime:
        """The moment of knowledge, UTC."""
        return self.manifest.as_of

    @property
    def folder(self) -> Path:
        """Holds the manifest and the drift baseline beside the features."""
        return self.file.parent

    def customer_ids(self) -> list[str]:
        """All of them, in order."""
        return pq.read_table(self.file, columns=["customer_id"]).column("customer_id").to_pylist()

    def group_sizes(self) -> list[int]:
        """The rows of each row group of the file."""
        with pq.ParquetFile(self.file) as parquet:
            return [parquet.metadata.row_group(group).num_rows for group in range(parquet.num_row_groups)]

    def batches(self, rows: int, group: int | None = None) -> Iterator[pa.RecordBatch]:
        """All rows, or those of one row group, in the order of their ids, at most ``rows`` at a time: customer_id,
        consent, features."""
        with pq.ParquetFile(self.file) as parquet:
            for one in range(parquet.num_row_groups) if group is None else [group]:
                # One group at a time, in this thread: a reader over all of them keeps what it has read until it ends.
                yield from parquet.iter_batches(batch_size=rows, row_groups=[one], use_threads=False)

    def chunks(self, rows: int, group: int | None = None) -> Iterator[StoredRows]:
        """The same, as frames."""
        for batch in self.batches(rows, group):
            yield stored_rows(self.manifest, pa.Table.from_batches([batch]))

    def current_manifest(self) -> SnapshotManifest:
        """Its own: a snapshot at hand does not change."""
        return self.manifest

    def history(self, customer_id: str) -> None:
        """See :class:`StoredFeatures`: histories lie in the online store only."""

    def look_up(self, customer_ids: Sequence[str]) -> StoredRows:
        """The rows of these customers; only the row groups that may hold them are read."""
        wanted = pa.array(sorted(set(customer_ids)), pa.string())
        return stored_rows(self.manifest, pq.read_table(self.file, filters=[("customer_id", "in", wanted)]))

    @cached_property
    def features(self) -> pd.DataFrame:
        """All features in memory: index customer_id, one column per feature."""
        return self._whole.features

    @cached_property
    def consent(self) -> pd.Series:
        """Whether each customer may be profiled, index customer_id."""
        return pd.Series(self._whole.consent, index=self._whole.features.index, name="consent")

    @cached_property
    def _whole(self) -> StoredRows:
        return stored_rows(self.manifest, pq.read_table(self.file))


def stored_rows(manifest: SnapshotManifest, table: pa.Table) -> StoredRows:
    """Rows of a snapshot's file (customer_id, consent, features) as frames."""
    index = pd.Index(table.column("customer_id").to_pylist(), name="customer_id", dtype="object")
    features = table.drop_columns(list(KEYS))
    columns = {name: _column(features.column(name), index) for name in features.column_names}
    consent = np.asarray(table.column("consent").to_numpy(), dtype=np.bool_)
    return StoredRows(manifest, FrameRows(pd.DataFrame(columns, index=index)), consent)


def _column(values: pa.ChunkedArray, index: pd.Index) -> pd.Series:
    # As build_features makes them: pandas would take words for its own string type, with NaN where unknown.
    if pa.types.is_floating(values.type):
        return pd.Series(values.to_numpy(), index=index, dtype="float64")
    return pd.Series(values.to_pylist(), index=index, dtype="object")
