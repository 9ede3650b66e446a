"""One thread writes for all: what waits while a transaction goes to disk is written together in the next.

A transaction costs a wait for the disk, however much is in it. So one caller alone waits for one transaction, and a
hundred at once wait for two, not for a hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import Future
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from threading import Lock, Thread
from typing import Any, Generic, TypeVar

from kernel.direct_sql import Direct

_Result = TypeVar("_Result")
_AT_ONCE = 200  # a transaction stays short, so that another process is not kept waiting


@dataclass
class Group:
    """What is written together.

    Attributes:
        sql: the transaction.
        used: (action, day) -> cost of each decision for it; added up at the end of the transaction.
    """

    sql: Direct
    used: dict[tuple[str, str], list[float]] = field(default_factory=dict[tuple[str, str], list[float]])


@dataclass(frozen=True, slots=True)
class _Waiting(Generic[_Result]):
    work: Callable[[Group], _Result]
    future: Future[_Result]


class GroupWriter:
    """The thread and its queue; safe to use from several threads. It starts when it is first needed."""

    def __init__(self, transaction: Callable[[], AbstractContextManager[Group]]) -> None:
        """``transaction``: on disk at its end; an error within undoes it."""
        self._transaction = transaction
        self._queue: SimpleQueue[_Waiting[Any] | None] = SimpleQueue()
        self._thread: Thread | None = None
        self._starting = Lock()

    def submit(self, work: Callable[[Group], _Result]) -> Future[_Result]:
        """Its result, once its transaction is on disk; or the error of the transaction, which left nothing.

        When another in its group fails, ``work`` is called again in a transaction of its own: no one spoils another's.
        """
        future: Future[_Result] = Future()
        self._queue.put(_Waiting(work, future))
        with self._starting:
            if self._thread is None:
                self._thread = Thread(target=self._run, name="foresight-store", daemon=True)
                self._thread.start()
        return future

    def close(self) -> None:
        """Write what waits, and end the thread."""
        with self._starting:
            thread, self._thread = self._thread, None
            if thread is not None:
                self._queue.put(None)
                thread.join()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            waiting, goes_on = self._together()
            if waiting:
                self._settle(waiting)

    def _together(self) -> tuple[list[_Waiting[Any]], bool]:
        """All that waits now, after waiting for the first; and whether there may be more."""
        found: list[_Waiting[Any]] = []
        one = self._queue.get()
        while one is not None:
            if one.future.set_running_or_notify_cancel():  # who asked may have gone
                found.append(one)
            if len(found) == _AT_ONCE:
                return found, True
            try:
                one = self._queue.get_nowait()
            except Empty:
                return found, True
        return found, False

    def _settle(self, waiting: Sequence[_Waiting[Any]]) -> None:
        has_begun = False
        try:
            with self._transaction() as group:
                has_begun = True
                results = [one.work(group) for one in waiting]
        except Exception as error:
            if has_begun and len(waiting) > 1:
                for one in waiting:
                    self._settle([one])
                return
            for one in waiting:
                one.future.set_exception(error)
        else:
            for one, result in zip(waiting, results, strict=True):
                one.future.set_result(result)
