"""Scores on Spark: the numbers of the batch file, to the last bit."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

import pyarrow.parquet as pq

from features.engine.spark_session import open_session
from kernel.settings import EngineSettings
from serving.batch import write_scores
from serving.batch_rows import SCHEMA
from serving.spark import scores_on_spark
from tests.doubles.batch import AS_OF, FIRST_START, runtime_of
from tests.spark_engine import OnSpark, spark_marks

pytestmark = spark_marks


def test_spark_gives_the_numbers_of_the_batch_file(on_spark: OnSpark, tmp_path: Path) -> None:
    # Bands of the day before are held; some of them are others than the limits say.
    write_scores(runtime_of(tmp_path / "shop", rows=300, as_of=AS_OF - timedelta(days=1)), tmp_path / "before.parquet")
    runtime = runtime_of(tmp_path / "shop", rows=300, seed=8)
    carried = tmp_path / "carried"
    carried.mkdir()
    frame = scores_on_spark(open_session(EngineSettings(engine="spark")), runtime, carried, reasons_for=40)
    found = frame.toArrow().select(SCHEMA.names).sort_by("customer_id")
    write_scores(runtime, tmp_path / "scores.parquet", reasons_for=40)
    wanted = pq.read_table(tmp_path / "scores.parquet")
    assert len(found) == 300
    assert found.to_pylist() == wanted.to_pylist()
    assert found.column("scored_at").to_pylist() == [FIRST_START] * 300
    actions = wanted.column("recommended_actions").to_pylist()
    assert len({one[0]["action"] for one in actions if one}) == 2
    secrets = b"".join(file.read_bytes() for file in carried.rglob("*.json"))
    assert b"decisions.db" not in secrets and b"postgresql" not in secrets
