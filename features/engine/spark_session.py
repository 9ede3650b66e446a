"""One Spark per process, started when it is first needed. The only place that imports pyspark."""

from __future__ import annotations

import logging
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Generator
from contextlib import contextmanager
from importlib import import_module
from pathlib import Path
from typing import Any

from kernel.errors import ForesightError, UsageError
from kernel.settings import EngineSettings

_WHERE = 'engine.engine = "spark"'
_OLDEST_JAVA = 17
MEANING = {
    "spark.sql.session.timeZone": "UTC",
    "spark.sql.ansi.enabled": "true",
    "spark.sql.decimalOperations.allowPrecisionLoss": "false",
}
"""Settings of every session. Without them Spark would mean something else than DuckDB: moments are UTC, an overflow is
an error and not a NULL, and a product of decimals keeps its scale."""


def open_session(engine: EngineSettings) -> Any:
    """A session with views and SQL settings of its own, so that two builds at once do not see each other's.

    A Spark that already runs in this process (a notebook of a cluster) is used as it is; otherwise one is started.

    Raises:
        UsageError: pyspark or Java is missing or too old, or the master does not answer.
    """
    sessions = _pyspark_sql().SparkSession
    # Spark's own log of a failed query would quote values of rows.
    logging.getLogger("SQLQueryContextLogger").setLevel(logging.CRITICAL)
    running = sessions.getActiveSession()
    if running is None:
        _check_java()
        if engine.spark_master.startswith("local"):
            os.environ.setdefault("PYSPARK_PYTHON", sys.executable)  # else a python3 that knows none of our packages
        builder = sessions.builder.appName("foresight").master(engine.spark_master)
        for key, value in _options(engine).items():
            builder = builder.config(key, value)
        try:
            running = builder.getOrCreate()
        except Exception as error:
            raise UsageError(
                f"Spark did not start with the master '{engine.spark_master}' ({type(error).__name__}).",
                where="engine.spark_master",
                fix="Write local[2], or the URL of a cluster that answers; Spark's own log says more.",
            ) from error
    session = running.newSession()
    for key, value in MEANING.items():
        session.conf.set(key, value)
    return session


def _pyspark_sql() -> Any:
    try:
        version = str(import_module("pyspark").__version__)
        sql = import_module("pyspark.sql")
    except ImportError:
        raise UsageError(
            "The Spark engine needs the package pyspark, which is not installed.",
            where=_WHERE,
            fix='Install foresight[spark] (pyspark 4.0 and Java 17), or use engine = "duckdb".',
        ) from None
    if not version.startswith("4.0."):
        raise UsageError(
            f"The Spark engine needs pyspark 4.0; installed is {version}.",
            where=_WHERE,
            fix="Install foresight[spark] in an environment of its own.",
        )
    return sql


def _check_java() -> None:
    home = os.environ.get("JAVA_HOME")
    java = str(Path(home) / "bin" / "java") if home else shutil.which("java")
    found = _java_version(java)
    if found is None or found < _OLDEST_JAVA:
        said = "was not found" if found is None else f"is {found}"
        raise UsageError(
            f"Spark needs Java {_OLDEST_JAVA} or newer; Java {said}.",
            where="JAVA_HOME" if home else "PATH",
            fix='Install a Java runtime (Debian: openjdk-17-jre-headless), or use engine = "duckdb".',
        )


def _java_version(java: str | None) -> int | None:
    if java is None:
        return None
    try:
        said = subprocess.run([java, "-version"], capture_output=True, text=True, timeout=60, check=False).stderr
    except (OSError, subprocess.TimeoutExpired):
        return None
    number = re.search(r'version "(?:1\.)?(\d+)', said)  # Java 8 called itself 1.8
    return int(number[1]) if number else None


def _options(engine: EngineSettings) -> dict[str, str]:
    options = {
        "spark.log.level": "ERROR",
        "spark.ui.showConsoleProgress": "false",
        "spark.driver.maxResultSize": "0",  # the features of all customers come back to this process
    }
    if engine.temp_folder is not None:
        options["spark.local.dir"] = engine.temp_folder
    if engine.spark_master.startswith("local"):
        options |= {
            "spark.ui.enabled": "false",
            "spark.driver.host": "127.0.0.1",  # nothing of a local Spark listens to the network
            "spark.driver.bindAddress": "127.0.0.1",
            # Every statement compiles code of its own; a small machine's default (48 MB) is full after some hundred.
            "spark.driver.extraJavaOptions": "-XX:ReservedCodeCacheSize=512m",
            "spark.sql.shuffle.partitions": str(2 * _local_threads(engine.spark_master)),  # 200 is for a cluster
        }
        if engine.memory_limit is not None:
            options["spark.driver.memory"] = _java_size(engine.memory_limit)
    return options


def _local_threads(master: str) -> int:
    written = re.match(r"local\[(\d+)", master)
    if written:
        return int(written[1])
    return 1 if master == "local" else os.cpu_count() or 1


def _java_size(written: str) -> str:
    """'2GB', '2 GiB' or '512MB' as Java writes it: 2g, 512m."""
    size = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([KMGT])i?B?\s*", written, re.IGNORECASE)
    if size is None:
        raise UsageError("The memory limit is no size.", where="engine.memory_limit", fix="Write it as 2GB or 512MB.")
    megabytes = float(size[1]) * 1024.0 ** ("KMGT".index(size[2].upper()) - 1)
    return f"{max(1, int(megabytes))}m"


def statement_error() -> type[Exception]:
    """What Spark raises where a statement names something that is not there."""
    return import_module("pyspark.errors").AnalysisException


@contextmanager
def translated_errors() -> Generator[None]:
    """Errors of Spark as ours. Its messages may quote values of rows: only what is about the statement is repeated."""
    errors = import_module("pyspark.errors")
    try:
        yield
    except errors.PySparkException as error:
        about_sql = isinstance(error, errors.AnalysisException | errors.ParseException)
        name = str(error).splitlines()[0] if about_sql else error.getCondition() or type(error).__name__
        raise ForesightError(
            f"Spark could not compute the features: {name}",
            where=_WHERE,
            fix='Compare with engine = "duckdb"; if only Spark fails, its own log says more.',
        ) from None
