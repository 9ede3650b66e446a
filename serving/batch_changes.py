"""Only what is news: the rows of a scoring that differ materially from what the reader of a target was last told.

What was told is kept in ``scoring/told/`` of the state folder, a file for each of the last moments. A row that is left
out counts as told what it was told before, so that many small steps become news together.
"""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from kernel.clock import iso
from serving.batch_targets import Target

PROBABILITY = 0.05
"""From which difference of the churn probability a row is news."""
VALUE = 0.1
"""From which difference of the lifetime value, as a share of the larger one."""
_KEPT = 3  # moments: the one that is written, and those before which it may be written again
_EXACT = ("status", "churn_band", "actions")
_SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "status": pa.string(),
        "churn_band": pa.string(),
        "actions": pa.string(),
        "churn_probability": pa.float64(),
        "lifetime_value": pa.float64(),
    }  # type: ignore[arg-type]
)


@dataclass(frozen=True)
class Told:
    """What readers of one target were told: those of a table, or of the files of a folder."""

    folder: Path

    @classmethod
    def of(cls, root: Path, target: Target) -> Told:
        """What readers of ``target`` were told."""
        return cls(root / hashlib.sha256(target.readers.encode()).hexdigest()[:16])

    @property
    def is_kept(self) -> bool:
        """Whether changes were asked for before."""
        return self.folder.exists()

    def news(self, as_of: datetime) -> News:
        """What to compare a scoring with: the last one of an earlier moment; where this moment was told already, that
        as well."""
        moments = {datetime.fromisoformat(file.stem): file for file in self.folder.glob("*.parquet")}
        earlier = [moment for moment in sorted(moments) if moment < as_of][-1:]
        if not earlier:
            return News([])
        return News([_read(moments[moment]) for moment in (*earlier, *({as_of} & moments.keys()))])

    @contextmanager
    def writing(self, as_of: datetime) -> Generator[pq.ParquetWriter]:
        """Keep what is told as of a moment: the whole of it at the end, or nothing."""
        self.folder.mkdir(parents=True, exist_ok=True)
        file = self.folder / f"{iso(as_of).replace('-', '').replace(':', '')}.parquet"
        unfinished = self.folder / ".unfinished"
        try:
            with pq.ParquetWriter(unfinished, _SCHEMA) as parquet:
                yield parquet
            unfinished.replace(file)
        finally:
            unfinished.unlink(missing_ok=True)
        for old in sorted(self.folder.glob("*.parquet"))[:-_KEPT]:
            old.unlink()


class News:
    """Tells rows that are news from rows that are none."""

    def __init__(self, before: list[pd.DataFrame]) -> None:
        """``before``: what was told, each with index customer_id; the first one is of an earlier moment."""
        self._before = before

    def gone(self, customer_ids: list[str]) -> list[str]:
        """Who was told of and is no more."""
        return sorted({str(name) for told in self._before for name in told.index} - set(customer_ids))

    def split(self, rows: pa.Table) -> tuple[NDArray[np.bool_], pa.Table]:
        """Which of these rows are news, shape (rows,), and what all of them are told then."""
        now = _essence(rows)
        if not self._before:
            return np.ones(len(now), dtype=np.bool_), _table(now)
        before = [told.reindex(now.index) for told in self._before]
        known = [now.index.isin(told.index) for told in self._before]
        is_news = np.logical_or.reduce([_differ(now, old) | ~there for old, there in zip(before, known, strict=True)])
        told = before[-1]
        told.loc[is_news] = now.loc[is_news]
        return is_news, _table(told)


def _differ(now: pd.DataFrame, told: pd.DataFrame) -> NDArray[np.bool_]:
    differ = np.zeros(len(now), dtype=np.bool_)
    for name in _EXACT:
        differ |= now[name].fillna("").to_numpy() != told[name].fillna("").to_numpy()
    for name, share in (("churn_probability", None), ("lifetime_value", VALUE)):
        new, old = now[name].to_numpy(dtype=np.float64), told[name].to_numpy(dtype=np.float64)
        limit = PROBABILITY if share is None else share * np.fmax(np.abs(new), np.abs(old))
        differ |= np.isnan(new) != np.isnan(old)
        differ |= (np.abs(new - old) >= limit) & (new != old)
    return differ


def _essence(rows: pa.Table) -> pd.DataFrame:
    """What is compared of each row, index customer_id; ``actions`` are their ids by rank."""
    listed = rows.column("recommended_actions").combine_chunks()
    ids = listed.flatten().field("action").to_pylist()
    ends = np.cumsum([0, *(length or 0 for length in listed.value_lengths().to_pylist())])
    actions = [" ".join(ids[first:last]) for first, last in pairwise(ends)]
    columns = rows.drop_columns([name for name in rows.column_names if name not in _SCHEMA.names])
    return columns.append_column("actions", pa.array(actions, pa.string())).to_pandas().set_index("customer_id")


def _table(essence: pd.DataFrame) -> pa.Table:
    return pa.Table.from_pandas(essence.reset_index(), _SCHEMA, preserve_index=False)


def _read(file: Path) -> pd.DataFrame:
    return pd.read_parquet(file).set_index("customer_id")
