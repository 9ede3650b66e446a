"""The typed semantic tables as Parquet that Spark reads: written once per state of the data, then reused."""

from __future__ import annotations

import contextlib
import hashlib
import shutil
import uuid
import weakref
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from features.contract.profiles import Profiles
from features.contract.tables import TABLES
from features.engine.spark_session import statement_error
from kernel.errors import UsageError

_EVER = datetime.max.replace(tzinfo=UTC)
_LAYOUT = "1"  # raise it when the same tables would be written differently
_BATCH = 500_000  # rows that travel to Spark at a time
_KEPT = 2  # states of the data that stay in a folder: the newest, and the one a running job may still read

# Profiles never change, so that each is hashed once: id of the object (while it lives) -> digest.
_digests: dict[int, str] = {}


def typed_tables(profiles: Profiles, spark: Any) -> dict[str, str]:
    """Name of each semantic table -> what ``spark.read.parquet`` reads, written now where it is not there yet.

    Raises:
        UsageError: the folder cannot be written.
    """
    base = profiles.engine.spark_tables
    if base is None:
        raise UsageError(
            "Spark has no place for its tables.", where="engine.spark_tables", fix="Name a folder or a URL."
        )
    digest = _digest(profiles)
    if "://" in base:
        return _written_by_spark(profiles, spark, f"{base.rstrip('/')}/{digest}")
    try:
        return _written_by_duckdb(profiles, Path(base), digest)
    except OSError as error:
        raise UsageError(
            f"The tables for Spark cannot be written ({type(error).__name__}).",
            where=f"engine.spark_tables = {base}",
            fix="Name a folder that this user may write and that has room.",
        ) from error


def _digest(profiles: Profiles) -> str:
    key = id(profiles)
    if key not in _digests:
        columns = [profiles.connection.cursor().execute(f"DESCRIBE {name}").fetchall() for name in TABLES]
        content = f"{_LAYOUT} {profiles.fingerprint(_EVER)} {columns}"
        _digests[key] = hashlib.sha256(content.encode()).hexdigest()[:16]
        weakref.finalize(profiles, _digests.pop, key, None)
    return _digests[key]


def _written_by_duckdb(profiles: Profiles, base: Path, digest: str) -> dict[str, str]:
    place = base / digest
    if not place.is_dir():
        building = base / f".building-{uuid.uuid4().hex}"
        building.mkdir(parents=True)
        try:
            for name in TABLES:
                file = str(building / f"{name}.parquet").replace("'", "''")
                profiles.connection.cursor().execute(f"COPY {name} TO '{file}' (FORMAT parquet)")
            # The name says the content: whoever renames first wins, and the other's tables are the same.
            with contextlib.suppress(OSError):
                building.rename(place)
        finally:
            shutil.rmtree(building, ignore_errors=True)
        _forget_old(base, keep=place)
    return {name: str(place / f"{name}.parquet") for name in TABLES}


def _forget_old(base: Path, keep: Path) -> None:
    others = [folder for folder in base.iterdir() if folder.is_dir() and len(folder.name) == 16 and folder != keep]
    for folder in sorted(others, key=lambda folder: folder.stat().st_mtime, reverse=True)[_KEPT - 1 :]:
        shutil.rmtree(folder, ignore_errors=True)


def _written_by_spark(profiles: Profiles, spark: Any, place: str) -> dict[str, str]:
    # Only Spark may know how to write there, and a rename is not one step everywhere: each writer has a folder of its
    # own, and the note that names the finished one comes last.
    run = _finished_run(spark, place)
    if run is None:
        run = uuid.uuid4().hex
        for name in TABLES:
            _send(profiles, spark, name, f"{place}/{run}/{name}")
        spark.sql(f"SELECT '{run}' AS run").write.mode("overwrite").json(f"{place}/finished")
    return {name: f"{place}/{run}/{name}" for name in TABLES}


def _finished_run(spark: Any, place: str) -> str | None:
    try:
        rows = spark.read.schema("run STRING").json(f"{place}/finished").collect()
    except statement_error():
        return None  # no such folder
    return rows[0][0] if rows else None


def _send(profiles: Profiles, spark: Any, name: str, place: str) -> None:
    reader = profiles.connection.cursor().execute(f"SELECT * FROM {name}").to_arrow_reader(_BATCH)
    empty = pa.Table.from_batches([], schema=reader.schema)
    spark.createDataFrame(empty).write.parquet(place)
    for batch in reader:
        spark.createDataFrame(pa.Table.from_batches([batch])).write.mode("append").parquet(place)
