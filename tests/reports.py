"""A back-test of made-up customers, and the report page of it."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pandas as pd

from kernel.settings import Settings
from kernel.types import Band
from tests.doubles.models import value_predictor
from training.backtest import BacktestResult
from training.evaluation.calibration import calibration_metrics, reliability
from training.evaluation.discrimination import ranking_metrics
from training.evaluation.economics import contacts
from training.evaluation.factors import BandFactors
from training.evaluation.grade import grade_churn, recency_rules
from training.evaluation.missed import fates
from training.evaluation.report import render_report
from training.evaluation.segments import SegmentCoverage
from training.evaluation.value import value_metrics
from training.evaluation.value_grade import grade_value

JULY, SEPTEMBER, NOVEMBER = (datetime(2017, month, 1, tzinfo=UTC) for month in (7, 9, 11))
MADE = datetime(2018, 1, 2, 3, 4, tzinfo=UTC)
HOSTILE = '</style><script>alert("x")</script>&'
SECTIONS = "[churn]\nactive_days = 56\nhorizon_days = 56\n[value]\nhorizon_days = 56\n"


def result(as_of: datetime = NOVEMBER, customers: int = 1000, left: int = 100) -> BacktestResult:
    """Customer i of n has the i-th highest risk; of the ``left`` who leave half are at the top, half at the end."""
    place = np.arange(customers)
    churned = ((place < left // 2) | (place >= customers - (left - left // 2))).astype(float)
    probability = np.linspace(0.3, 0.01, customers)
    recency = np.where(place % 2 == 0, 40.0, 10.0)
    spend = np.where(churned > 0, 0.0, 100.0)
    expected = np.full(customers, 90.0) + place / customers
    carried = 60.0 + place % 7
    features = pd.DataFrame(
        {
            "days_since_last_purchase": recency,
            "orders_90d": 3.0,
            "spend_60d": carried * 60 / 56,
            "spend_90d": 120.0 + place,
            "T_days": 200.0,
            "frequency": place % 5,
        }
    )
    return BacktestResult(
        as_of=as_of,
        customers=customers,
        training_rows=5000,
        cutoffs=7,
        churn={
            "model": ranking_metrics(probability, churned) | calibration_metrics(probability, churned),
            "logistic_regression": ranking_metrics(probability**2, churned) | calibration_metrics(probability, churned),
            "recency_rule": ranking_metrics(recency, churned),
        },
        value={
            "trees": value_metrics(expected, spend),
            "btyd": value_metrics(expected + place, spend),
            "carry_forward": value_metrics(carried, spend),
        },
        reliability=reliability(probability, churned),
        probability=probability,
        churned=churned,
        expected=expected,
        expected_by={"trees": expected, "btyd": expected + place},
        value_model=value_predictor(),
        segments=SegmentCoverage({50: 0.91, 500: 0.88}, {50: 0.86, 500: 0.8}),
        value_grade=grade_value(expected, spend, carried, share=0.2),
        spend=spend,
        recency=recency,
        interval_coverage=0.9,
        grade=grade_churn(probability, churned, pd.Index(place.astype(str)), recency_rules(recency, 56)),
        rate_held=np.array([1.0, 1, 1, 0, 1, 1, 1, 1, 1]),
        fates=fates(features, probability, churned, contacts(customers, 100)),
        factors=[
            BandFactors(Band.HIGH, 40, 0.31, {"rfm": 0.8, "contact_history": -0.1}),
            BandFactors(Band.LOW, 960, 0.05, {"rfm": -0.4, "contact_history": 0.02}),
        ],
        suspects={},
        unseen=None,
        treated=0,
        features=features,
    )


def page(settings: Settings, *results: BacktestResult, **given: object) -> str:
    arguments: dict = {
        "findings": (),
        "models": {"churn": "churn/3", "value": "value/2"},
        "as_of": NOVEMBER,
        "made_at": MADE,
    }
    return render_report(settings, results, **{**arguments, **given})
