"""Where a batch goes: a Parquet or CSV file, or a table of PostgreSQL. Readers see the old rows or the new ones."""

from __future__ import annotations

import os
from collections.abc import Generator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import pyarrow as pa
import pyarrow.parquet as pq

from kernel.errors import UsageError
from serving.batch_postgres import TableTarget
from serving.batch_rows import csv_lines


class TargetWriter(Protocol):
    """Takes the new rows."""

    def add(self, table: pa.Table) -> None:
        """Some rows, of the schema that was announced."""
        ...


class Target(Protocol):
    """A place for rows of customers, the first column of which is ``customer_id``."""

    @property
    def name(self) -> str:
        """As a person is told: without user and password."""
        ...

    @property
    def readers(self) -> str:
        """Whom its content reaches: the same words for two targets whose changes add up."""
        ...

    def stamp(self) -> str | None:
        """What tells the present content from any other; None where nothing is there.

        Raises:
            ForesightError: the database does not answer.
        """
        ...

    def writing(self, schema: pa.Schema, *, gone: Sequence[str] | None = None) -> AbstractContextManager[TargetWriter]:
        """Put what is added in the place of what is there, all at once when the block ends; nothing when it fails.

        Args:
            gone: None: all old rows go. Otherwise a table keeps its other customers, but for these; a file keeps none.

        Raises:
            ForesightError: the database does not answer, or refuses.
        """
        ...


def target_of(out: str | Path) -> Target:
    """The target of a name: a path, or ``postgresql://user@host/database?table=name``.

    Raises:
        UsageError: another file type, a folder that does not exist, or a URL without a table.
    """
    if isinstance(out, str) and "://" in out:
        return TableTarget.of(out)
    return FileTarget.of(Path(out))


@dataclass(frozen=True)
class FileTarget:
    """A file: .parquet or .csv."""

    path: Path

    @classmethod
    def of(cls, path: Path) -> FileTarget:
        """The target of that name.

        Raises:
            UsageError: another file type, or a folder that does not exist.
        """
        if path.suffix.lower() not in _WRITERS:
            raise UsageError(
                f"'{path.name}' is no type that can be written.",
                where="--out",
                fix="End it in .parquet or .csv, or write postgresql://user@host/database?table=name.",
            )
        if not path.parent.is_dir():
            raise UsageError(
                f"The folder '{path.parent}' does not exist.", where="--out", fix="Make it, or name another."
            )
        return cls(path)

    @property
    def name(self) -> str:
        """The absolute path."""
        return str(self.path.resolve())

    @property
    def readers(self) -> str:
        """The folder: files of changes often have a date in their names."""
        return str(self.path.resolve().parent)

    def stamp(self) -> str | None:
        """Size and time of the last change."""
        try:
            seen = self.path.stat()
        except OSError:
            return None
        return f"{seen.st_size} {seen.st_mtime_ns}"

    @contextmanager
    def writing(self, schema: pa.Schema, *, gone: Sequence[str] | None = None) -> Generator[TargetWriter]:
        """Beside the old file, then one rename."""
        unfinished = self.path.with_name(f".{self.path.name}.unfinished")
        try:
            with _WRITERS[self.path.suffix.lower()](unfinished, schema) as writer:
                yield writer
            with unfinished.open("rb") as written:
                os.fsync(written.fileno())  # what has the name is on disk
            unfinished.replace(self.path)
        finally:
            unfinished.unlink(missing_ok=True)


@dataclass(frozen=True)
class _Parquet:
    file: pq.ParquetWriter

    def add(self, table: pa.Table) -> None:
        self.file.write_table(table)


@contextmanager
def _parquet(path: Path, schema: pa.Schema) -> Generator[TargetWriter]:
    with pq.ParquetWriter(path, schema) as file:
        yield _Parquet(file)


class _Csv:
    def __init__(self, path: Path, schema: pa.Schema) -> None:
        self.file = path.open("w", encoding="utf-8", newline="")
        self.file.write(",".join(schema.names) + "\n")

    def add(self, table: pa.Table) -> None:
        self.file.write(csv_lines(table))


@contextmanager
def _csv(path: Path, schema: pa.Schema) -> Generator[TargetWriter]:
    writer = _Csv(path, schema)
    with writer.file:
        yield writer


_WRITERS = {".parquet": _parquet, ".csv": _csv}
