"""What was scored when: the few columns of every scoring that trends and monitoring look back at.

One Parquet file a moment in ``scores/`` of the state folder, rows by customer, so that one customer's row is found
without reading the others. The newest scoring of a moment stands. Customers who may not be profiled are left out.
"""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from kernel.clock import iso
from kernel.settings import Settings
from kernel.types import Band, Status

_ROWS = 20_000  # of a row group: what is read for one customer
_MOMENT = pa.timestamp("us", tz="UTC")
SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "as_of": _MOMENT,
        "scored_at": _MOMENT,
        "status": pa.string(),
        "churn_probability": pa.float64(),
        "churn_percentile": pa.float64(),
        "churn_band": pa.string(),
        "lifetime_value": pa.float64(),
        "value_percentile": pa.float64(),
        "churn_model": pa.string(),
        "value_model": pa.string(),
    }  # type: ignore[arg-type]
)
COLUMNS = tuple(SCHEMA.names)


@dataclass(frozen=True, slots=True)
class PastScore:
    """One customer's row of one scoring; numbers are None where none was given (docs/reference/scores.md)."""

    customer_id: str
    as_of: datetime
    scored_at: datetime
    status: Status
    churn_probability: float | None
    churn_percentile: float | None
    churn_band: Band | None
    lifetime_value: float | None
    value_percentile: float | None
    churn_model: str
    value_model: str


@dataclass(frozen=True)
class ScoreLedger:
    """The past scores of one project, in ``folder``; ``keep`` moments at most, the oldest go first."""

    folder: Path
    keep: int = 400

    @classmethod
    def of(cls, settings: Settings) -> ScoreLedger:
        """That of a project."""
        return cls(settings.state_folder / "scores", settings.state.keep_scores)

    def moments(self) -> list[datetime]:
        """The moments of knowledge that were scored, rising."""
        found = (_moment(file) for file in self.folder.glob("*.parquet"))
        return sorted(moment for moment in found if moment is not None)

    def read(self, as_of: datetime, columns: Sequence[str] | None = None) -> pd.DataFrame:
        """A whole scoring, or some of its columns: a row a customer, by customer_id.

        Raises:
            FileNotFoundError: that moment was not scored.
        """
        with pq.ParquetFile(self._file(as_of)) as parquet:
            return parquet.read(columns=None if columns is None else list(columns)).to_pandas()

    def history(self, customer_id: str, until: datetime, most: int = 12) -> list[PastScore]:
        """The scores of one customer at the last ``most`` moments that are not after ``until``, rising; those are left
        out at which there was none."""
        moments = [moment for moment in self.moments() if moment <= until][-most:]
        found = (_row(self._file(moment), customer_id) for moment in moments)
        return [one for one in found if one is not None]

    @contextmanager
    def writing(self, as_of: datetime) -> Generator[LedgerWriter]:
        """Keep a scoring of ``as_of``, its rows by customer_id: the whole of it at the end, or nothing.

        One writer at a time: the caller holds the lock of the project's scoring.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self._file(as_of)
        unfinished = file.with_name(f".{file.name}.unfinished")
        try:
            with pq.ParquetWriter(unfinished, SCHEMA, compression="zstd") as parquet:
                writer = LedgerWriter(parquet)
                yield writer
                writer.flush()
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        for old in self.moments()[: -self.keep]:
            self._file(old).unlink(missing_ok=True)

    def _file(self, as_of: datetime) -> Path:
        return self.folder / f"{iso(as_of).replace('-', '').replace(':', '')}.parquet"


class LedgerWriter:
    """Takes tables that have the columns of the ledger, among others."""

    def __init__(self, parquet: pq.ParquetWriter) -> None:
        self._parquet = parquet
        self._waiting: list[pa.Table] = []

    def add(self, table: pa.Table) -> None:
        """More rows, after those before by customer_id."""
        allowed = pc.field("status") != Status.NO_CONSENT.value
        self._waiting.append(table.select(COLUMNS).cast(SCHEMA).filter(allowed))
        if sum(len(one) for one in self._waiting) >= _ROWS:
            self.flush()

    def flush(self) -> None:
        """Write what waits as one row group."""
        if self._waiting:
            rows = pa.concat_tables(self._waiting)
            self._parquet.write_table(rows, row_group_size=max(len(rows), 1))
            self._waiting.clear()


def _moment(file: Path) -> datetime | None:
    try:
        return datetime.fromisoformat(file.stem)
    except ValueError:
        return None  # a file of somebody else's


def _row(file: Path, customer_id: str) -> PastScore | None:
    try:
        with pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                ids = parquet.metadata.row_group(group).column(0).statistics
                if ids is not None and ids.has_min_max and not ids.min <= customer_id <= ids.max:
                    continue
                rows = parquet.read_row_group(group, use_threads=False)
                found = rows.filter(pc.field("customer_id") == customer_id).to_pylist()
                if found:
                    return _past_score(found[0])
    except FileNotFoundError:
        pass  # removed meanwhile as the oldest
    return None


def _past_score(row: dict[str, Any]) -> PastScore:
    band = row["churn_band"]
    row |= {"status": Status(row["status"]), "churn_band": None if band is None else Band(band)}
    return PastScore(**row)
