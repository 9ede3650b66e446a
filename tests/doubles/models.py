"""Small real models, trained in a moment on generated features."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import lightgbm as lgb
import numpy as np
import pandas as pd

from kernel.artefacts import (
    ChurnManifest,
    FeatureColumn,
    GroupInterval,
    HorizonValue,
    OrderValues,
    Similar,
    SumSpread,
    ValueManifest,
    model_matrix,
    percentile_grid,
)
from kernel.churn_predictor import ChurnPredictor
from kernel.predictions import Predictor
from kernel.purchases import PurchaseParameters
from kernel.trained_range import TrainedRange
from kernel.value_predictor import HORIZON_MONTHS, ValuePredictor, spend_at_pace

AS_OF = datetime(2017, 11, 1, tzinfo=UTC)
FINGERPRINT = "0123456789abcdef" * 4
PARAMETERS = {"objective": "binary", "num_leaves": 7, "min_data_in_leaf": 5, "verbose": -1, "num_threads": 1, "seed": 7}
COLUMNS = (
    FeatureColumn(name="recency_days", group="rfm", phrase="days before the last purchase", unit="days", version=1),
    FeatureColumn(name="spend_90d", group="rfm", phrase="spend in 90 days", unit="USD", version=1, typical=200.0),
    FeatureColumn(name="income", group="rfm", phrase="income", unit="", version=1, categories=("high", "low")),
)
COMMON = {
    "project": "shop",
    "currency": "USD",
    "as_of": AS_OF,
    "horizon_days": 56,
    "data_fingerprint": FINGERPRINT,
    "columns": COLUMNS,
}


def features(rows: int = 300, seed: int = 7) -> pd.DataFrame:
    """Features as the engine gives them: float64 with NaN, words as objects with None, customers as index."""
    random = np.random.default_rng(seed)
    tenure = random.uniform(30, 400, rows)
    frequency = random.integers(0, 9, rows).astype("float64")
    spend = random.gamma(2.0, 100.0, rows)
    frame = pd.DataFrame(
        {
            "recency_days": np.where(frequency > 0, tenure * random.uniform(0, 1, rows), 0.0),
            "T_days": tenure,
            "days_since_last_purchase": 0.0,
            "frequency": frequency,
            "monetary_value": np.where(frequency > 0, random.gamma(3.0, 10.0, rows), np.nan),
            "spend_30d": spend / 3,
            "spend_90d": spend,
            "spend_365d": spend * 2,
            "net_spend": spend * 3,
            "income": pd.array(random.choice(["low", "high", None], rows), dtype="object"),
        },
        index=pd.Index([f"c{i:04d}" for i in range(rows)], name="customer_id", dtype="object"),
    )
    frame["days_since_last_purchase"] = frame["T_days"] - frame["recency_days"]
    frame.iloc[:5, frame.columns.get_loc("spend_90d")] = np.nan
    return frame


def churn_predictor(seed: int = 7, **changes: object) -> ChurnPredictor:
    """A booster of ten trees; ``changes`` are parts of its manifest."""
    frame = features(seed=seed)
    churned = (frame["recency_days"] > frame["recency_days"].median()).to_numpy(dtype="float64")
    data = lgb.Dataset(model_matrix(frame, COLUMNS), churned, free_raw_data=False)
    manifest = ChurnManifest(
        **COMMON,
        percentile_grid=tuple(np.linspace(0, 1, 1001)),
        interval=GroupInterval(method="conformal", confidence=0.9, customers=100, half_width=0.1, groups=40),
        active_days=56,
        slope=0.9,
        intercept=-0.1,
        base_rate=0.5,
        trained_range=TrainedRange(low=(None,) * 3, high=(None,) * 3, needed=(False,) * 3, most_outside=0.5),
        bands=(70, 90),
    )
    manifest = manifest.model_copy(update=changes)
    return ChurnPredictor(manifest, lgb.train(PARAMETERS, data, num_boost_round=10))


def value_predictor(**changes: object) -> ValuePredictor:
    """Trees of ten rounds over BTYD with CDNOW's published parameters; ``changes`` are parts of its manifest."""
    frame = features()
    matrix = model_matrix(frame, COLUMNS)
    weights = {"spend_90d": 0.4, "net_spend": 0.3, "btyd": 0.3}
    pace = spend_at_pace(frame.fillna({"spend_90d": 0.0}), np.full(len(frame), 100.0), weights, 56)
    trees = lgb.train({**PARAMETERS, "objective": "tweedie"}, lgb.Dataset(matrix, pace), num_boost_round=10)
    similar = Similar(
        method="quantile", confidence=0.8, customers_per_point=50, prediction=(0, 1000), low=(0, 0.4), high=(3, 1.8)
    )
    manifest = ValueManifest(
        **COMMON,
        percentile_grid=percentile_grid(pace),
        intervals=similar,
        spend_model="trees",
        purchases=PurchaseParameters(
            family="bg_nbd", parameters={"r": 0.243, "alpha": 4.414, "a": 0.793, "b": 2.426, "days_per_period": 7.0}
        ),
        order_values=OrderValues(p=6.25, q=3.74, v=15.45),
        net_share=0.97,
        pace_weights=weights,
        scale=0.01,
        sums=SumSpread(method="made up", confidence=0.9, scale=20.0, power=1.2, level=0.05),
        horizons=tuple(
            HorizonValue(months=months, days=30 * months, level=1.0, intervals=similar, is_shown=months <= 3)
            for months in HORIZON_MONTHS
        ),
        discount_rate=0.1,
        prior_spend=80,
        prior_low=0,
        prior_high=300,
        high_value_from=400,
    )
    return ValuePredictor(manifest.model_copy(update=changes), {"trees": trees})


def saved(predictor: Predictor, folder: Path) -> Path:
    """The folder, with the predictor's native files."""
    folder.mkdir(parents=True)
    predictor.save(folder)
    return folder
