"""Medians of alternating repetitions: ours and the baseline meet the same moments of a busy machine."""

from __future__ import annotations

import math
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import Any, TypeVar

Asked = TypeVar("Asked")


@dataclass(frozen=True)
class Figure:
    """One comparison. ``ours`` and ``baseline`` are in ``unit``; ``ratio`` says how ours stands to the baseline.

    Attributes:
        question: the file it comes from, such as "features".
        what: what was done.
        against: the baseline.
        more_is_better: for rates; else less is better (seconds, MB).
        note: what a reader must know to judge it.
    """

    question: str
    what: str
    against: str
    ours: float
    baseline: float
    unit: str
    more_is_better: bool = False
    note: str = ""

    @property
    def ratio(self) -> float:
        """Baseline over ours, or for rates ours over the baseline: above 1 we are better."""
        return self.ours / self.baseline if self.more_is_better else self.baseline / self.ours


def apart(part: Callable[..., Iterable[Figure]], *arguments: Any) -> list[Figure]:
    """The figures of a part, answered by a process of its own: what an earlier part left in memory is not there.

    Libraries keep memory that was freed for what may come: after the part on pandas, some ten gigabytes.
    """
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_all, part, arguments).result()


def _all(part: Callable[..., Iterable[Figure]], arguments: tuple[Any, ...]) -> list[Figure]:
    return list(part(*arguments))


def medians(runs: Sequence[Callable[[], Any]], repetitions: int) -> list[float]:
    """Median seconds of each run; they take turns, so that a slow moment meets all of them."""
    found: list[list[float]] = [[] for _ in runs]
    for _ in range(repetitions):
        for run, taken in zip(runs, found, strict=True):
            taken.append(seconds(run))
    return [statistics.median(taken) for taken in found]


def seconds(run: Callable[[], Any]) -> float:
    """Seconds that it takes, once."""
    begin = time.perf_counter()
    run()
    return time.perf_counter() - begin


def alternating(
    asked: Sequence[Asked], ours: Callable[[Asked], object], theirs: Callable[[Asked], object]
) -> tuple[tuple[list[float], list[float]], tuple[list[float], list[float]]]:
    """Milliseconds of ours and theirs for each that is asked, by the clock, and of processor time."""
    clock: tuple[list[float], list[float]] = ([], [])
    processor: tuple[list[float], list[float]] = ([], [])
    for each in asked:
        for run, taken, used in zip((ours, theirs), clock, processor, strict=True):
            begin, begin_used = time.perf_counter(), time.thread_time()
            run(each)
            used.append(1000 * (time.thread_time() - begin_used))
            taken.append(1000 * (time.perf_counter() - begin))
    return clock, processor


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest value that at least ``share`` of the values do not exceed."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * share) - 1)]


def peak_megabytes(module: str, *arguments: str) -> float:
    """Peak resident memory of ``python -m module arguments``; the module ends by printing :func:`own_peak_megabytes`.

    Raises:
        CalledProcessError: it failed.
    """
    command = [sys.executable, "-m", module, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return float(done.stdout.split()[-1])


def own_peak_megabytes() -> float:
    """Peak resident memory of this process so far."""
    try:
        # Not getrusage: on Linux its maximum begins with the memory of the process that started this one.
        status = Path("/proc/self/status").read_text(encoding="utf-8").splitlines()
        return next(int(line.split()[1]) / 1024 for line in status if line.startswith("VmHWM:"))
    except OSError:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak / 2**20 if sys.platform == "darwin" else peak / 1024
