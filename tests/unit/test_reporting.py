"""Published figures beside ours."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresight.reporting import published_figures
from kernel.errors import UsageError
from kernel.settings import Settings, load_settings
from tests.doubles.models import value_predictor
from training.backtest import BacktestResult
from training.evaluation.report import PublishedFigure
from training.evaluation.segments import SegmentCoverage

EXAMPLE = Path(__file__).parents[2] / "examples" / "online_retail"


def result(as_of: datetime) -> BacktestResult:
    some = np.array([0.0, 1.0])
    return BacktestResult(
        as_of=as_of,
        customers=2,
        training_rows=2,
        cutoffs=2,
        churn={"model": {"auc": 0.75, "average_precision": 0.6, "mean_prediction": 0.4}},
        value={"trees": {"mae": 600.5, "gini": 0.77, "total_ratio": 0.8}},
        reliability=[],
        probability=some,
        churned=some,
        recency=some,
        expected=some,
        expected_by={"trees": some},
        value_model=value_predictor(),
        segments=SegmentCoverage({}, {}),
        value_grade=None,
        spend=some,
        interval_coverage=0.9,
        grade=None,
        rate_held=np.empty(0),
        fates=[],
        factors=[],
        suspects={},
        unseen=None,
        treated=0,
        features=pd.DataFrame(),
    )


@pytest.fixture
def settings() -> Settings:
    return load_settings(EXAMPLE)


def test_a_figure_stands_beside_ours_of_the_same_date(settings: Settings) -> None:
    figures = published_figures(settings, [result(datetime(2011, 9, 9, tzinfo=UTC))])
    assert len(figures) == 6
    assert figures[0] == PublishedFigure("Churn, AUC, 9 Sep 2011", "plain LightGBM, 10 features", 0.75, 0.727)
    expected = PublishedFigure(
        "Value, mean absolute error, 9 Sep 2011", "plain LightGBM, 10 features", 600.5, 631, "GBP"
    )
    assert figures[3] == expected


def test_a_date_without_back_test_has_none(settings: Settings) -> None:
    assert published_figures(settings, [result(datetime(2011, 9, 10, tzinfo=UTC))]) == []


def test_an_unknown_metric_is_named(settings: Settings) -> None:
    wrong = settings.published[0].model_copy(update={"metric": "aux"})
    with pytest.raises(UsageError, match="Did you mean 'auc'"):
        published_figures(
            settings.model_copy(update={"published": (wrong,)}), [result(datetime(2011, 7, 1, tzinfo=UTC))]
        )
