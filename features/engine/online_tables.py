"""The online store's four tables, and how a customer's row is packed. docs/reference/store.md describes both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import orjson
import pyarrow as pa
from sqlalchemy import BigInteger, Boolean, Column, Integer, LargeBinary, MetaData, String, Table, Text

from features.engine.manifest import SnapshotManifest
from features.engine.snapshot import KEYS, StoredRows
from kernel.feature_rows import FeatureLayout, PackedRows

LAYOUT = 1
METADATA = MetaData()

# SQLite numbers rows by itself only for an INTEGER key.
_NUMBER = BigInteger().with_variant(Integer, "sqlite")

SNAPSHOTS = Table(
    "online_snapshots",
    METADATA,
    Column("number", _NUMBER, primary_key=True, autoincrement=True),
    Column("project", String(60), nullable=False, index=True),
    Column("snapshot_id", String(80), nullable=False),
    Column("layout", Integer, nullable=False),
    Column("content", Text, nullable=False),  # the manifest, and the names of numbers and words in the order of a row
    sqlite_autoincrement=True,  # a number is never given again, so that readers may remember what it means
)

CURRENT = Table(
    "online_current",
    METADATA,
    Column("project", String(60), primary_key=True),
    Column("number", _NUMBER, nullable=False),
)

FEATURES = Table(
    "online_features",
    METADATA,
    Column("snapshot", _NUMBER, primary_key=True, autoincrement=False),
    Column("customer_id", Text, primary_key=True),
    Column("consent", Boolean, nullable=False),
    Column("numbers", LargeBinary, nullable=False),
    Column("words", Text),
    sqlite_with_rowid=False,  # the row lies in the key's tree: one way down instead of two
)

HISTORIES = Table(
    "online_histories",
    METADATA,
    Column("snapshot", _NUMBER, primary_key=True, autoincrement=False),
    Column("customer_id", Text, primary_key=True),
    Column("content", LargeBinary, nullable=False),
    sqlite_with_rowid=False,
)

Row = tuple[str, bool, bytes, str | None]
"""customer_id, consent, numbers, words."""


@dataclass(frozen=True)
class RowLayout:
    """Layout 1: ``numbers`` is one float64 (IEEE 754, little-endian, NaN where unknown) per number feature; ``words``
    a JSON list of one string or null per word feature, NULL where the snapshot has none."""

    numbers: tuple[str, ...]
    words: tuple[str, ...]

    @classmethod
    def of(cls, schema: pa.Schema) -> RowLayout:
        """The layout of a snapshot's file."""
        features = [field for field in schema if field.name not in KEYS]
        return cls(
            tuple(field.name for field in features if pa.types.is_floating(field.type)),
            tuple(field.name for field in features if not pa.types.is_floating(field.type)),
        )

    def pack(self, batch: pa.RecordBatch) -> list[Row]:
        """Rows of a snapshot's file as rows of the table."""
        columns = [batch.column(name).to_numpy(zero_copy_only=False) for name in self.numbers]
        matrix = np.column_stack([*columns]) if columns else np.empty((batch.num_rows, 0))
        packed, width = np.ascontiguousarray(matrix, dtype="<f8").tobytes(), 8 * len(self.numbers)
        words: Iterable[str | None] = [None] * batch.num_rows
        if self.words:
            by_word = [batch.column(name).to_pylist() for name in self.words]
            words = (orjson.dumps(row).decode() for row in zip(*by_word, strict=True))
        ids, consent = (batch.column(name).to_pylist() for name in KEYS)
        numbers = (packed[i * width : (i + 1) * width] for i in range(batch.num_rows))
        return list(zip(ids, consent, numbers, words, strict=True))

    def unpack(self, manifest: SnapshotManifest, rows: Sequence[Row]) -> StoredRows:
        """The same rows again; as a frame, the columns are in the snapshot's order."""
        matrix = np.frombuffer(b"".join(row[2] for row in rows), dtype="<f8").reshape(len(rows), len(self.numbers))
        texts: list[list[str | None]] = (
            [orjson.loads(row[3] or "[]") for row in rows] if self.words else [[]] * len(rows)
        )
        names, order = [row[0] for row in rows], tuple(manifest.feature_versions)
        packed = PackedRows(self.layout, names, matrix.astype("float64"), texts, order)
        return StoredRows(manifest, packed, np.array([row[1] for row in rows], dtype=np.bool_))

    @cached_property
    def layout(self) -> FeatureLayout:
        """Where each feature lies."""
        return FeatureLayout(self.numbers, self.words)

    def content(self, manifest: SnapshotManifest) -> str:
        """What ``online_snapshots.content`` holds."""
        return orjson.dumps(
            {"manifest": manifest.model_dump(mode="json"), "numbers": self.numbers, "words": self.words}
        ).decode()

    @classmethod
    def read(cls, content: str) -> tuple[SnapshotManifest, RowLayout]:
        """From that column."""
        read: Mapping[str, Any] = orjson.loads(content)
        return SnapshotManifest.model_validate(read["manifest"]), cls(tuple(read["numbers"]), tuple(read["words"]))
