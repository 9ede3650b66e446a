"""Score every customer of a snapshot into one file; readers see the old file or the new one."""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq

from kernel.errors import UsageError
from serving.answers import AnswerContext, customer_score
from serving.insights import Insight
from serving.runtime import Runtime

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
        "cost": pa.float64(),
        "uplift": pa.float64(),
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
    }  # type: ignore[arg-type]
)
"""The file's columns; later versions add some and rename none (docs/reference/scores.md)."""


@dataclass(frozen=True, slots=True)
class ScoresWritten:
    """What a scores file holds: rows, and rows of each status, the most frequent first."""

    customers: int
    by_status: dict[str, int]


def score_all(runtime: Runtime, advance: Callable[[int], None] = lambda rows: None) -> Iterator[pa.Table]:
    """Score the snapshot in chunks, one in memory at a time; ``advance`` is told the number of customers after each."""
    context = AnswerContext.of(runtime)
    for chunk in runtime.snapshot.chunks(CHUNK):
        insights = runtime.insights(chunk.features, chunk.consent, chunk.manifest.as_of)
        yield to_table(insights, context)
        advance(len(insights))


def to_table(insights: list[Insight], context: AnswerContext) -> pa.Table:
    """Insights as rows of the scores file, the same numbers as the service answers."""
    return pa.Table.from_pylist([_row(insight, context) for insight in insights], schema=SCHEMA)


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


def write_scores(runtime: Runtime, path: Path, advance: Callable[[int], None] = lambda rows: None) -> ScoresWritten:
    """Score everybody and write ``.parquet`` or ``.csv`` (lists as JSON) by one rename, a chunk at a time.

    Raises:
        UsageError: another file type, or a folder that does not exist.
    """
    write = writer_of(path)
    status: Counter[str] = Counter()

    def counted() -> Iterator[pa.Table]:
        for table in score_all(runtime, advance):
            status.update(table.column("status").to_pylist())
            yield table

    with tempfile.TemporaryDirectory(dir=path.parent, prefix=".scores-") as folder:
        unfinished = Path(folder) / path.name
        write(counted(), unfinished)
        unfinished.replace(path)
    return ScoresWritten(status.total(), dict(status.most_common()))


def _row(insight: Insight, context: AnswerContext) -> dict[str, object]:
    row = customer_score(insight, context).model_dump()
    for reason in row["churn_reasons"]:
        # A column has one type: an attribute's word stands in the reason's text.
        reason["value"] = reason["value"] if isinstance(reason["value"], float) else None
    return row


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
