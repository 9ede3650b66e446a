"""Features computed by Spark: the same definitions, on as many machines as its master has."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from features.contract.profiles import Profiles
from features.engine.definition import FeatureSet
from features.engine.scope import scoped_tables
from features.engine.spark_scope import scope_statements
from features.engine.spark_session import open_session, translated_errors
from features.engine.spark_sql import spark_sql
from features.engine.spark_tables import typed_tables


class SparkEngine:
    """See :class:`features.engine.engines.Engine`. The contract reads and checks with DuckDB; Spark does the rest."""

    def table(self, profiles: Profiles, features: FeatureSet, as_of: datetime) -> pa.Table:
        """See the port. The result comes back to this process: 8 bytes per customer and feature."""
        spark = open_session(profiles.engine)
        with translated_errors():
            _apply_scope(spark, profiles, as_of)
            sql = spark_sql(features, tuple(profiles.attributes.items()))
            return spark.sql(f"SELECT * FROM ({sql}) ORDER BY customer_id").toArrow()

    def write(self, profiles: Profiles, features: FeatureSet, as_of: datetime, file: Path) -> int:
        """See the port. The file is this process's own: workers of a cluster may see other disks."""
        table = self.table(profiles, features, as_of)
        pq.write_table(table, file)
        return table.num_rows


def _apply_scope(spark: Any, profiles: Profiles, as_of: datetime) -> None:
    for name, place in typed_tables(profiles, spark).items():
        spark.read.parquet(place).createOrReplaceTempView(name)
    for statement in scope_statements(scoped_tables(profiles.attributes), as_of, profiles.timezone):
        spark.sql(statement)
