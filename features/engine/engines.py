"""What computes features: one small port, and the engine inside the process. Spark's side is in ``spark.py``."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Protocol

import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.compile import compiled
from features.engine.definition import FeatureSet
from features.engine.scope import apply_scope


class Engine(Protocol):
    """Computes the features of every customer known at a moment; all engines agree (``tests/spark``)."""

    def table(self, profiles: Profiles, features: FeatureSet, as_of: datetime) -> pa.Table:
        """``customer_id`` and a column per feature, in the order of the ids: float64 (NULL where unknown), words text."""
        ...

    def write(self, profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
        """The same as one Parquet file, without a detour over pandas; the number of customers."""
        ...


class DuckDbEngine:
    """The engine inside the process."""

    def table(self, profiles: Profiles, features: FeatureSet, as_of: datetime) -> pa.Table:
        """See :class:`Engine`."""
        cursor = profiles.connection.cursor()
        apply_scope(cursor, profiles, as_of)
        return cursor.execute(_ordered(profiles, features)).to_arrow_table()

    def write(self, profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
        """See :class:`Engine`; never the whole table in memory."""
        cursor = profiles.connection.cursor()
        apply_scope(cursor, profiles, as_of)
        place = str(file).replace("'", "''")
        row = cursor.execute(f"COPY ({_ordered(profiles, features)}) TO '{place}' (FORMAT parquet)").fetchone()
        assert row is not None
        return int(row[0])


def _ordered(profiles: Profiles, features: FeatureSet) -> str:
    sql = compiled(features, tuple(profiles.attributes.items()))
    return f"SELECT * FROM ({sql}) ORDER BY customer_id"


def engine_of(profiles: Profiles) -> Engine:
    """The engine that the project asks for (``[engine] engine``)."""
    if profiles.engine.engine == "spark":
        from features.engine.spark import SparkEngine  # a project on DuckDB never pays for it

        return SparkEngine()
    return DuckDbEngine()
