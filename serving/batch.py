"""Score every customer of a snapshot into a file or a table: in parts, on all processors, going on after a kill."""

from __future__ import annotations

import gc
from collections import Counter
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from features.engine.lock import locked
from features.engine.snapshot import StoredRows
from kernel.types import Band
from serving.answers import AnswerContext
from serving.batch_changes import News, Told
from serving.batch_processes import finished, processors
from serving.batch_record import Records
from serving.batch_rows import SCHEMA, to_table
from serving.batch_targets import Target, target_of
from serving.batch_work import Work, digest_of
from serving.runtime import Runtime
from serving.scoring.ledger import ScoreLedger

CHUNK = 5120  # a quarter of a row group of the snapshot's file


@dataclass(frozen=True, slots=True)
class ScoresWritten:
    """What was written: rows, and rows of each status, the most frequent first.

    Attributes:
        target: where, as a person is told.
        already: the same scores were there before; nothing was done.
    """

    customers: int
    by_status: Mapping[str, int]
    target: str
    already: bool = False


def score_all(
    runtime: Runtime, advance: Callable[[int], None] = lambda rows: None, *, reasons_for: float = 100.0
) -> Iterator[pa.Table]:
    """Score the snapshot in chunks, one in memory at a time.

    Args:
        advance: is told the number of customers after each chunk.
        reasons_for: the percent of customers at the highest risk who get reasons; they are most of the price.
    """
    for table in _scored(runtime, reasons_for):
        yield table.select(SCHEMA.names)
        advance(len(table))


def write_scores(
    runtime: Runtime,
    out: str | Path,
    advance: Callable[[int], None] = lambda rows: None,
    *,
    reasons_for: float = 100.0,
    again: bool = False,
    only_changes: bool = False,
) -> ScoresWritten:
    """Score everybody into ``.parquet``, ``.csv`` (lists as JSON) or a table of PostgreSQL.

    Where it was stopped before it goes on, with the moment and the state of its start: the outcome is the same as if it
    had not been stopped. What the target has already is not written again. The bands are kept: they are those "before"
    of later scores. So are the scores, in the ledger.

    Args:
        out: of :func:`serving.batch_targets.target_of`.
        advance: is told the number of customers after each part.
        reasons_for: as of :func:`score_all`.
        again: score anew even where the target has the same scores, or a part of the work is done.
        only_changes: write the rows only that differ materially from what was written for an earlier moment
            (:mod:`serving.batch_changes`).

    Raises:
        UsageError: another file type, a folder that does not exist, or a table that is not ours.
        BusyError: another batch of the project did not end in time.
        BandsUnavailableError: the bands cannot be read or kept; nothing was written then.
        StoreUnavailableError: the database of earlier decisions does not answer.
        ForesightError: the target's database does not take the rows.
    """
    target, settings = target_of(out), runtime.settings
    folder = settings.state_folder / "scoring"
    digest = digest_of(runtime, reasons_for)
    records = Records(folder / "written")
    doing = f"scoring as of {runtime.snapshot.as_of:%Y-%m-%d}"
    with locked(folder / "lock", doing, wait_seconds=settings.state.lock_wait_seconds, what="Scoring"):
        as_written = f"{digest} changes" if only_changes else digest
        if again:
            records.forget(target)
        known = records.of(target, as_written)
        if known is not None:
            return ScoresWritten(known.customers, known.by_status, target.name, already=True)
        told = Told.of(folder / "told", target)
        work = Work.begun(folder / "work", digest, runtime, anew=again)
        _score_parts(work, work.start.fix(runtime), reasons_for, advance)
        news = told.news(runtime.snapshot.as_of) if only_changes else None
        with _collected_afterwards():
            by_status = _write(work, runtime, target, told, news)
        records.keep(target, as_written, by_status)
        work.end()
    return ScoresWritten(sum(by_status.values()), by_status, target.name)


def _score_parts(work: Work, runtime: Runtime, reasons_for: float, advance: Callable[[int], None]) -> None:
    """Finish the parts, each a row group of the snapshot's file."""
    sizes = runtime.snapshot.group_sizes()
    missing = [part for part in range(len(sizes)) if not work.is_done(part)]
    advance(sum(sizes) - sum(sizes[part] for part in missing))
    # A connection must not come along into another process.
    runtime.bands.close()
    if runtime.state is not None:
        runtime.state.close()

    def score(part: int) -> None:
        with _collected_afterwards():
            work.write(part, _scored(runtime, reasons_for, part))

    for part in finished(missing, score, processors(runtime.settings.engine.threads)):
        advance(sizes[part])


def _scored(runtime: Runtime, reasons_for: float, part: int | None = None) -> Iterator[pa.Table]:
    """Rows of the whole snapshot, or of one row group of its file."""
    for chunk in runtime.snapshot.chunks(CHUNK, part):
        yield scored_rows(runtime, chunk, reasons_for)


def scored_rows(runtime: Runtime, rows: StoredRows, reasons_for: float) -> pa.Table:
    """Scores and actions of some rows of a snapshot, with the columns of a part."""
    as_of = rows.manifest.as_of
    scores = runtime.scores(rows.rows, rows.consent, as_of, reasons_from=100.0 - reasons_for)
    table = to_table(scores, runtime.decide(scores, rows.rows, as_of), AnswerContext.of(runtime))
    before = [scores.held.get(name) for name in scores.customer_ids]
    return table.append_column("band_before", pa.array(before, pa.string()))


def _write(work: Work, runtime: Runtime, target: Target, told: Told, news: News | None) -> dict[str, int]:
    """Put the finished parts together, or what is news of them; each of target, bands and ledger appears whole."""
    as_of, status = runtime.snapshot.as_of, Counter[str]()
    gone = None if news is None else news.gone(runtime.snapshot.customer_ids())
    with ExitStack() as all_or_nothing:
        new = all_or_nothing.enter_context(target.writing(SCHEMA, gone=gone))  # entered first, done last
        bands = all_or_nothing.enter_context(runtime.bands.recording(as_of))
        ledger = all_or_nothing.enter_context(ScoreLedger.of(runtime.settings).writing(as_of))
        keep = None if news is None and not told.is_kept else all_or_nothing.enter_context(told.writing(as_of))
        for part in range(len(runtime.snapshot.group_sizes())):
            scored = work.read(part)
            rows = scored.select(SCHEMA.names)
            ledger.add(rows)
            bands.add(*_bands(scored))
            if keep is not None:
                is_news, now_told = (news or News([])).split(rows)
                keep.write_table(now_told)
                rows = rows.filter(pa.array(is_news))
            new.add(rows)
            status.update(rows.column("status").to_pylist())
    return dict(status.most_common())


def _bands(part: pa.Table) -> tuple[list[str], list[Band | None], dict[str, Band]]:
    """Customers, their bands, and the bands before of those who had one."""
    names, now, before = (part.column(name).to_pylist() for name in ("customer_id", "churn_band", "band_before"))
    held = {name: Band(band) for name, band in zip(names, before, strict=True) if band is not None}
    return names, [None if band is None else Band(band) for band in now], held


@contextmanager
def _collected_afterwards() -> Generator[None]:
    """No search for cycles meanwhile: millions of small objects that have none would be looked through again and
    again, which took a fifth of the time."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()
