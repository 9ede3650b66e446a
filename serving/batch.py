"""Score every customer of a snapshot into one file; readers see the old file or the new one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from pathlib import Path
from typing import Any

import numpy as np
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kernel.errors import UsageError
from kernel.types import FURTHEST_ORDER_DAYS
from serving.answers import AnswerContext, recommended_actions
from serving.decisioning.decision import Decision
from serving.runtime import Runtime
from serving.scoring.band_log import Recording
from serving.scoring.ledger import LedgerWriter, ScoreLedger
from serving.scoring.scorer import Scores

CHUNK = 5120  # a quarter of a row group of the snapshot's file
Writer = Callable[[Iterable[pa.Table], Path], None]
_MOMENT = pa.timestamp("us", tz="UTC")
_REASON = pa.struct(
    {
        "code": pa.string(),
        "text": pa.string(),
        "value": pa.float64(),
        "effect": pa.float64(),
        "group": pa.string(),
        "usual": pa.float64(),
        "typical": pa.float64(),
    }  # type: ignore[arg-type]
)
_GROUP = pa.struct({"group": pa.string(), "label": pa.string(), "effect": pa.float64()})  # type: ignore[arg-type]
_ACTION = pa.struct(
    {
        "action": pa.string(),
        "label": pa.string(),
        "rank": pa.int64(),
        "expected_value": pa.float64(),
        "expected_value_low": pa.float64(),
        "expected_value_high": pa.float64(),
        "probability": pa.float64(),
        "explanation": pa.string(),
        "what_would_change": pa.string(),
        "cost": pa.float64(),
        "uplift": pa.float64(),
        "channel": pa.string(),
        "status": pa.string(),
    }  # type: ignore[arg-type]
)
SCHEMA = pa.schema(
    {
        "customer_id": pa.string(),
        "as_of": _MOMENT,
        "scored_at": _MOMENT,
        "churn_probability": pa.float64(),
        "churn_percentile": pa.float64(),
        "churn_band": pa.string(),
        "churn_reasons": pa.list_(_REASON),
        "probability_alive": pa.float64(),
        "expected_purchases": pa.float64(),
        "lifetime_value": pa.float64(),
        "value_percentile": pa.float64(),
        "is_high_value": pa.bool_(),
        "recommended_actions": pa.list_(_ACTION),
        "status": pa.string(),
        "churn_model": pa.string(),
        "value_model": pa.string(),
        "policy": pa.string(),
        "churn_probability_low": pa.float64(),
        "churn_probability_high": pa.float64(),
        "churn_horizon_days": pa.int64(),
        "lifetime_value_low": pa.float64(),
        "lifetime_value_high": pa.float64(),
        "value_horizon_days": pa.int64(),
        "currency": pa.string(),
        "churn_groups": pa.list_(_GROUP),
        "churn_base": pa.float64(),
        "churn_score": pa.int64(),
        "churn_medium_from": pa.float64(),
        "churn_high_from": pa.float64(),
        "value_1m": pa.float64(),
        "value_1m_low": pa.float64(),
        "value_1m_high": pa.float64(),
        "value_3m": pa.float64(),
        "value_3m_low": pa.float64(),
        "value_3m_high": pa.float64(),
        "value_6m": pa.float64(),
        "value_6m_low": pa.float64(),
        "value_6m_high": pa.float64(),
        "value_12m": pa.float64(),
        "value_12m_low": pa.float64(),
        "value_12m_high": pa.float64(),
        "value_24m": pa.float64(),
        "value_24m_low": pa.float64(),
        "value_24m_high": pa.float64(),
        "value_shown_months": pa.int64(),
        "value_discounted": pa.float64(),
        "value_margin": pa.float64(),
        "value_at_risk": pa.float64(),
        "historic_value": pa.float64(),
        "expected_order_value": pa.float64(),
        "next_order_date": pa.date32(),
        "order_overdue_days": pa.float64(),
    }  # type: ignore[arg-type]
)
"""The file's columns; later versions add some and rename none (docs/reference/scores.md)."""


@dataclass(frozen=True, slots=True)
class ScoresWritten:
    """What a scores file holds: rows, and rows of each status, the most frequent first."""

    customers: int
    by_status: dict[str, int]


def score_all(
    runtime: Runtime,
    advance: Callable[[int], None] = lambda rows: None,
    *,
    reasons_for: float = 100.0,
    recording: Recording | None = None,
) -> Iterator[pa.Table]:
    """Score the snapshot in chunks, one in memory at a time.

    Args:
        advance: is told the number of customers after each chunk.
        reasons_for: the percent of customers at the highest risk who get reasons; they are most of the price.
        recording: is told the bands.
    """
    context = AnswerContext.of(runtime)
    for chunk in runtime.snapshot.chunks(CHUNK):
        scores = runtime.scores(chunk.features, chunk.consent, chunk.manifest.as_of, reasons_from=100.0 - reasons_for)
        decisions = runtime.decide(scores, chunk.features, chunk.manifest.as_of)
        if recording is not None:
            recording.add(list(scores.numbers.index), list(scores.band), scores.held)
        yield to_table(scores, decisions, context)
        advance(len(scores))


def to_table(scores: Scores, decisions: Sequence[Decision | None], context: AnswerContext) -> pa.Table:
    """Scores and decisions as rows of the scores file: what ``serving.answers.customer_score`` says of each, made a
    column at a time."""
    rows, numbers = len(scores), scores.numbers
    columns: dict[str, Any] = {name: pa.array(numbers[name].to_numpy(), from_pandas=True) for name in numbers.columns}
    columns |= {
        "customer_id": list(numbers.index),
        "as_of": [scores.as_of] * rows,
        "scored_at": [scores.scored_at] * rows,
        "churn_score": pa.array(np.rint(100 * numbers["churn_probability"].to_numpy()), from_pandas=True),
        "churn_band": [None if band is None else band.value for band in scores.band],
        "churn_reasons": _listed(_REASON, scores.reasons),
        "churn_groups": _listed(_GROUP, scores.groups),
        "churn_base": pa.array(scores.base, from_pandas=True),
        "is_high_value": list(scores.high_value),
        "recommended_actions": [recommended_actions(decision) for decision in decisions],
        "status": [str(status) for status in scores.status],
        "churn_model": [scores.churn_model] * rows,
        "value_model": [scores.value_model] * rows,
        "policy": [context.versions.policy if one is None else one.policy_version for one in decisions],
        "churn_horizon_days": [context.churn_horizon_days] * rows,
        "value_horizon_days": [context.horizon_days] * rows,
        "currency": [context.currency] * rows,
        "churn_medium_from": [context.churn_bands[0]] * rows,
        "churn_high_from": [context.churn_bands[1]] * rows,
        "value_shown_months": [context.value_shown_months] * rows,
        "next_order_date": _dates(scores),
    }
    arrays = [_array(columns[field.name], field.type) for field in SCHEMA]
    return pa.Table.from_arrays(arrays, schema=SCHEMA)


def _dates(scores: Scores) -> pa.Array:
    """``Score.next_order_date`` of every row."""
    days = scores.numbers["next_order_days"].to_numpy()
    usable = days <= FURTHEST_ORDER_DAYS  # NaN is not
    wait = np.rint(np.where(usable, days, 0.0) * 86_400_000_000)  # as timedelta rounds
    moments = np.datetime64(scores.as_of.astimezone(UTC).replace(tzinfo=None), "us") + wait.astype("timedelta64[us]")
    return pa.array(moments.astype("datetime64[D]"), pa.date32(), mask=~usable)


def _array(values: Any, kind: pa.DataType) -> pa.Array:
    return values.cast(kind) if isinstance(values, pa.Array) else pa.array(values, kind)


def _listed(kind: pa.StructType, items: Sequence[Sequence[Any]]) -> pa.Array:
    """A list of objects for each row, as lists of structs: one array for each of their fields."""
    flat = [one for row in items for one in row]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in items], dtype=np.int32)]).astype(np.int32)
    fields = [pa.array([_told(getattr(one, field.name), field.type) for one in flat], field.type) for field in kind]
    return pa.ListArray.from_arrays(pa.array(offsets), pa.StructArray.from_arrays(fields, fields=list(kind)))


def _told(value: Any, kind: pa.DataType) -> Any:
    # A column has one type: an attribute's word stands in the reason's text.
    return None if isinstance(value, str) and kind == pa.float64() else value


def writer_of(path: Path) -> Writer:
    """How a scores file of this name is written.

    Raises:
        UsageError: another file type, or a folder that does not exist.
    """
    write = _WRITERS.get(path.suffix.lower())
    if write is None:
        raise UsageError(
            f"'{path.name}' is no type that can be written.", where="--out", fix="End it in .parquet or .csv."
        )
    if not path.parent.is_dir():
        raise UsageError(f"The folder '{path.parent}' does not exist.", where="--out", fix="Make it, or name another.")
    return write


def write_scores(
    runtime: Runtime,
    path: Path,
    advance: Callable[[int], None] = lambda rows: None,
    *,
    reasons_for: float = 100.0,
) -> ScoresWritten:
    """Score everybody and write ``.parquet`` or ``.csv`` (lists as JSON) by one rename, a chunk at a time.

    The bands are kept: they are those "before" of later scores. So are the scores, in the ledger.

    Args:
        reasons_for: as of :func:`score_all`.

    Raises:
        UsageError: another file type, or a folder that does not exist.
        BandsUnavailableError: the bands cannot be read or kept; no file was written then.
    """
    write = writer_of(path)
    status: Counter[str] = Counter()

    as_of = runtime.snapshot.as_of

    def counted(recording: Recording, kept: LedgerWriter) -> Iterator[pa.Table]:
        for table in score_all(runtime, advance, reasons_for=reasons_for, recording=recording):
            status.update(table.column("status").to_pylist())
            kept.add(table)
            yield table

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".scores-") as folder:
        unfinished = Path(folder) / path.name
        with runtime.bands.recording(as_of) as recording, ScoreLedger.of(runtime.settings).writing(as_of) as kept:
            write(counted(recording, kept), unfinished)
        unfinished.replace(path)
    return ScoresWritten(status.total(), dict(status.most_common()))


def _write_parquet(tables: Iterable[pa.Table], path: Path) -> None:
    with pq.ParquetWriter(path, SCHEMA) as file:
        for table in tables:
            file.write_table(table)


def _write_csv(tables: Iterable[pa.Table], path: Path) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(",".join(SCHEMA.names) + "\n")
        for table in tables:
            frame: pd.DataFrame = table.to_pandas(types_mapper=None)
            for name in ("churn_reasons", "churn_groups", "recommended_actions"):
                frame[name] = [
                    orjson.dumps(list(items), option=orjson.OPT_SERIALIZE_NUMPY).decode() for items in frame[name]
                ]
            frame.to_csv(file, index=False, header=False)


_WRITERS: dict[str, Writer] = {".parquet": _write_parquet, ".csv": _write_csv}
