"""Snapshots made from a frame, without tables and definitions: what the store's readers are tested with."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from features.engine.manifest import SnapshotManifest
from features.engine.snapshot import Snapshot

AS_OF = datetime(2024, 3, 31, 5, 30, tzinfo=UTC)


def manifest_of(features: pd.DataFrame, as_of: datetime = AS_OF, fingerprint: str = "f1") -> SnapshotManifest:
    words = {str(name): "string" for name in features if features[name].dtype == object}
    return SnapshotManifest(
        as_of=as_of,
        built_at=datetime(2024, 4, 1, tzinfo=UTC),
        engine="test",
        seconds=1.5,
        fingerprint=fingerprint,
        definitions="d1",
        feature_versions={str(name): 1 for name in features},
        attributes=words,
        timezone="UTC",
        customers=len(features),
        rows={"customers": len(features)},
        sources={},
    )


def snapshot_of(
    folder: Path,
    features: pd.DataFrame,
    consent: list[bool] | None = None,
    as_of: datetime = AS_OF,
    fingerprint: str = "f1",
    row_group: int = 2,
) -> Snapshot:
    """A snapshot of ``features`` (index customer_id; numbers float64, words object), its rows in order of the ids."""
    ordered = features.sort_index()
    agreed = pd.Series(True if consent is None else consent, index=features.index)[ordered.index]
    columns = {
        "customer_id": pa.array(list(ordered.index), pa.string()),
        "consent": pa.array(agreed.tolist(), pa.bool_()),
        **{
            str(name): pa.array(
                ordered[name].tolist(),
                pa.string() if ordered[name].dtype == object else pa.float64(),
                from_pandas=True,  # NaN is NULL, as the engine writes it
            )
            for name in ordered
        },
    }
    folder.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(columns), folder / "features.parquet", row_group_size=row_group)
    return Snapshot(manifest_of(features, as_of, fingerprint), folder / "features.parquet")


def customers(*ids: str, spend: float = 1.0) -> pd.DataFrame:
    """``spend`` for everyone, plus the customer's place; a city for every second one."""
    index = pd.Index(ids, name="customer_id", dtype="object")
    places = [float(i) for i in range(len(ids))]
    cities = ["Łódź" if i % 2 else None for i in range(len(ids))]
    return pd.DataFrame(
        {"spend": [spend] * len(ids), "city": pd.Series(cities, index=index, dtype="object"), "place": places},
        index=index,
    )
