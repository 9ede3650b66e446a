"""What of the Spark engine needs no Spark: its SQL, its options, and what is said where Java or pyspark is missing."""

from __future__ import annotations

import types
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from features.contract.profiles import profiles_from_frames
from features.definitions import feature_set
from features.engine import spark_session
from features.engine.build import build_features, engine_of
from features.engine.scope import scoped_tables
from features.engine.spark_scope import scope_statements
from features.engine.spark_session import open_session
from features.engine.spark_sql import spark_sql
from kernel.errors import UsageError
from kernel.settings import EngineSettings
from tests.histories import AS_OF
from tests.projects import HEAD, TABLES, TinyProject

SPARK = EngineSettings(engine="spark")
PARIS = scope_statements(scoped_tables({"a`b": "string"})[:3], datetime(2024, 3, 1, 12, tzinfo=UTC), "Europe/Paris")


def _installed(monkeypatch: pytest.MonkeyPatch, version: str) -> None:
    """A pyspark that is there, in a process that has not started it."""
    sessions = types.SimpleNamespace(getActiveSession=lambda: None)
    modules: dict[str, Any] = {
        "pyspark": types.SimpleNamespace(__version__=version),
        "pyspark.sql": types.SimpleNamespace(SparkSession=sessions),
    }
    monkeypatch.setattr(spark_session, "import_module", modules.__getitem__)


def _java(monkeypatch: pytest.MonkeyPatch, folder: Path, said: str) -> None:
    java = folder / "bin" / "java"
    java.parent.mkdir()
    java.write_text(f"#!/bin/sh\necho '{said}' >&2\n", encoding="utf-8")
    java.chmod(0o755)
    monkeypatch.setenv("JAVA_HOME", str(folder))


def test_without_pyspark_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(spark_session, "import_module", missing)
    profiles = replace(profiles_from_frames({}, {}, "UTC"), engine=SPARK)
    with pytest.raises(UsageError) as caught:
        build_features(profiles, feature_set({}), AS_OF)
    assert caught.value.what == "The Spark engine needs the package pyspark, which is not installed."
    assert caught.value.where == 'engine.engine = "spark"'
    assert "foresight[spark]" in caught.value.fix


def test_another_pyspark_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    _installed(monkeypatch, "3.5.1")
    with pytest.raises(UsageError, match=r"needs pyspark 4\.0; installed is 3\.5\.1"):
        open_session(SPARK)


def test_without_java_the_error_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _installed(monkeypatch, "4.0.1")
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))
    with pytest.raises(UsageError) as caught:
        open_session(SPARK)
    assert caught.value.what == "Spark needs Java 17 or newer; Java was not found."
    assert caught.value.where == "JAVA_HOME"
    assert "openjdk-17-jre-headless" in caught.value.fix


@pytest.mark.parametrize(
    ("said", "version"), [('openjdk version "11.0.2" 2019-01-15', 11), ('java version "1.8.0_302"', 8)]
)
def test_an_old_java_is_refused(said: str, version: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    _installed(monkeypatch, "4.0.1")
    _java(monkeypatch, tmp_path, said)
    with pytest.raises(UsageError, match=f"Spark needs Java 17 or newer; Java is {version}"):
        open_session(SPARK)


def test_a_master_that_does_not_answer_is_said_so(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Builder:
        def __getattr__(self, _: str) -> Any:
            return lambda *_: self

        def getOrCreate(self) -> None:  # noqa: N802
            raise RuntimeError("a secret of the cluster")

    _installed(monkeypatch, "4.0.1")
    _java(monkeypatch, tmp_path, 'openjdk version "17.0.1"')
    spark_session.import_module("pyspark.sql").SparkSession.builder = Builder()
    with pytest.raises(UsageError) as caught:
        open_session(EngineSettings(engine="spark", spark_master="spark://nowhere:7077"))
    assert caught.value.what == "Spark did not start with the master 'spark://nowhere:7077' (RuntimeError)."
    assert caught.value.where == "engine.spark_master"


def test_a_local_spark_keeps_to_itself_and_to_its_limits() -> None:
    engine = EngineSettings(spark_master="local[3]", memory_limit="2GB", temp_folder="/scratch")
    options = spark_session._options(engine)
    assert options["spark.driver.bindAddress"] == options["spark.driver.host"] == "127.0.0.1"
    assert options["spark.ui.enabled"] == "false"
    assert options["spark.driver.memory"] == "2048m"
    assert options["spark.local.dir"] == "/scratch"
    assert options["spark.sql.shuffle.partitions"] == "6"


def test_a_cluster_keeps_its_own_settings() -> None:
    options = spark_session._options(EngineSettings(spark_master="yarn", memory_limit="2GB"))
    assert "spark.driver.memory" not in options
    assert "spark.sql.shuffle.partitions" not in options
    assert "spark.driver.host" not in options


@pytest.mark.parametrize(
    ("written", "java"), [("512MB", "512m"), ("1.5GB", "1536m"), ("2 GiB", "2048m"), ("1TB", "1048576m"), ("1KB", "1m")]
)
def test_sizes_are_written_as_java_reads_them(written: str, java: str) -> None:
    assert spark_session._java_size(written) == java


@pytest.mark.parametrize(("master", "threads"), [("local", 1), ("local[4]", 4), ("local[2,3]", 2)])
def test_threads_of_a_local_master(master: str, threads: int) -> None:
    assert spark_session._local_threads(master) == threads


def test_all_features_compile_without_spark_and_hold_no_moment() -> None:
    sql = spark_sql(feature_set({"city": "string"}), (("city", "string"),))
    assert "event_time" not in sql
    assert "ingested_at" not in sql
    assert "2024" not in sql


def test_the_scope_of_spark_keeps_both_clocks_and_local_days() -> None:
    lines, activities, customers = PARIS
    known = (
        "WHERE event_time < TIMESTAMP_NTZ '2024-03-01 12:00:00' AND ingested_at <= TIMESTAMP_NTZ '2024-03-01 12:00:00'"
    )
    assert lines.startswith("CREATE OR REPLACE TEMPORARY VIEW scoped_transactions AS SELECT `customer_id`")
    assert lines.endswith(f"FROM transactions {known}")
    assert activities.endswith(f"FROM activities {known}")
    assert "from_utc_timestamp(CAST(event_time AS TIMESTAMP), 'Europe/Paris')" in lines
    assert customers.endswith("created_at IS NULL OR created_at < TIMESTAMP_NTZ '2024-03-01 12:00:00'")
    assert "`a``b`" in customers


def test_every_scoped_table_has_its_twin() -> None:
    made = [statement.split(" AS SELECT ")[0].rpartition(" ")[2] for statement in PARIS]
    assert made == [table.get_name() for table in scoped_tables({}) if table is not None][: len(made)]


def test_duckdb_is_the_default_and_computes_what_is_in_a_request(project: TinyProject) -> None:
    assert engine_of(project.profiles()).__name__ == "by_duckdb"
    assert engine_of(profiles_from_frames({}, {}, "UTC")).__name__ == "by_duckdb"
    assert engine_of(project.profiles('[engine]\nengine = "spark"\n' + TABLES)).__name__ == "by_spark"


@pytest.mark.parametrize(
    ("written", "place"),
    [
        ("", "{folder}/.foresight/tiny/spark_tables"),
        ('spark_tables = "shared"', "{folder}/shared"),
        ('spark_tables = "s3a://bucket/x"', "s3a://bucket/x"),
    ],
)
def test_where_the_tables_for_spark_lie(written: str, place: str, project: TinyProject) -> None:
    settings = project.settings(f"[engine]\n{written}\n" + TABLES, head=HEAD)
    assert settings.spark_tables == place.format(folder=project.folder.resolve())
    assert project.profiles(f"[engine]\n{written}\n" + TABLES).engine.spark_tables == settings.spark_tables
