"""Parts of a batch on several processors: processes forked from this one, which share the models with it."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool

from threadpoolctl import threadpool_limits

from kernel.errors import ForesightError

_Do = Callable[[int], object]
_do: list[_Do] = []  # of this process, set as it begins: what was loaded before cannot be sent to it


def finished(parts: Sequence[int], do: _Do, processes: int) -> Iterator[int]:
    """Do every part and say which is finished, in any order; in this process where one is enough.

    Raises:
        ForesightError: a process was killed; or what ``do`` raises.
    """
    if processes < 2 or len(parts) < 2:
        for part in parts:
            do(part)
            yield part
        return
    pool = ProcessPoolExecutor(
        min(processes, len(parts)), multiprocessing.get_context("fork"), initializer=_begin, initargs=(do,)
    )
    try:
        waiting = {pool.submit(_one, part): part for part in parts}
        for one in as_completed(waiting):
            one.result()
            yield waiting[one]
    except BrokenProcessPool:
        raise ForesightError(
            "A process that scored was killed.",
            where="foresight score",
            fix="Run it again: it goes on where it stopped. If the machine ran out of memory, lower [engine] threads.",
        ) from None
    finally:
        pool.shutdown(cancel_futures=True)


def processors(wanted: int | None) -> int:
    """How many processes: as many as ``[engine] threads`` says, else as this process may use processors."""
    return wanted or len(os.sched_getaffinity(0))


def _begin(do: _Do) -> None:
    _do[:] = [do]
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent is told, and stops the parts that have not begun
    threadpool_limits(1)  # a processor each; and OpenMP's threads of the parent did not come along
    threading.Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = multiprocessing.parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)


def _one(part: int) -> None:
    _do[0](part)
