"""What do further moments cost? Twelve cut-offs against one, and one more day against a full build."""

from __future__ import annotations

import shutil
from collections.abc import Iterator, Sequence
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from benchmarks.measure import Figure, medians, seconds
from benchmarks.sixty import AS_OF, NAMES, sixty
from benchmarks.synthetic import Size, write_days
from features.contract.profiles import Profiles, load_profiles
from features.engine.build import write_features, write_tables
from features.engine.embedded import by_duckdb
from features.engine.events import extent, forget, order_span
from features.engine.incremental import Earlier, advance
from kernel.clock import parse_as_of
from kernel.settings import load_settings

MONTHS = tuple(
    parse_as_of(f"2023-{month:02}-{day}")
    for month, day in enumerate((31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31), start=1)
)
DAY = timedelta(days=1)


def cutoffs(folder: Path, size: Size) -> Iterator[Figure]:
    """Twelve months at once, against the last alone and against each alone."""
    with load_profiles(load_settings(folder)) as profiles:
        yield from _cutoffs(profiles, size)


def _cutoffs(profiles: Profiles, size: Size) -> Iterator[Figure]:
    one, twelve = medians([lambda: _cold(profiles, MONTHS[-1:]), lambda: _cold(profiles, MONTHS)], size.repetitions)
    alone = sum(seconds(lambda: _cold(profiles, [month])) for month in MONTHS)  # noqa: B023
    what = f"{len(NAMES)} features of 12 monthly cut-offs, {size}"
    cost = f"costs {twelve / one:.1f} times one cut-off; nothing prepared in either"
    yield Figure("features", what, "the last cut-off alone, ours", twelve, one, "s", note=cost)
    yield Figure("features", what, "12 runs, a cut-off each, ours", twelve, alone, "s", note="nothing prepared in any")


def _cold(profiles: Profiles, as_ofs: Sequence[datetime]) -> int:
    forget(profiles)
    # Consumed, not kept: twelve wide tables of a million rows are for a file.
    return sum(table.num_rows for _, table in by_duckdb(profiles, sixty(), as_ofs))


def one_more_day(parent: Path, size: Size) -> Iterator[Figure]:
    """The snapshot of the last day from the one of the day before, against building it from nothing."""
    features, what = sixty(), f"one more day, {len(NAMES)} features, {size}"
    place = parent / "days"
    write_days(place, parent / "whole", AS_OF - DAY)
    full, again, before, after = (place / f"{name}.parquet" for name in ("full", "again", "before", "after"))
    build = seconds(lambda: _from_files(parent / "whole", full))
    note = "the file equals that of the full build, to the bit"

    with load_profiles(load_settings(parent / "whole")) as profiles:
        write_features(profiles, features, AS_OF - DAY, before)
        earlier = Earlier(AS_OF - DAY, before, extent(profiles))
        order_span(profiles)  # kept beside the prepared tables, from the first such day on
        runs = [
            lambda: write_tables(profiles, advance(profiles, features, AS_OF, earlier), after),
            lambda: write_features(profiles, features, AS_OF, again),
        ]
        ahead, warm = medians(runs, size.repetitions)
    check_same(full, after)
    from_files = "full build: read the source files, prepare, compute, write"
    yield Figure("features", f"{what}: tables at hand", from_files, ahead, build, "s", note=note)
    yield Figure("features", f"{what}: tables at hand", "all customers, tables at hand", ahead, warm, "s", note=note)

    # A nightly job: the tables and the snapshot of yesterday lie in files, and a file of today's rows has come.
    with load_profiles(load_settings(place)) as profiles:
        write_features(profiles, features, AS_OF - DAY, before)
        rows = extent(profiles)
        order_span(profiles)
    shutil.move(place / "new.parquet", place / "transactions" / "1.parquet")
    nightly = seconds(lambda: _nightly(place, Earlier(AS_OF - DAY, before, rows), after))
    check_same(full, after)
    note = f"keep_tables: opens the kept tables, reads the day's file, computes, writes; {note}"
    yield Figure("features", f"{what}: nightly job", from_files, nightly, build, "s", note=note)


def _from_files(folder: Path, file: Path) -> None:
    with load_profiles(load_settings(folder)) as profiles:
        write_features(profiles, sixty(), AS_OF, file)


def _nightly(folder: Path, earlier: Earlier, file: Path) -> None:
    with load_profiles(load_settings(folder)) as profiles:
        write_tables(profiles, advance(profiles, sixty(), AS_OF, earlier), file)


def check_same(one: Path, other: Path) -> None:
    """Raise AssertionError unless both files have the same rows and columns, to the bit."""
    with pq.ParquetFile(one) as left, pq.ParquetFile(other) as right:
        names = left.schema_arrow.names
        assert set(names) == set(right.schema_arrow.names), "other columns"
        for name in names:
            mine, theirs = (file.read(columns=[name]).column(name).combine_chunks() for file in (left, right))
            assert mine.is_null().equals(theirs.is_null()), f"'{name}' differs from the full build"
            assert _bits(mine).equals(_bits(theirs)), f"'{name}' differs from the full build"


def _bits(column: pa.Array) -> pa.Array:
    # As whole numbers: 0.0 and -0.0 are not the same.
    return column.fill_null(0.0).view(pa.int64()) if pa.types.is_floating(column.type) else column
