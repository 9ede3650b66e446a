"""The user's sources as they were when they were read: enough to see whether one has changed, cheap for large files."""

from __future__ import annotations

import glob
import hashlib
from datetime import UTC, datetime
from pathlib import Path

from pydantic import BaseModel

from kernel.settings import Settings, SourceSettings

_END = 2**20


class FileState(BaseModel):
    """One file of a source; only the last part of its path, since folders name people and machines.

    ``digest`` is the SHA-256 of its first and its last MiB (of the whole, where it is no larger than the two).
    """

    name: str
    bytes: int
    modified_at: datetime
    digest: str


class SourceState(BaseModel):
    """One entry of ``[sources]``: files, or a table of a database, whose address is not repeated."""

    kind: str
    files: tuple[FileState, ...] = ()
    table: str | None = None


def source_states(settings: Settings) -> dict[str, SourceState]:
    """The state of every source of the project, by its name; a file that is gone is left out."""
    return {name: _state(settings, source) for name, source in settings.sources.items()}


def _state(settings: Settings, source: SourceSettings) -> SourceState:
    if source.postgres is not None:
        return SourceState(kind="postgres", table=source.table)
    kind, written = ("duckdb", source.duckdb) if source.duckdb is not None else ("file", source.file)
    assert written is not None
    found = sorted(Path(path) for path in glob.glob(str(settings.path(written))))  # noqa: PTH207 (an absolute path)
    return SourceState(kind=kind, files=tuple(_file(path) for path in found if path.is_file()), table=source.table)


def _file(path: Path) -> FileState:
    seen = path.stat()
    with path.open("rb") as content:
        digest = hashlib.sha256(content.read(_END))
        content.seek(max(content.tell(), seen.st_size - _END))
        digest.update(content.read(_END))
    return FileState(
        name=path.name,
        bytes=seen.st_size,
        modified_at=datetime.fromtimestamp(seen.st_mtime, UTC),
        digest=digest.hexdigest(),
    )
