"""Scores by the challenger for what the champion answered, after the answer, in a thread of its own."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kernel.errors import ForesightError
from kernel.types import Score
from serving.insights import Insight, InsightSource, ModelVersions
from serving.live_metrics import live_metrics
from serving.shadow_log import ShadowLog, ShadowScore

_LOGGER = logging.getLogger("foresight.live")
_WAITING = 200  # requests; of more than that nobody could tell whether the comparison is of today
_AT_ONCE = 1000  # customers in one transaction
Again = Callable[[InsightSource], Sequence[Insight]]


@dataclass(frozen=True, slots=True)
class _Asked:
    source: InsightSource
    again: Again
    insights: Sequence[Insight]
    champions: str


class Shadow:
    """Compares a challenger on requests that were answered. It never holds an answer up: where it is busy it drops the
    comparison, and counts that."""

    def __init__(self, log: ShadowLog) -> None:
        """``log``: where comparisons are kept."""
        self._log = log
        self._queue: queue.Queue[_Asked | None] = queue.Queue(_WAITING)
        self._thread: threading.Thread | None = None

    def offer(
        self, challenger: InsightSource, champions: ModelVersions, insights: Sequence[Insight], again: Again
    ) -> None:
        """Compare what was answered, unless too much is waiting.

        Args:
            champions: what answered.
            insights: the answer.
            again: the same request, asked of another source.
        """
        try:
            self._queue.put_nowait(_Asked(challenger, again, insights, _named(champions)))
        except queue.Full:
            live_metrics().dropped.inc(len(insights))

    def start(self) -> None:
        """Begin to compare."""
        self._thread = threading.Thread(target=self._run, name="foresight-shadow", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End after what is waiting, and give the database back."""
        if self._thread is not None:
            self._queue.put(None)
            self._thread.join()
        self._log.close()

    def _run(self) -> None:
        goes_on = True
        while goes_on:
            asked = [self._queue.get()]
            while asked[-1] is not None and sum(len(one.insights) for one in asked if one) < _AT_ONCE:
                try:
                    asked.append(self._queue.get_nowait())
                except queue.Empty:
                    break
            goes_on = asked[-1] is not None
            self._compare([one for one in asked if one is not None])

    def _compare(self, asked: Sequence[_Asked]) -> None:
        found: list[ShadowScore] = []
        for one in asked:
            try:
                found += _compared(one)
            except Exception as error:
                # The challenger's failure is nobody's but its own. The message may quote a customer.
                live_metrics().dropped.inc(len(one.insights))
                _LOGGER.warning("the challenger failed in the shadow: %s", type(error).__name__)
        try:
            if found:
                self._log.keep(found)
                live_metrics().compared.inc(len(found))
        except ForesightError as error:
            live_metrics().dropped.inc(len(found))
            _LOGGER.warning("%s", error.what)


def _compared(asked: _Asked) -> list[ShadowScore]:
    challengers = _named(asked.source.versions())
    return [
        _pair(before.score, after.score, asked.champions, challengers)
        for before, after in zip(asked.insights, asked.again(asked.source), strict=True)
        if before.score.as_of == after.score.as_of  # else other features were put in service in between
    ]


def _pair(champion: Score, challenger: Score, champions: str, challengers: str) -> ShadowScore:
    return ShadowScore(
        customer_id=champion.customer_id,
        as_of=champion.as_of,
        champions=champions,
        challengers=challengers,
        scored_at=champion.scored_at,
        churn_probability=champion.churn_probability,
        churn_probability_challenger=challenger.churn_probability,
        churn_band=champion.churn_band,
        churn_band_challenger=challenger.churn_band,
        lifetime_value=champion.lifetime_value,
        lifetime_value_challenger=challenger.lifetime_value,
    )


def _named(versions: ModelVersions) -> str:
    return f"{versions.churn_model} {versions.value_model}"
