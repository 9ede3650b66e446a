"""What does a whole batch cost beside bare predictions? Churn, value, intervals, reasons, actions and the table."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property, partial
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from benchmarks.data import AS_OF, Bench
from benchmarks.measure import Figure, apart, medians, seconds
from features.engine.build import ROW_GROUP
from features.engine.snapshot import Snapshot
from foresight.project import Project
from kernel.artefacts import Floats, model_matrix
from kernel.types import Status
from kernel.value_predictor import needed_boosters, spend_at_pace
from serving.batch import score_all, write_scores
from serving.runtime import Runtime
from serving.scoring.band_log import BandLog

SHARE = 10.0  # percent of customers who get reasons
LEFT_OUT = "the baseline leaves out BTYD (P(alive), purchases and spend at all horizons), intervals, actions, the table"


def figures(
    bench: Bench,
    *,
    sizes: tuple[int, ...] = (2469, 25_000),
    large: tuple[int, ...] = (250_000, 500_000, 1_000_000),
    repetitions: int = 3,
) -> Iterator[Figure]:
    """Customers per second at each size."""
    for customers in sizes:
        yield from _compared(of_size(bench.runtime, customers), repetitions)
    yield from whole_jobs(bench, large)


def whole_jobs(bench: Bench, sizes: tuple[int, ...]) -> Iterator[Figure]:
    """What ``foresight score --reasons-for 10`` does from the snapshot to the written file, ledger and bands, with
    actions; time beside bare predictions, growth with the customers, and memory. Each in a process of its own, as the
    command is: this one still holds what earlier questions left."""
    per_million: list[float] = []
    folder = bench.runtime.settings.file.parent
    for customers in sizes:
        figures = apart(_whole_job, folder, customers, per_million[0] if per_million else None)
        per_million += [figures[1].ours]
        yield from figures


def _whole_job(folder: Path, customers: int, first: float | None) -> Iterator[Figure]:
    """``first``: seconds for a million customers in the smallest job; None in that."""
    runtime = of_size(Project.open(folder).runtime(as_of=AS_OF), customers)
    out = runtime.snapshot.folder / "scores.parquet"
    with PeakMemory() as memory:
        taken = seconds(partial(write_scores, runtime, out, reasons_for=SHARE, again=True))
    percentile = pq.read_table(out, columns=["churn_percentile"]).column(0).to_numpy()
    told = np.flatnonzero(percentile >= 100.0 - SHARE)
    bare = BarePrediction(runtime)
    models = bare.models  # which makes the matrices: before the clock starts
    alone = seconds(bare.predict) + seconds(partial(bare.contributions, told))
    yield _rate(
        f"whole job, {customers:,} customers, actions, reasons for the top {SHARE:.0f} % ({len(told):,})",
        f"bare predict of {models}, pred_contrib of the same customers",
        customers / taken,
        customers / alone,
        f"{taken:.1f} s, {alone:.1f} s bare; {LEFT_OUT}, ledger, bands",
    )
    per_million = taken * 1e6 / customers
    yield Figure(
        "scoring",
        f"whole job, {customers:,} customers: seconds for a million",
        "the first of these sizes",
        per_million,
        first or per_million,
        "s",
        note="a ratio of 1: cost grows with the customers",
    )
    yield Figure(
        "scoring",
        f"whole job, {customers:,} customers: peak memory of all its processes",
        "4 GB",
        memory.megabytes,
        4096.0,
        "MB",
        note="shared pages counted once",
    )


def _compared(runtime: Runtime, repetitions: int) -> Iterator[Figure]:
    bare, customers = BarePrediction(runtime), len(runtime.snapshot.features)
    table = batch(runtime)
    check_equal(table, bare)
    whole, predict, reasons = medians([lambda: batch(runtime), bare.predict, bare.contributions], repetitions)
    scored = int((table.column("status").to_pandas() == Status.SCORED).sum())
    what = f"whole batch, {customers:,} customers" + (" (the snapshot repeated)" if customers > 2469 else "")
    for against, taken in (
        (f"bare Booster.predict of {bare.models}", predict),
        ("bare predict and pred_contrib", predict + reasons),
    ):
        equal = "probabilities and values equal within 1e-9"
        note = f"{scored:,} of them scored for churn, with reasons; {equal}; {LEFT_OUT}"
        yield _rate(what, against, customers / whole, customers / taken, note)


def _rate(what: str, against: str, ours: float, baseline: float, note: str) -> Figure:
    return Figure("scoring", what, against, ours, baseline, "customers/s", more_is_better=True, note=note)


def of_size(runtime: Runtime, customers: int) -> Runtime:
    """The same models over a snapshot of exactly ``customers`` rows, all with consent."""
    file = runtime.snapshot.folder / f"repeated-{customers}.parquet"
    rows = pq.read_table(runtime.snapshot.file)
    rows = rows.set_column(rows.column_names.index("consent"), "consent", pa.array([True] * len(rows)))
    names = rows.column("customer_id").to_pylist()
    place = rows.column_names.index("customer_id")
    with pq.ParquetWriter(file, rows.schema) as written:
        # As a snapshot's file: by id, in row groups of its size; and never all of it in memory.
        for first in range(0, customers, ROW_GROUP):
            numbers = range(first, min(first + ROW_GROUP, customers))
            group = rows.take(pa.array([number % len(rows) for number in numbers]))
            ids = [f"{number:09d}-{names[number % len(rows)]}" for number in numbers]
            written.write_table(group.set_column(place, "customer_id", pa.array(ids)), row_group_size=ROW_GROUP)
    # Its own state: a batch of other customers says nothing of these.
    state = runtime.settings.state.model_copy(update={"folder": str(file.with_suffix(".state"))})
    settings = runtime.settings.model_copy(update={"state": state})
    manifest = runtime.snapshot.manifest.model_copy(update={"customers": customers})
    return replace(runtime, settings=settings, stored=Snapshot(manifest, file), bands=BandLog.of(settings))


def batch(runtime: Runtime) -> pa.Table:
    """The scores table of a snapshot, as ``foresight score`` writes it."""
    return pa.concat_tables(score_all(runtime))


@dataclass(frozen=True)
class BarePrediction:
    """LightGBM alone on a matrix that is already prepared: no BTYD, status, interval, word, action or table."""

    runtime: Runtime

    @property
    def models(self) -> str:
        """Which there are: churn, and what the champion's spend model needs."""
        return " and ".join(self._models)

    @cached_property
    def _models(self) -> dict[str, tuple[lgb.Booster, Floats]]:
        churn, value = self.runtime.scorer.churn, self.runtime.scorer.value
        features = self.runtime.snapshot.features
        inputs = model_matrix(features, value.manifest.columns)
        of_value = {name: (value.boosters[name], inputs) for name in needed_boosters(value.manifest.spend_model)}
        return {"churn": (churn.booster, model_matrix(features, churn.manifest.columns)), **of_value}

    def predict(self) -> dict[str, Floats]:
        """Raw scores of each booster for every customer, each shape (customers,)."""
        return {name: np.asarray(one.predict(inputs, raw_score=True)) for name, (one, inputs) in self._models.items()}

    def contributions(self, rows: NDArray[np.intp] | None = None) -> Floats:
        """Parts of the churn score of these rows, or of every customer, shape (customers, columns + 1)."""
        booster, inputs = self._models["churn"]
        return np.asarray(booster.predict(inputs if rows is None else inputs[rows], pred_contrib=True))

    def probability_and_value(self) -> tuple[Floats, Floats]:
        """Churn probability and expected spend from the raw scores, by the formulas of the manifests."""
        raw, features, value = self.predict(), self.runtime.snapshot.features, self.runtime.scorer.value
        churn, manifest = self.runtime.scorer.churn.manifest, value.manifest
        mixed = churn.trees_weight * raw["churn"]
        if churn.linear is not None:
            mixed += (1 - churn.trees_weight) * churn.linear.log_odds(self._models["churn"][1])
        spend = value.spend_btyd(features)
        if manifest.spend_model != "btyd":
            pace = spend_at_pace(features, spend, manifest.pace_weights, manifest.horizon_days)
            spend = pace * np.exp(raw["trees" if manifest.spend_model == "trees" else "spend"])
        if manifest.spend_model == "two_part":
            spend = spend / (1 + np.exp(-raw["buy"]))
        return 1 / (1 + np.exp(-(churn.slope * mixed + churn.intercept))), manifest.scale * spend


def check_equal(table: pa.Table, bare: BarePrediction) -> None:
    """Raise AssertionError unless the batch's probabilities and values are those of the bare models."""
    frame = table.to_pandas()
    probability, value = bare.probability_and_value()
    scored = (frame["status"] == Status.SCORED).to_numpy()
    known = scored | (frame["status"] == Status.INACTIVE).to_numpy()
    assert scored.any()
    np.testing.assert_allclose(frame["churn_probability"][scored], probability[scored], rtol=1e-9)
    np.testing.assert_allclose(frame["lifetime_value"][known], value[known], rtol=1e-9)


class PeakMemory:
    """The most memory that this process and its children had together while the block ran, in MB."""

    megabytes = 0.0

    def __enter__(self) -> PeakMemory:
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.wait(0.2):
            children = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
            self.megabytes = max(self.megabytes, sum(_share(process) for process in ("self", *children)))


def _share(process: str) -> float:
    try:
        lines = Path(f"/proc/{process}/smaps_rollup").read_text().splitlines()
    except OSError:
        return 0.0  # it has ended
    return next(float(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024
