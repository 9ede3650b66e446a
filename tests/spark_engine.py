"""The Spark engine for tests: one Spark per run, skipped with the reason where Java or pyspark is missing."""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from importlib.util import find_spec

import numpy as np
import pandas as pd
import pytest

from features.contract.profiles import Profiles
from features.engine import spark_session
from features.engine.spark_session import open_session
from kernel.errors import UsageError
from kernel.settings import EngineSettings

Frames = Mapping[str, pd.DataFrame]
OnSpark = Callable[[Profiles], Profiles]
TOLERANCE = 1e-9
_IDS = ("customer_id", "account_id", "subscription_id")

# What a test that starts Spark carries. Spark leaves the closing of its result sockets to the garbage collector.
spark_marks = [pytest.mark.spark, pytest.mark.filterwarnings("ignore:unclosed <socket:ResourceWarning")]
ENGINES = ("duckdb", pytest.param("spark", marks=spark_marks))

# On tables of a few rows Spark spends its time on writing programs, compiling them and planning anew after each step.
_AS_SHIPPED = {
    "spark.sql.adaptive.enabled": "true",
    "spark.sql.codegen.wholeStage": "true",
    "spark.sql.codegen.factoryMode": "FALLBACK",
}
_QUICK = {
    "spark.sql.adaptive.enabled": "false",
    "spark.sql.codegen.wholeStage": "false",
    "spark.sql.codegen.factoryMode": "NO_CODEGEN",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@pytest.fixture(scope="session")
def on_spark(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OnSpark]:
    """Turns profiles into the same profiles, whose features Spark computes."""
    if find_spec("pyspark") is None:
        pytest.skip("pyspark is not installed: make test-spark brings it")
    options = " ".join(f'--conf "{key}={value}"' for key, value in _QUICK.items())
    os.environ.setdefault("PYSPARK_SUBMIT_ARGS", f"{options} pyspark-shell")
    folder = tmp_path_factory.mktemp("spark")
    engine = EngineSettings(engine="spark", temp_folder=str(folder / "tmp"), spark_tables=str(folder / "tables"))
    try:
        spark = open_session(engine)
    except UsageError as error:
        pytest.skip(error.what)
    yield lambda profiles: replace(profiles, engine=engine)
    spark.stop()
    # The Java process ends with the pipe of its input.
    context = import_module("pyspark").SparkContext
    context._gateway.shutdown()
    context._gateway.proc.stdin.close()
    context._gateway.proc.wait(60)


@contextmanager
def as_shipped() -> Generator[None]:
    """Spark as a project runs it, with generated programs and plans that adapt."""
    with pytest.MonkeyPatch.context() as patch:
        for key, value in _AS_SHIPPED.items():
            patch.setitem(spark_session.MEANING, key, value)
        yield


def beside_each_other(parts: Mapping[str, Frames]) -> dict[str, pd.DataFrame]:
    """The tables of several small projects as one, every id behind the project's name: a query of Spark takes seconds,
    however few its rows."""
    tables: dict[str, list[pd.DataFrame]] = {}
    for name, frames in parts.items():
        for table, frame in frames.items():
            ids = {column: f"{name} / " + frame[column] for column in _IDS if column in frame}
            tables.setdefault(table, []).append(frame.assign(**ids))
    return {table: pd.concat(frames, ignore_index=True) for table, frames in tables.items()}


def different(found: pd.DataFrame, wanted: pd.DataFrame) -> list[str]:
    """The columns in which two frames differ by more than 1e-9, relative or absolute; NaN equals NaN."""
    assert list(found.index) == list(wanted.index)
    assert list(found.columns) == list(wanted.columns)
    return [str(name) for name in wanted if not _same(found[name], wanted[name])]


def _same(found: pd.Series, wanted: pd.Series) -> bool:
    if found.dtype != wanted.dtype:
        return False
    if wanted.dtype == "object":
        return list(found) == list(wanted)
    x, y = found.to_numpy(), wanted.to_numpy()
    with np.errstate(invalid="ignore"):
        near = np.abs(x - y) <= np.maximum(TOLERANCE, TOLERANCE * np.abs(y))
    return bool((near | (np.isnan(x) & np.isnan(y))).all())
