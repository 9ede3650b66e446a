"""A batch under way: its finished parts, and what was fixed when it began, so that it can go on after a kill.

``scoring/work/DIGEST/`` in the state folder holds ``start.json`` and one file for each finished part; the digest is of
everything that the scores depend on besides the moment of the start. A part appears whole, by one rename.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import orjson
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from kernel.clock import iso
from serving.batch_rows import SCHEMA
from serving.decisioning.catalogue import Catalogue
from serving.decisioning.state import CampaignPrices, DecisionState
from serving.feedback.state_reader import StateReader
from serving.runtime import Runtime

PART = SCHEMA.append(pa.field("band_before", pa.string()))
"""The columns of a part: those of the scores, and the band of the scores before."""
_START = "start.json"
_CODEC = pa.ipc.IpcWriteOptions(compression="lz4")


class Start(BaseModel):
    """What was true when a batch began, and is kept until it ends.

    Attributes:
        scored_at: the moment of every score.
        decided_today, spent, prices: of the decisions' state, which goes on changing (``DecisionState``).
    """

    model_config = ConfigDict(frozen=True)

    scored_at: datetime
    decided_today: dict[str, int]
    spent: dict[str, float]
    prices: CampaignPrices | None

    @classmethod
    def now(cls, runtime: Runtime) -> Start:
        """The present.

        Raises:
            StoreUnavailableError: the database of decisions does not answer.
        """
        moment = runtime.clock()
        state = runtime.state_of([]) or DecisionState(moment)
        return cls(
            scored_at=moment, decided_today=dict(state.decided_today), spent=dict(state.spent), prices=state.prices
        )

    def fix(self, runtime: Runtime) -> Runtime:
        """The same runtime, for which no time passes."""
        decided_at = runtime.decided_at or self.scored_at
        state = None if runtime.state is None else _FixedState(runtime.settings.state_url, self)
        return replace(runtime, clock=lambda: self.scored_at, decided_at=decided_at, state=state)


class _FixedState(StateReader):
    """Contacts are read as of the start; sums and prices, which have no past, are those of the start."""

    def __init__(self, url: str, start: Start) -> None:
        super().__init__(url)
        self._start = start

    def read(self, catalogue: Catalogue, customer_ids: Sequence[str], now: datetime) -> DecisionState:
        start = self._start
        found = super().read(catalogue, customer_ids, now)
        return replace(found, decided_today=start.decided_today, spent=start.spent, prices=start.prices)


@dataclass(frozen=True)
class Work:
    """The work on one batch."""

    folder: Path
    start: Start

    @classmethod
    def begun(cls, root: Path, digest: str, runtime: Runtime, *, anew: bool = False) -> Work:
        """The work of that digest as it was left, or a new one. Any other is forgotten: after this one, the bands
        before may be others than those it began with.

        Args:
            anew: nothing goes on.

        Raises:
            StoreUnavailableError: the database of decisions does not answer.
        """
        folder = root / digest
        for other in root.glob("*"):
            if anew or other != folder:
                shutil.rmtree(other)
        try:
            return cls(folder, Start.model_validate_json((folder / _START).read_bytes()))
        except FileNotFoundError:
            work = cls(folder, Start.now(runtime))
        folder.mkdir(parents=True, exist_ok=True)
        _write(folder / _START, work.start.model_dump_json().encode())
        return work

    def is_done(self, part: int) -> bool:
        """Whether a part is there; one that a failing disk left unreadable is not."""
        try:
            with pa.memory_map(str(self._file(part))) as file:
                return pa.ipc.open_file(file).schema == PART
        except (FileNotFoundError, pa.ArrowInvalid):
            return False

    def write(self, part: int, tables: Iterable[pa.Table]) -> None:
        """Keep a finished part."""
        unfinished = self.folder / f".{part}.{os.getpid()}"
        with pa.OSFile(str(unfinished), "wb") as file, pa.ipc.new_file(file, PART, options=_CODEC) as writer:
            for table in tables:
                writer.write_table(table)
        unfinished.replace(self._file(part))

    def read(self, part: int) -> pa.Table:
        """A finished part."""
        with pa.OSFile(str(self._file(part))) as file:
            return pa.ipc.open_file(file).read_all()

    def end(self) -> None:
        """Forget it."""
        shutil.rmtree(self.folder)

    def _file(self, part: int) -> Path:
        return self.folder / f"{part}.arrow"


def digest_of(runtime: Runtime, reasons_for: float) -> str:
    """A hash of everything that scores and actions depend on, but for the moment of the start."""
    scorer, settings = runtime.scorer, runtime.settings
    parts = [
        str(SCHEMA),
        settings.project.model_dump_json(),
        runtime.snapshot.id,
        str(runtime.versions()),
        scorer.churn.manifest.model_dump_json(),
        scorer.value.manifest.model_dump_json(),
        "" if runtime.learned is None else runtime.learned.version,
        str(settings.actions.top_k),
        "" if runtime.decided_at is None else iso(runtime.decided_at),
        f"{reasons_for:g}",
    ]
    return hashlib.sha256(orjson.dumps(parts)).hexdigest()[:16]


def _write(file: Path, content: bytes) -> None:
    unfinished = file.with_name(f".{file.name}")
    unfinished.write_bytes(content)
    unfinished.replace(file)
