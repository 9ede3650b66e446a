"""What does training cost beside the bare fit? BG/NBD against plain lifetimes, churn against bare LightGBM."""

from __future__ import annotations

import warnings
from collections.abc import Iterator

import lightgbm as lgb
import numpy as np
import pandas as pd

from benchmarks.data import AS_OF, Bench, datasets_folder
from benchmarks.measure import Figure, medians
from kernel.artefacts import model_matrix
from training.models.boosting import SHARED
from training.models.mixture import TREES
from training.models.value_btyd import fit_bg_nbd

SAME_PARAMETERS = 1e-3


def figures(bench: Bench, *, repetitions: int = 3) -> Iterator[Figure]:
    """Seconds of both fits."""
    yield _bg_nbd(repetitions)
    yield _churn(bench, repetitions)


def cdnow_summary() -> pd.DataFrame:
    """frequency, recency_days and T_days of the 23,570 customers of CDNOW, weeks of 7 days later on."""
    names = ["customer", "day", "discs", "dollars"]
    rows = pd.read_csv(datasets_folder() / "CDNOW_master.txt", sep=r"\s+", skiprows=1, header=None, names=names)
    rows["day"] = pd.to_datetime(rows["day"].astype(str), format="%Y%m%d")
    days = rows.drop_duplicates(["customer", "day"]).groupby("customer")["day"]
    first, last = days.min(), days.max()
    end = rows["day"].max()
    return pd.DataFrame(
        {"frequency": days.size() - 1, "recency_days": (last - first).dt.days, "T_days": (end - first).dt.days}
    )


def plain_lifetimes(summary: pd.DataFrame) -> tuple[float, float, float, float]:
    """r, alpha, a, b of lifetimes as its manual fits it: one row per customer."""
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        from lifetimes import BetaGeoFitter

        fitter = BetaGeoFitter()
        fitter.fit(summary["frequency"], summary["recency_days"] / 7, summary["T_days"] / 7)
    r, alpha, a, b = (float(fitter.params_[name]) for name in ("r", "alpha", "a", "b"))
    return r, alpha, a, b


def _bg_nbd(repetitions: int) -> Figure:
    summary = cdnow_summary()
    fit = fit_bg_nbd(summary)
    model = fit.model
    np.testing.assert_allclose((model.r, model.alpha, model.a, model.b), plain_lifetimes(summary), rtol=SAME_PARAMETERS)
    ours, plain = medians([lambda: fit_bg_nbd(summary), lambda: plain_lifetimes(summary)], repetitions)
    return Figure(
        "training",
        f"BG/NBD, CDNOW {len(summary):,} customers",
        "plain lifetimes, row by row",
        ours,
        plain,
        "s",
        note=f"{fit.unique_rows:,} distinct rows; parameters equal within {SAME_PARAMETERS:g}",
    )


def _churn(bench: Bench, repetitions: int) -> Figure:
    rows, columns = bench.training_rows.churn_cohort, bench.churn.manifest.columns
    matrix = model_matrix(rows.features, columns)
    words = [i for i, column in enumerate(columns) if column.categories is not None]
    settings = SHARED | TREES.model_dump() | {"objective": "binary", "seed": bench.project.settings.training.seed}
    rounds = settings.pop("rounds")

    def bare() -> lgb.Booster:
        return lgb.train(settings, lgb.Dataset(matrix, rows.churned, categorical_feature=words), rounds)

    raw = np.asarray(bare().predict(matrix, raw_score=True))
    ours_raw = np.asarray(bench.churn.booster.predict(matrix, raw_score=True))
    np.testing.assert_allclose(raw, ours_raw, rtol=0, atol=1e-9)
    whole, alone = medians([lambda: bench.project.trainer.fit_churn(AS_OF, bench.training_rows), bare], repetitions)
    return Figure(
        "training",
        f"whole churn fit, {len(rows):,} rows x {len(columns)} columns",
        "bare LightGBM train",
        whole,
        alone,
        "s",
        note="ours fits six boosters and 16 regressions; the last booster equals the bare one",
    )
