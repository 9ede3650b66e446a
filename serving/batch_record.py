"""What was written where: a batch that is asked for again is not done again."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from serving.batch_targets import Target


class Record(BaseModel):
    """A writing: the digest of what the rows depend on, what tells the target's content from any other, and counts."""

    model_config = ConfigDict(frozen=True)

    digest: str
    stamp: str | None
    by_status: dict[str, int]

    @property
    def customers(self) -> int:
        """The rows."""
        return sum(self.by_status.values())


@dataclass(frozen=True)
class Records:
    """The last writing into each target, a file for each."""

    folder: Path

    def of(self, target: Target, digest: str) -> Record | None:
        """The last writing, if it was of this digest and the target has not been touched since.

        Raises:
            ForesightError: the target's database does not answer.
        """
        try:
            found = Record.model_validate_json(self._file(target).read_bytes())
        except FileNotFoundError:
            return None
        same = found.digest == digest and found.stamp is not None and found.stamp == target.stamp()
        return found if same else None

    def keep(self, target: Target, digest: str, by_status: Mapping[str, int]) -> None:
        """Remember a writing that has just been done."""
        self.folder.mkdir(parents=True, exist_ok=True)
        record = Record(digest=digest, stamp=target.stamp(), by_status=dict(by_status))
        unfinished = self.folder / ".unfinished"
        unfinished.write_text(record.model_dump_json(), encoding="utf-8")
        unfinished.replace(self._file(target))

    def forget(self, target: Target) -> None:
        """Forget the last writing: what is there is to be replaced, whoever goes on with that."""
        self._file(target).unlink(missing_ok=True)

    def _file(self, target: Target) -> Path:
        return self.folder / f"{hashlib.sha256(target.name.encode()).hexdigest()[:16]}.json"
