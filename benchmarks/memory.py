"""Peak memory of a process that goes from the Parquet files to the written snapshot, ours and pandas."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.data import naive
from benchmarks.measure import Figure, own_peak_megabytes, peak_megabytes
from benchmarks.pandas_features import pandas_features, read_frames, with_codes
from benchmarks.sixty import AS_OF, NAMES, sixty
from benchmarks.synthetic import Size, write_settings
from features.contract.profiles import load_profiles
from features.engine.build import write_features
from kernel.settings import load_settings

LIMIT = "2GB"


def figures(folder: Path, size: Size) -> Iterator[Figure]:
    """With a limit, and without."""
    theirs, their_seconds = _peak("pandas", folder)
    try:
        for limit in (LIMIT, None):
            write_settings(folder, f'memory_limit = "{limit}"' if limit else "")
            ours, our_seconds = _peak("ours", folder)
            yield Figure(
                "features",
                f"peak memory of the whole process, {size}, "
                + (f"memory_limit = {limit}" if limit else "no memory_limit"),
                "pandas",
                ours,
                theirs,
                "MB",
                note=f"from Parquet files to a written file of {len(NAMES)} features: {our_seconds:.0f} s, "
                f"pandas {their_seconds:.0f} s, start of the process included",
            )
    finally:
        write_settings(folder)


def _peak(kind: str, folder: Path) -> tuple[float, float]:
    begin = time.perf_counter()
    return peak_megabytes("benchmarks.memory", kind, str(folder)), time.perf_counter() - begin


def _child(kind: str, folder: Path) -> None:
    file = folder / f"{kind}.parquet"
    if kind == "ours":
        with load_profiles(load_settings(folder)) as profiles:
            write_features(profiles, sixty(), AS_OF, file)
    else:
        pandas_features(with_codes(read_frames(folder)), naive(AS_OF)).to_parquet(file, compression="zstd")
    file.unlink()
    print(own_peak_megabytes())


if __name__ == "__main__":
    _child(sys.argv[1], Path(sys.argv[2]))
