"""What Prometheus reads at ``/metrics``. Labels are few and known beforehand: never an id, never a customer's value.

Requests are counted where they are answered. What is the same in every worker (the models, the age of the features) is
looked up when Prometheus asks, so that it costs a request nothing. With several workers ``prometheus_client`` keeps
the counts in files that ``PROMETHEUS_MULTIPROC_DIR`` names, and any worker adds up those of all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Generator, Iterable, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from time import perf_counter
from typing import Any, TypeVar, cast

import psutil
from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.multiprocess import MultiProcessCollector, mark_process_dead
from prometheus_client.registry import Collector

from kernel.alerts import Level, read_alerts
from kernel.errors import ForesightError
from serving.insights import Insight, InsightSource
from serving.live_metrics import live_metrics
from serving.metric_files import FOLDER_VARIABLE

CONTENT_TYPE = CONTENT_TYPE_LATEST
_REQUEST_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_DISK_SECONDS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0)
_TENTHS = tuple(tenth / 10 for tenth in range(1, 10))
_Labelled = TypeVar("_Labelled", Counter, Histogram)


class Metrics:
    """The counts of one worker, and the page that adds up those of all."""

    def __init__(self, monitoring: Path | None = None) -> None:
        """``monitoring``: the file in which ``foresight monitor`` keeps what it last found."""
        self._monitoring = monitoring
        folder = os.environ.get(FOLDER_VARIABLE)
        self._folder = None if folder is None else Path(folder)
        self._forget_the_dead()
        disable_created_metrics()  # a further line for each count, which several workers do not have
        own = self._registry = CollectorRegistry()
        self._requests = Histogram(
            "foresight_request_seconds",
            "Time from a request to the end of its answer.",
            ["route", "status"],
            buckets=_REQUEST_SECONDS,
            registry=own,
        )
        self.in_progress = Gauge(
            "foresight_requests_in_progress",
            "Requests being answered.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self._errors = Counter(
            "foresight_errors",
            "Requests that failed by the service's own fault, by the kind of error.",
            ["error"],
            registry=own,
        )
        self._scores = Counter(
            "foresight_scores", "Customers scored in answers, by status and band.", ["status", "band"], registry=own
        )
        self._probability = Histogram(
            "foresight_churn_probability",
            "Churn probabilities in answers.",
            buckets=_TENTHS,
            registry=own,
        )
        self._decisions = Counter(
            "foresight_decisions", "Decisions kept, by drawn action and mode.", ["action", "mode"], registry=own
        )
        self._feedback = Counter(
            "foresight_feedback", "Feedback kept, by event, and whether it was new.", ["event", "status"], registry=own
        )
        self._kept = Histogram(
            "foresight_decision_log_seconds",
            "Time from a decision until it is on disk.",
            buckets=_DISK_SECONDS,
            registry=own,
        )
        self._waiting = Gauge(
            "foresight_decisions_waiting",
            "Decisions that are not on disk yet.",
            multiprocess_mode="livesum",
            registry=own,
        )
        self._children: dict[tuple[object, tuple[str, ...]], Any] = {}

    def answered(self, route: str, status: int, seconds: float, error: str) -> None:
        """A request was answered; ``error``: the kind of error it failed with, or ""."""
        self._labelled(self._requests, route, str(status)).observe(seconds)
        if error:
            self._labelled(self._errors, error).inc()

    def scored(self, insights: Sequence[Insight]) -> None:
        """Scores were answered."""
        for insight in insights:
            score = insight.score
            self._labelled(self._scores, str(score.status), str(score.churn_band or "none")).inc()
            if score.churn_probability is not None:
                self._probability.observe(score.churn_probability)

    @contextmanager
    def keeping(self, insights: Sequence[Insight]) -> Generator[None]:
        """The decisions of ``insights`` are being brought to disk; they count when that ends well."""
        decisions = [insight.decision for insight in insights if insight.decision is not None]
        started = perf_counter()
        self._waiting.inc(len(decisions))
        try:
            yield
        finally:
            self._waiting.dec(len(decisions))
        self._kept.observe(perf_counter() - started)
        for decision in decisions:
            self._labelled(self._decisions, decision.chosen or "none", decision.mode or "none").inc()

    def fed_back(self, event: str, status: str) -> None:
        """Feedback was kept."""
        self._labelled(self._feedback, event, status).inc()

    def page(self, source: InsightSource) -> bytes:
        """All metrics of all workers, in Prometheus' text format. It reads files and the online store."""
        registry = CollectorRegistry()
        registry.register(_OfTheMoment(source, self._workers(), self._monitoring))
        if self._folder is None:
            own = (self._registry, live_metrics().registry, registry)
            return b"".join(generate_latest(one) for one in own)
        self._forget_the_dead()
        MultiProcessCollector(registry, path=str(self._folder))
        return generate_latest(registry)

    def _labelled(self, family: _Labelled, *values: str) -> _Labelled:
        # prometheus_client's own look-up costs more than the count.
        key = (family, values)
        found = self._children.get(key)
        if found is None:
            found = self._children[key] = family.labels(*values)
        return cast("_Labelled", found)

    def _workers(self) -> list[int]:
        if self._folder is None:
            return [os.getpid()]
        return sorted({pid for pid in self._seen() if psutil.pid_exists(pid)} | {os.getpid()})

    def _seen(self) -> Iterable[int]:
        # FILE_PID.db, as prometheus_client names them.
        files = [] if self._folder is None else self._folder.glob("*_*.db")
        return {int(file.stem.rpartition("_")[2]) for file in files}

    def _forget_the_dead(self) -> None:
        # A worker that was killed took nothing back: its requests in progress would stay for ever.
        for pid in self._seen():
            if not psutil.pid_exists(pid):
                mark_process_dead(pid, path=str(self._folder))


class _OfTheMoment(Collector):
    """What is looked up when Prometheus asks."""

    def __init__(self, source: InsightSource, workers: Sequence[int], monitoring: Path | None) -> None:
        self._source = source
        self._workers = workers
        self._monitoring = monitoring

    def collect(self) -> Iterable[Metric]:
        """The metrics; what cannot be read now is left out."""
        yield _gauge("foresight_workers", "Worker processes that are alive.", lambda: len(self._workers))
        yield _gauge("foresight_memory_bytes", "Resident memory of all workers.", self._memory)
        yield _gauge(
            "foresight_features_as_of_timestamp_seconds",
            "The moment of knowledge of the features in service, Unix time.",
            lambda: self._source.as_of.timestamp(),
        )
        yield from self._monitored()
        try:
            versions, trained_as_of = self._source.versions(), self._source.models_as_of()
        except ForesightError:
            return  # no models yet
        info = GaugeMetricFamily("foresight_model_info", "Which models answer; 1.", labels=["kind", "version"])
        for kind, version in (
            ("churn", versions.churn_model),
            ("value", versions.value_model),
            ("policy", versions.policy),
        ):
            info.add_metric([kind, version], 1)
        yield info
        trained = GaugeMetricFamily(
            "foresight_model_as_of_timestamp_seconds",
            "The moment of knowledge that a model was trained with, Unix time.",
            labels=["kind"],
        )
        for kind, moment in trained_as_of.items():
            trained.add_metric([kind], moment.timestamp())
        yield trained

    def _monitored(self) -> Iterable[Metric]:
        drift = GaugeMetricFamily(
            "foresight_drift_psi_max",
            "The largest PSI beyond chance among the features that matter, as last monitored.",
            labels=["kind"],
        )
        alerts = GaugeMetricFamily("foresight_alerts", "Checks of the last monitoring, by level.", labels=["level"])
        when = GaugeMetricFamily("foresight_monitored_timestamp_seconds", "When foresight monitor last ran, Unix time.")
        found = None if self._monitoring is None else read_alerts(self._monitoring)
        if found is not None:
            for kind, psi in found.psi_max.items():
                drift.add_metric([kind], psi)
            for level in Level:
                alerts.add_metric([level.value], found.count(level))
            when.add_metric([], found.made_at.timestamp())
        yield from (drift, alerts, when)

    def _memory(self) -> int:
        total = 0
        for pid in self._workers:
            try:
                total += psutil.Process(pid).memory_info().rss
            except psutil.Error:  # it ended meanwhile
                continue
        return total


def _gauge(name: str, text: str, value: Callable[[], float]) -> GaugeMetricFamily:
    family = GaugeMetricFamily(name, text)
    with suppress(ForesightError):  # a gap in the line says it better than an old number
        family.add_metric([], value())
    return family
