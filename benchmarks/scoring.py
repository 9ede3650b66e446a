"""What does a whole batch cost beside bare predictions? Churn, value, intervals, reasons, actions and the table."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import cached_property

import lightgbm as lgb
import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

from benchmarks.data import Bench, repeated
from benchmarks.measure import Figure, medians
from features.engine.snapshot import Snapshot
from kernel.artefacts import Floats, model_matrix
from kernel.types import Status
from kernel.value_predictor import needed_boosters, spend_at_pace
from serving.batch import score_all
from serving.runtime import Runtime

SHARE = 10.0  # percent of customers who get reasons
LEFT_OUT = "the baseline leaves out BTYD (P(alive), purchases and spend at all horizons), intervals, actions, the table"


def figures(
    bench: Bench, *, sizes: tuple[int, ...] = (2469, 25_000), largest: int = 1_000_000, repetitions: int = 3
) -> Iterator[Figure]:
    """Customers per second at each size."""
    for customers in sizes:
        yield from _compared(of_size(bench.runtime, customers), repetitions)
    yield from million(bench, largest)


def million(bench: Bench, customers: int = 1_000_000) -> Iterator[Figure]:
    """Scores without actions, reasons for the tenth at the highest risk, of a million customers."""
    runtime = replace(of_size(bench.runtime, customers), catalogue=None)
    bare = BarePrediction(runtime)
    # The table goes chunk by chunk, as it would into a file; only what is compared is kept.
    kept: list[pa.Table] = []

    def ours() -> None:
        kept.clear()
        for table in score_all(runtime, reasons_for=SHARE):
            kept.append(table.select(["churn_percentile"]))

    [whole] = medians([ours], 1)
    percentile = pa.concat_tables(kept).column("churn_percentile").to_numpy()
    told = np.flatnonzero(percentile >= 100.0 - SHARE)
    predict, some, every = medians([bare.predict, lambda: bare.contributions(told), bare.contributions], 1)
    what = f"scores of {customers:,} customers, reasons for the top {SHARE:.0f} % ({len(told):,} customers)"
    for against, seconds in (
        (f"bare predict of {bare.models}, pred_contrib of the same customers", predict + some),
        (f"bare predict of {bare.models}, pred_contrib of all", predict + every),
    ):
        yield _rate(what, against, customers / whole, customers / seconds, LEFT_OUT)


def _compared(runtime: Runtime, repetitions: int) -> Iterator[Figure]:
    bare, customers = BarePrediction(runtime), len(runtime.snapshot.features)
    table = batch(runtime)
    check_equal(table, bare)
    whole, predict, reasons = medians([lambda: batch(runtime), bare.predict, bare.contributions], repetitions)
    scored = int((table.column("status").to_pandas() == Status.SCORED).sum())
    what = f"whole batch, {customers:,} customers" + (" (the snapshot repeated)" if customers > 2469 else "")
    for against, seconds in (
        (f"bare Booster.predict of {bare.models}", predict),
        ("bare predict and pred_contrib", predict + reasons),
    ):
        equal = "probabilities and values equal within 1e-9"
        note = f"{scored:,} of them scored for churn, with reasons; {equal}; {LEFT_OUT}"
        yield _rate(what, against, customers / whole, customers / seconds, note)


def _rate(what: str, against: str, ours: float, baseline: float, note: str) -> Figure:
    return Figure("scoring", what, against, ours, baseline, "customers/s", more_is_better=True, note=note)


def of_size(runtime: Runtime, customers: int) -> Runtime:
    """The same models over a snapshot of exactly ``customers`` rows, all with consent."""
    features = repeated(runtime.snapshot.features, customers)
    file = runtime.snapshot.folder / f"repeated-{customers}.parquet"
    consent = pd.Series(True, index=features.index, name="consent")
    pd.concat([consent, features], axis=1).reset_index().to_parquet(file, index=False)
    return replace(runtime, stored=Snapshot(runtime.snapshot.manifest, file))


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
