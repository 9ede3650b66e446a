"""A batch: what it writes, when it writes nothing, and what it goes on with."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq
import pytest

from features.engine.lock import locked
from kernel.errors import BusyError, ForesightError, UsageError
from serving import batch
from serving.batch import score_all, write_scores
from serving.batch_processes import finished
from serving.batch_rows import SCHEMA
from serving.batch_work import Start, Work, digest_of
from serving.decisioning.state import CampaignPrices, DecisionState
from serving.feedback.errors import StoreUnavailableError
from serving.feedback.state_reader import StateReader
from serving.runtime import Runtime
from serving.scoring.band_log import BandsUnavailableError
from serving.scoring.ledger import ScoreLedger
from tests.doubles.batch import AS_OF, FIRST_START, runtime_of

LATER = FIRST_START + timedelta(hours=5)


@pytest.fixture
def runtime(tmp_path: Path) -> Runtime:
    return runtime_of(tmp_path / "shop", rows=50)


@pytest.fixture
def out(tmp_path: Path) -> Path:
    return tmp_path / "scores.parquet"


def later(runtime: Runtime) -> Runtime:
    return replace(runtime, clock=lambda: LATER)


def test_the_file_has_a_row_for_everybody_as_the_runtime_scores_them(runtime: Runtime, out: Path) -> None:
    told: list[int] = []
    written = write_scores(runtime, out, told.append)
    rows = pq.read_table(out)
    assert rows.schema.equals(SCHEMA)
    assert rows.equals(pa.concat_tables(score_all(runtime)))
    assert (written.customers, sum(told), written.target) == (50, 50, str(out))
    assert list(written.by_status.items()) == [("inactive", 30), ("scored", 14), ("no_consent", 6)]
    assert ScoreLedger.of(runtime.settings).read(AS_OF)["customer_id"].tolist() == [
        row["customer_id"] for row in rows.to_pylist() if row["status"] != "no_consent"
    ]


def test_csv_has_whole_numbers_beside_nulls(runtime: Runtime, tmp_path: Path) -> None:
    write_scores(runtime, tmp_path / "scores.parquet")
    write_scores(runtime, tmp_path / "scores.csv")
    rows, lines = pq.read_table(tmp_path / "scores.parquet"), pa.csv.read_csv(tmp_path / "scores.csv")
    for name in ("customer_id", "churn_score", "churn_probability", "lifetime_value", "is_high_value"):
        assert lines.column(name).to_pylist() == rows.column(name).to_pylist()
    assert '"action"' in next(text for text in lines.column("recommended_actions").to_pylist() if text != "[]")


def test_the_same_scores_are_not_written_twice(runtime: Runtime, out: Path) -> None:
    first = write_scores(runtime, out)
    seen = out.stat().st_mtime_ns
    second = write_scores(later(runtime), out)
    assert out.stat().st_mtime_ns == seen
    assert second == replace(first, already=True)
    assert set(pq.read_table(out).column("scored_at").to_pylist()) == {FIRST_START}


def test_again_scores_anew(runtime: Runtime, out: Path) -> None:
    write_scores(runtime, out)
    assert not write_scores(later(runtime), out, again=True).already
    assert set(pq.read_table(out).column("scored_at").to_pylist()) == {LATER}


@pytest.mark.parametrize("change", ["touched", "removed", "reasons", "model"])
def test_what_is_not_the_same_is_written(runtime: Runtime, out: Path, change: str) -> None:
    write_scores(runtime, out)
    if change == "touched":
        out.write_bytes(b"")
    elif change == "removed":
        out.unlink()
    elif change == "model":
        runtime = replace(runtime, scorer=replace(runtime.scorer, churn_version="c/2"))
    assert not write_scores(later(runtime), out, reasons_for=50 if change == "reasons" else 100).already
    assert set(pq.read_table(out).column("scored_at").to_pylist()) == {LATER}


class StoppedError(Exception):
    pass


def stop_after(parts: int, runtime: Runtime, out: Path, *, again: bool = False) -> None:
    """A batch that stops when so many parts are finished, as if it were killed then."""
    told: list[int] = []

    def stop(rows: int) -> None:
        told.append(rows)
        if len(told) == parts + 1:
            raise StoppedError

    with pytest.raises(StoppedError):
        write_scores(runtime, out, stop, again=again)


def test_a_stopped_batch_goes_on_as_of_its_start(runtime: Runtime, tmp_path: Path) -> None:
    write_scores(runtime_of(tmp_path / "other", rows=50), tmp_path / "undisturbed.parquet")
    stop_after(2, runtime, tmp_path / "stopped.parquet")
    assert not (tmp_path / "stopped.parquet").exists()
    told: list[int] = []
    write_scores(later(runtime), tmp_path / "stopped.parquet", told.append)
    assert told == [40, 10]
    assert (tmp_path / "stopped.parquet").read_bytes() == (tmp_path / "undisturbed.parquet").read_bytes()


def test_scoring_anew_that_was_stopped_goes_on(runtime: Runtime, out: Path) -> None:
    write_scores(runtime, out)
    stop_after(1, later(runtime), out, again=True)
    assert not write_scores(runtime, out).already
    assert set(pq.read_table(out).column("scored_at").to_pylist()) == {LATER}


def test_a_part_that_cannot_be_read_is_scored_again(runtime: Runtime, out: Path) -> None:
    stop_after(2, runtime, out)
    [part, _] = sorted(runtime.settings.state_folder.glob("scoring/work/*/*.arrow"))
    part.write_bytes(part.read_bytes()[:100])
    told: list[int] = []
    write_scores(runtime, out, told.append)
    assert told == [20, 20, 10]
    assert len(pq.read_table(out)) == 50


def test_other_inputs_begin_anew(runtime: Runtime, out: Path) -> None:
    stop_after(2, runtime, out)
    write_scores(later(runtime), out, reasons_for=10)
    assert set(pq.read_table(out).column("scored_at").to_pylist()) == {LATER}
    assert list((runtime.settings.state_folder / "scoring" / "work").iterdir()) == []


def test_sums_and_prices_are_those_of_the_start(
    runtime: Runtime, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prices = CampaignPrices("p1", "h", 0.5, {"mail": 1.25}, FIRST_START + timedelta(days=3))
    states = [DecisionState(FIRST_START, {}, {"mail": 3}, {"mail": 7.5}, prices), DecisionState(LATER, {}, {"mail": 9})]
    monkeypatch.setattr(StateReader, "read", lambda *_: states.pop(0))
    work = Work.begun(tmp_path / "work", digest_of(runtime, 100), runtime)
    kept = Work.begun(tmp_path / "work", digest_of(runtime, 100), later(runtime))
    assert kept == work
    fixed = kept.start.fix(later(runtime))
    assert (fixed.clock(), fixed.decided_at) == (FIRST_START, FIRST_START)
    state = fixed.state_of(["c0001"])
    assert state == DecisionState(LATER, {}, {"mail": 3}, {"mail": 7.5}, prices)
    assert isinstance(work.start, Start)


def test_one_batch_at_a_time(runtime: Runtime, out: Path) -> None:
    state = runtime.settings.state.model_copy(update={"lock_wait_seconds": 0})
    impatient = replace(runtime, settings=runtime.settings.model_copy(update={"state": state}))
    lock = runtime.settings.state_folder / "scoring" / "lock"
    with locked(lock, "scoring as of 2024-03-30", wait_seconds=0), pytest.raises(BusyError) as caught:
        write_scores(impatient, out)
    assert caught.value.what.startswith("Scoring is busy: scoring as of 2024-03-30 since ")
    assert not out.exists()


@pytest.mark.parametrize("name", ["scores.xlsx", "missing/scores.csv", "sqlite:///x?table=a", "postgresql://host/db"])
def test_a_target_that_cannot_be_written(runtime: Runtime, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError) as caught:
        write_scores(runtime, name if "://" in name else tmp_path / name)
    assert caught.value.where == "--out"


def test_without_the_bands_nothing_is_written(runtime: Runtime, out: Path) -> None:
    runtime.settings.state_folder.mkdir(parents=True)
    (runtime.settings.state_folder / "decisions.db").write_bytes(b"no database" * 100)
    with pytest.raises((BandsUnavailableError, StoreUnavailableError)):
        write_scores(runtime, out)
    assert not out.exists()


def test_processes_give_the_same(tmp_path: Path, out: Path) -> None:
    alone = runtime_of(tmp_path / "one", rows=100)
    together = runtime_of(tmp_path / "two", rows=100, threads=2)
    write_scores(alone, tmp_path / "one.parquet")
    write_scores(together, tmp_path / "two.parquet")
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "two.parquet").read_bytes()


def refuse(part: int) -> None:
    if part == 1:
        raise UsageError("No.", where="here", fix="Yes.")


def test_an_error_of_a_process_is_told() -> None:
    with pytest.raises(UsageError) as caught:
        list(finished([0, 1], refuse, 2))
    assert (caught.value.what, caught.value.where, caught.value.fix) == ("No.", "here", "Yes.")


def die(part: int) -> None:
    import os

    os._exit(9)


def test_a_killed_process_is_told() -> None:
    with pytest.raises(ForesightError, match="A process that scored was killed"):
        list(finished([0, 1], die, 2))


def test_the_chunk_divides_a_part() -> None:
    from features.engine.build import ROW_GROUP

    assert ROW_GROUP % batch.CHUNK == 0
