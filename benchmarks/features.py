"""How fast are features? 60 of a million customers, against the same 60 in hand-written pandas and hand-written SQL."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pandas as pd
import pyarrow as pa

from benchmarks import memory, moments, one_profile
from benchmarks.data import Bench, naive
from benchmarks.measure import Figure, apart, medians, seconds
from benchmarks.pandas_features import pandas_features, read_frames, with_codes
from benchmarks.sixty import AS_OF, NAMES, check_equal, sixty
from benchmarks.sql_features import sql_features
from benchmarks.synthetic import Size, write_project
from features.contract.profiles import Profiles, load_profiles
from features.definitions import project_features
from features.engine.definition import FeatureSet
from features.engine.embedded import by_duckdb
from features.engine.events import forget
from kernel.settings import load_settings

_SHARES = (0.25, 0.5)


def figures(bench: Bench) -> Iterator[Figure]:
    """Seconds and peak memory at the full size, the growth with rows, many moments, one more day, one profile."""
    size = bench.size
    folder = write_project(bench.folder / "whole", size)
    first, *others = apart(_seconds, folder, size)
    yield from (first, *others)
    yield from apart(moments.cutoffs, folder, size)
    yield from apart(moments.one_more_day, bench.folder, size)
    yield from apart(_growth, bench.folder, size, first.ours)
    yield from memory.figures(folder, size)
    yield from apart(one_profile.figures)


def cold(profiles: Profiles, features: FeatureSet) -> pa.Table:
    """The features from the contract's loaded tables: nothing is prepared."""
    forget(profiles)
    return pa.concat_tables([table for _, table in by_duckdb(profiles, features, [AS_OF])])


def _seconds(folder: Path, size: Size) -> Iterator[Figure]:
    with load_profiles(load_settings(folder)) as profiles:
        yield from _against_others(profiles, folder, size)


def _against_others(profiles: Profiles, folder: Path, size: Size) -> Iterator[Figure]:
    features, moment = sixty(), naive(AS_OF)
    frames = read_frames(folder)
    coded = with_codes(frames)
    ours = as_frame(cold(profiles, features))
    check_equal(ours, as_frame(sql_features(profiles.connection, AS_OF)), "the hand-written SQL")
    check_equal(ours, pandas_features(coded, moment), "pandas")
    del ours
    runs = [
        lambda: cold(profiles, features),
        lambda: sql_features(profiles.connection, AS_OF),
        lambda: pandas_features(coded, moment),
        lambda: with_codes(frames),
    ]
    mine, sql, codes, coding = medians(runs, size.repetitions)
    what, note = f"{len(NAMES)} features, {size}", "from loaded tables, nothing prepared; values equal within 1e-9"
    yield Figure("features", what, "pandas from the same text ids", mine, coding + codes, "s", note=note)
    yield Figure("features", what, "pandas, ids already integer codes", mine, codes, "s", note=note)
    yield Figure("features", what, "hand-written DuckDB SQL", mine, sql, "s", note=note)
    everything = project_features(load_settings(folder), profiles.attributes, profiles.mapped)
    more = seconds(lambda: cold(profiles, everything))
    what = f"all {len(everything)} features of these tables, {size}"
    yield Figure("features", what, f"{len(NAMES)} of them, ours", more, mine, "s", note="how much more of them costs")


def as_frame(table: pa.Table) -> pd.DataFrame:
    """The table by customer_id."""
    return table.to_pandas().set_index("customer_id")


def _growth(parent: Path, size: Size, whole: float) -> Iterator[Figure]:
    features = sixty()
    found: list[tuple[Size, float]] = []
    for share in _SHARES:
        part = size.part(share)
        with load_profiles(load_settings(write_project(parent / f"part-{share}", part))) as profiles:
            cold(profiles, features)  # the first compiles
            found.append((part, medians([lambda: cold(profiles, features)], size.repetitions)[0]))
    found.append((size, whole))
    smallest, first = found[0]
    base = 1e6 * first / smallest.rows
    for part, taken in found[1:]:
        rate = 1e6 * taken / part.rows
        what = f"{len(NAMES)} features, {part}: for a million rows"
        yield Figure("features", what, str(smallest), rate, base, "s", note="a ratio of 1: cost grows with the rows")
