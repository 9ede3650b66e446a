"""Features computed by Spark: the same definitions, on as many machines as its master has.

The contract (mapping, checks, policies) is DuckDB's; Spark reads the typed tables that come out of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

import pyarrow as pa

from features.contract.profiles import Profiles
from features.engine.definition import FeatureSet
from features.engine.scope import scoped_tables
from features.engine.spark_scope import scope_statements
from features.engine.spark_session import open_session, translated_errors
from features.engine.spark_sql import spark_sql
from features.engine.spark_tables import typed_tables


def by_spark(
    profiles: Profiles, features: FeatureSet, as_ofs: Sequence[datetime]
) -> Iterator[tuple[datetime, pa.Table]]:
    """An :data:`~features.engine.build.Engine`; each table comes back to this process, 8 bytes a value.

    Raises:
        UsageError: pyspark or Java is missing or too old, the master does not answer, the tables cannot be written.
        ForesightError: Spark failed.
    """
    spark = open_session(profiles.engine)
    sql = spark_sql(features, tuple(profiles.attributes.items()))
    with translated_errors():
        for name, place in typed_tables(profiles, spark).items():
            spark.read.parquet(place).createOrReplaceTempView(name)
    for as_of in as_ofs:
        with translated_errors():
            for statement in scope_statements(scoped_tables(profiles.attributes), as_of, profiles.timezone):
                spark.sql(statement)
            table = spark.sql(f"SELECT * FROM ({sql}) ORDER BY customer_id").toArrow()
        yield as_of, table
