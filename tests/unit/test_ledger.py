"""The ledger of past scores: what was written is read, one customer at a time or all."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from kernel.types import Band, Status
from serving.scoring import ledger as module
from serving.scoring.ledger import COLUMNS, PastScore, ScoreLedger

DAY = datetime(2024, 3, 1, tzinfo=UTC)
LATER = DAY + timedelta(hours=2)


def scored(*names: str, as_of: datetime = DAY, status: str = "scored", probability: float | None = 0.25) -> pa.Table:
    """Rows as a scores file has them, with a column that the ledger does not keep."""
    rows = len(names)
    return pa.table(
        {
            "currency": ["USD"] * rows,
            "customer_id": pa.array(names, pa.string()),
            "as_of": pa.array([as_of] * rows, pa.timestamp("us", tz="UTC")),
            "scored_at": pa.array([LATER] * rows, pa.timestamp("us", tz="UTC")),
            "status": [status] * rows,
            "churn_probability": pa.array([probability] * rows, pa.float64()),
            "churn_percentile": pa.array([75.0] * rows, pa.float64()),
            "churn_band": pa.array(["medium"] * rows, pa.string()),
            "lifetime_value": pa.array([10.5] * rows, pa.float64()),
            "value_percentile": pa.array([None] * rows, pa.float64()),
            "churn_model": ["churn/1"] * rows,
            "value_model": ["value/2"] * rows,
        }
    )


def keep(ledger: ScoreLedger, as_of: datetime, *tables: pa.Table) -> None:
    with ledger.writing(as_of) as writer:
        for table in tables:
            writer.add(table)


@pytest.fixture
def ledger(tmp_path: Path) -> ScoreLedger:
    return ScoreLedger(tmp_path / "scores")


def test_a_ledger_that_is_not_there_has_nothing(ledger: ScoreLedger) -> None:
    assert ledger.moments() == []
    assert ledger.history("a", DAY) == []


def test_a_scoring_is_read_as_it_was_written(ledger: ScoreLedger) -> None:
    keep(ledger, DAY, scored("a", "b"), scored("c", probability=None))
    assert [file.name for file in ledger.folder.iterdir()] == ["20240301T000000Z.parquet"]
    found = ledger.read(DAY)
    assert tuple(found.columns) == COLUMNS
    assert found["customer_id"].tolist() == ["a", "b", "c"]
    assert found["churn_probability"].tolist()[:2] == [0.25, 0.25] and pd.isna(found["churn_probability"][2])
    assert list(ledger.read(DAY, ["status"]).columns) == ["status"]


def test_history_rises_and_ends_at_the_moment_asked_for(ledger: ScoreLedger) -> None:
    days = [DAY + timedelta(days=n) for n in range(5)]
    for n, day in enumerate(days):
        keep(ledger, day, scored("a", as_of=day, probability=n / 10))
    found = ledger.history("a", days[3], most=3)
    assert [one.as_of for one in found] == days[1:4]
    assert [one.churn_probability for one in found] == [0.1, 0.2, 0.3]
    assert found[0] == PastScore(
        "a", days[1], LATER, Status.SCORED, 0.1, 75.0, Band.MEDIUM, 10.5, None, "churn/1", "value/2"
    )


def test_who_may_not_be_profiled_is_not_kept(ledger: ScoreLedger) -> None:
    keep(ledger, DAY, scored("a", status="no_consent"), scored("b"))
    assert ledger.read(DAY)["customer_id"].tolist() == ["b"]
    assert ledger.history("a", DAY) == []


def test_only_the_row_group_of_a_customer_is_read(ledger: ScoreLedger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 2)
    keep(ledger, DAY, scored("a", "b"), scored("d"), scored("f"), scored("g"))
    read: list[int] = []
    group = pq.ParquetFile.read_row_group

    def counted(file: pq.ParquetFile, number: int, **options: object) -> pa.Table:
        read.append(number)
        return group(file, number, **options)

    monkeypatch.setattr(pq.ParquetFile, "read_row_group", counted)
    assert [one.customer_id for one in ledger.history("f", DAY)] == ["f"]
    assert ledger.history("c", DAY) == []
    assert read == [1]


def test_the_newest_scoring_of_a_moment_stands_and_one_that_fails_leaves_nothing(ledger: ScoreLedger) -> None:
    keep(ledger, DAY, scored("a", "b"))
    keep(ledger, DAY, scored("b"))
    with pytest.raises(RuntimeError), ledger.writing(DAY) as writer:
        writer.add(scored("c"))
        raise RuntimeError
    assert ledger.read(DAY)["customer_id"].tolist() == ["b"]
    assert len(list(ledger.folder.iterdir())) == 1


def test_the_oldest_moments_go(tmp_path: Path) -> None:
    ledger = ScoreLedger(tmp_path, keep=2)
    days = [DAY + timedelta(hours=n) for n in range(3)]
    for day in (days[1], days[0], days[2]):
        keep(ledger, day, scored("a", as_of=day))
    (tmp_path / "notes.parquet").write_bytes(b"")
    assert ledger.moments() == days[1:]


def test_moments_within_a_second_are_apart(ledger: ScoreLedger) -> None:
    days = [DAY, DAY + timedelta(microseconds=250)]
    for day in days:
        keep(ledger, day, scored("a", as_of=day))
    assert ledger.moments() == days
