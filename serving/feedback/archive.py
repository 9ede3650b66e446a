"""The part of the log that left the database: Parquet files, one pair for a month that was moved, never changed.

A file counts from the moment at which ``manifest.json`` names it; the manifest is replaced by one rename. Whatever else
lies in the folder is what a move left that was killed, and is removed by the next.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict
from sqlalchemy import Table

from kernel.errors import DataError
from kernel.sql import UtcMoment
from serving.feedback.tables import DECISIONS, FEEDBACK

_MANIFEST = "manifest.json"
_AT_ONCE = 2_000
Rows = Sequence[tuple[Any, ...]]


class ArchivedFile(BaseModel):
    """A file of the archive. ``sha256``: of its bytes."""

    model_config = ConfigDict(frozen=True)

    name: str
    rows: int
    sha256: str


class ArchivedMonth(BaseModel):
    """Decisions that were logged in one month (UTC), and all feedback on them.

    Attributes:
        month: ``2026-01``.
        closed_before: until when nothing had been reported of them any more, ISO 8601.
        left_database: whether their rows are gone from there; a move that is killed before goes on with that.
    """

    model_config = ConfigDict(frozen=True)

    month: str
    closed_before: str
    decisions: ArchivedFile
    feedback: ArchivedFile
    left_database: bool = False


class _Manifest(BaseModel):
    layout: int = 1
    months: tuple[ArchivedMonth, ...] = ()


class Archive:
    """The files of one project. Reading needs no lock; only one process may add."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def months(self) -> tuple[ArchivedMonth, ...]:
        """What counts, in the order in which it came."""
        file = self.folder / _MANIFEST
        return _Manifest.model_validate_json(file.read_bytes()).months if file.exists() else ()

    def add(self, month: str, closed_before: str, decisions: Iterable[Rows], feedback: Iterable[Rows]) -> ArchivedMonth:
        """Keep a month; it counts when this returns. The rows are in the order of the tables' columns."""
        self.folder.mkdir(parents=True, exist_ok=True)
        self._forget_unfinished()
        added = ArchivedMonth(
            month=month,
            closed_before=closed_before,
            decisions=self._write(f"decisions-{month}", DECISIONS, decisions),
            feedback=self._write(f"feedback-{month}", FEEDBACK, feedback),
        )
        self._put((*self.months(), added))
        return added

    def has_left(self, of: ArchivedMonth) -> None:
        """Say that its rows are gone from the database."""
        gone = of.model_copy(update={"left_database": True})
        self._put(tuple(gone if one == of else one for one in self.months()))

    def read(self, of: ArchivedFile, table: Table) -> Iterator[dict[str, Any]]:
        """The rows of a file, by column.

        Raises:
            DataError: the file is not the one that was kept.
        """
        file = self.folder / of.name
        if not file.exists() or _digest(file) != of.sha256:
            raise DataError(
                f"The archived log '{of.name}' is missing or is not the file that was written.",
                where=str(self.folder),
                fix="Put it back from a backup; its SHA-256 is in manifest.json.",
            )
        with pq.ParquetFile(file) as content:
            for batch in content.iter_batches(_AT_ONCE, columns=[column.name for column in table.c]):
                yield from batch.to_pylist()

    def _write(self, name: str, table: Table, batches: Iterable[Rows]) -> ArchivedFile:
        unfinished, rows = self.folder / f".{name}", 0
        schema = _schema(table)
        with pq.ParquetWriter(unfinished, schema, compression="zstd") as file:
            for batch in batches:
                columns = zip(*batch, strict=True)
                file.write_table(pa.table([pa.array(c, f.type) for c, f in zip(columns, schema, strict=True)], schema))
                rows += len(batch)
        digest = _digest(unfinished)
        _to_disk(unfinished)
        kept = ArchivedFile(name=f"{name}-{digest[:12]}.parquet", rows=rows, sha256=digest)
        unfinished.rename(self.folder / kept.name)
        return kept

    def _put(self, months: tuple[ArchivedMonth, ...]) -> None:
        unfinished = self.folder / f".{_MANIFEST}"
        unfinished.write_text(_Manifest(months=months).model_dump_json(indent=1), encoding="utf-8")
        _to_disk(unfinished)
        unfinished.rename(self.folder / _MANIFEST)
        _to_disk(self.folder)

    def _forget_unfinished(self) -> None:
        known = {file.name for one in self.months() for file in (one.decisions, one.feedback)}
        for file in self.folder.glob("*.parquet"):
            if file.name not in known:
                file.unlink()


def _schema(table: Table) -> pa.Schema:
    kinds: dict[type, pa.DataType] = {float: pa.float64(), str: pa.string()}
    return pa.schema(
        (
            column.name,
            pa.timestamp("us", "UTC") if isinstance(column.type, UtcMoment) else kinds[column.type.python_type],
        )
        for column in table.c
    )


def _digest(file: Path) -> str:
    with file.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def _to_disk(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
