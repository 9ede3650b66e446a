"""One build at a time: a lock of the operating system on a file, which goes with the process that held it."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import socket
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

from kernel.clock import iso, utc_now
from kernel.errors import BusyError

_POLL_SECONDS = 0.1
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a lock: what it does, since when, and the process."""

    doing: str
    since: str
    process: str

    def __str__(self) -> str:
        return f"{self.doing} since {self.since} by {self.process}"


def this_process() -> str:
    """This process, as others are told of it."""
    return f"process {os.getpid()} on {socket.gethostname()}"


def say_in_log(message: str) -> None:
    """Where nobody listens: a line of the log, which goes to standard error unless the program says otherwise."""
    _LOG.warning(message)


@contextmanager
def locked(
    file: Path,
    doing: str,
    *,
    wait_seconds: float,
    say: Callable[[str], None] = say_in_log,
    what: str = "The feature store",
) -> Generator[None]:
    """Hold the lock of ``file`` (made where it is missing, emptied and kept afterwards).

    The operating system gives a lock back when its process ends, however it ends: a dead process blocks nobody.

    Args:
        file: the lock; its content says who holds it.
        doing: what is done meanwhile, as others are told.
        wait_seconds: how long to wait for another holder.
        say: is told once, when waiting begins.
        what: is locked, as others are told.

    Raises:
        BusyError: it is still held then.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a+", encoding="utf-8") as lock:
        wait_for(
            lambda: _try(lock),
            lambda: _holder(file),
            where=str(file.parent),
            wait_seconds=wait_seconds,
            say=say,
            what=what,
        )
        _write(lock, json.dumps(asdict(Holder(doing, iso(utc_now().replace(microsecond=0)), this_process()))))
        try:
            yield
        finally:
            _write(lock, "")
            fcntl.flock(lock, fcntl.LOCK_UN)


def wait_for(
    attempt: Callable[[], bool],
    holder: Callable[[], str],
    *,
    where: str,
    wait_seconds: float,
    say: Callable[[str], None],
    what: str = "The feature store",
) -> None:
    """Try until it succeeds or the time is over.

    Raises:
        BusyError: names the holder.
    """
    end = time.monotonic() + wait_seconds
    told = False
    while not attempt():
        if time.monotonic() >= end:
            raise BusyError(
                f"{what} is busy: {holder()}.",
                where=where,
                fix="Run this again when that has ended, or give it longer: [state] lock_wait_seconds.",
            )
        if not told:
            say(f"{what} is busy: {holder()}. Waiting up to {wait_seconds:g} seconds.")
            told = True
        time.sleep(_POLL_SECONDS)


def _try(lock: IO[str]) -> bool:
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _holder(file: Path) -> str:
    try:
        return str(Holder(**json.loads(file.read_text(encoding="utf-8"))))
    except (OSError, ValueError, TypeError):
        return "another process"  # between its taking the lock and its saying so


def _write(lock: IO[str], text: str) -> None:
    lock.seek(0)
    lock.truncate()
    lock.write(text)
    lock.flush()


__all__ = ["BusyError", "Holder", "locked", "say_in_log", "this_process", "wait_for"]
