"""How fast are features? All 88 of Complete Journey, against the same 88 in hand-written pandas."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from benchmarks.data import AS_OF, Bench, loaded, naive
from benchmarks.measure import Figure, medians, own_peak_megabytes, peak_megabytes
from benchmarks.pandas_features import pandas_features, read_frames, with_codes
from features.contract.profiles import Profiles
from features.definitions import feature_set
from features.engine.build import build_features
from kernel.settings import load_settings

TOLERANCE = 1e-9


def figures(bench: Bench, *, copies: tuple[int, ...] = (1, 4), repetitions: int = 3) -> Iterator[Figure]:
    """Seconds and peak memory at each size."""
    for times in copies:
        folder = bench.replica(times).file.parent
        yield from _seconds(folder, times, repetitions)
        ours, baseline = (peak_megabytes("benchmarks.features", kind, str(folder)) for kind in ("ours", "pandas"))
        yield Figure(
            "features",
            f"peak memory of the whole process, {_size(times)}",
            "pandas",
            ours,
            baseline,
            "MB",
            note="each reads the same Parquet files",
        )


def _seconds(folder: Path, times: int, repetitions: int) -> Iterator[Figure]:
    frames, moment = read_frames(folder), naive(AS_OF)
    coded = with_codes(frames)
    with loaded(load_settings(folder)) as profiles:
        runs = [lambda: _ours(profiles), lambda: pandas_features(coded, moment), lambda: with_codes(frames)]
        check_equal(_ours(profiles), pandas_features(coded, moment))
        ours, codes, coding = medians(runs, repetitions)
    text = coding + codes
    what, checked = f"88 features, {_size(times)}", "all 88 columns equal within 1e-9"
    yield Figure("features", what, "pandas from the same text ids", ours, text, "s", note=checked)
    yield Figure("features", what, "pandas, ids already integer codes", ours, codes, "s", note=checked)


def _ours(profiles: Profiles) -> pd.DataFrame:
    return build_features(profiles, feature_set(profiles.attributes), AS_OF)


def _size(times: int) -> str:
    return f"{2469 * times:,} households" + (f" (the data {times} times, new ids)" if times > 1 else "")


def check_equal(ours: pd.DataFrame, baseline: pd.DataFrame) -> None:
    """Raise AssertionError unless both have the same rows, columns and values within TOLERANCE."""
    assert set(ours) == set(baseline), set(ours) ^ set(baseline)
    assert list(ours.index) == list(baseline.index)
    for name in ours:
        mine, theirs = ours[name], baseline[name]
        if mine.dtype == object:
            same = (mine.fillna("") == theirs.astype(object).fillna("")).all()
        else:
            numbers = (part.to_numpy(dtype="float64", na_value=np.nan) for part in (mine, theirs))
            same = np.allclose(*numbers, rtol=TOLERANCE, atol=TOLERANCE, equal_nan=True)
        assert same, f"'{name}' differs between pandas and ours"


def _child(kind: str, folder: Path) -> None:
    if kind == "ours":
        with loaded(load_settings(folder)) as profiles:
            _ours(profiles)
    else:
        pandas_features(with_codes(read_frames(folder)), naive(AS_OF))
    print(own_peak_megabytes())


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
